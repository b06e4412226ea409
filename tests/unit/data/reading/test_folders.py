"""Folders: of shards, of downloads with a card, and of `save_to_disk`."""

import pandas as pd
import pytest
from datasets import Dataset, DatasetDict

from rlvr.config.catalogue import entry_files
from rlvr.errors import UserError
from rlvr.files import read_json
from tests.helpers.problem_files import GOOD, OTHER, lines_of, local, prepare


@pytest.fixture
def shards(tmp_path):
    """A folder with a training split of two shards and a test split of one."""
    folder = tmp_path / "download" / "data"
    folder.mkdir(parents=True)
    for name, row in {
        "train-00000-of-00002": GOOD,
        "train-00001-of-00002": OTHER,
        "test-00000-of-00001": GOOD,
    }.items():
        pd.DataFrame([row]).to_parquet(folder / f"{name}.parquet", index=False)
    return folder.parent


def test_the_shards_of_a_split_are_read_in_order(tmp_path, shards):
    frame = prepare(tmp_path, local(shards, split="train"))
    assert frame.to_dict("records") == [{**GOOD, "origin": "download#1"}, {**OTHER, "origin": "download#2"}]
    origin = read_json(tmp_path / "out.provenance.json")["origin"]
    assert origin["kind"] == "folder"
    (shards / ".cache").mkdir()
    (shards / ".cache" / "lock").touch()
    prepare(tmp_path, local(shards, split="train"))
    assert read_json(tmp_path / "out.provenance.json")["origin"] == origin
    assert entry_files(local(shards)) == sorted(str(file) for file in shards.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (None, r"download: the folder has several splits; set `split` .* to one of \['train', 'test'\]"),
        ("validation", r"download: no split 'validation'; set `split` .* to one of \['train', 'test'\]"),
    ],
)
def test_a_folder_of_several_splits_asks_for_one(tmp_path, shards, split, message):
    with pytest.raises(UserError, match=message):
        prepare(tmp_path, local(shards, split=split))


def test_an_incomplete_folder_and_a_folder_without_data_are_refused(tmp_path, shards):
    (shards / "data" / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(UserError, match=r"only 1 of 2 parts of 'train' are in .*download it again"):
        prepare(tmp_path, local(shards, split="train"))
    (tmp_path / "notes").mkdir()
    for _ in range(2):
        with pytest.raises(UserError, match=r"notes: .*(?s:.)*`path`"):
            prepare(tmp_path, local(tmp_path / "notes"))
        (tmp_path / "notes" / "notes.md").write_text("Nothing.")


def test_a_link_that_leads_to_no_file_is_named_and_one_to_a_file_is_read(tmp_path, shards):
    """A download in the cache of the hub is a folder of links."""
    part = shards / "data" / "train-00001-of-00002.parquet"
    blob = part.rename(tmp_path / "blob")
    part.symlink_to(blob)
    assert list(prepare(tmp_path, local(shards, split="train"))["id"]) == ["a", "b"]
    blob.unlink()
    for target in (None, tmp_path / "elsewhere"):
        if target:
            target.mkdir()
            part.unlink()
            part.symlink_to(target)
        with pytest.raises(UserError, match=r"train-00001-of-00002\.parquet is a link to a missing file"):
            prepare(tmp_path, local(shards, split="train"))


def test_files_that_are_in_no_split_are_named(tmp_path, caplog):
    folder = tmp_path / "mine"
    (folder / "images").mkdir(parents=True)
    (folder / "README.md").write_text("# Mine\n")
    (folder / ".hidden.jsonl").write_text("{")
    (folder / "dataset_infos.json").write_text("{}")
    (folder / "a b.jsonl").write_text(lines_of(GOOD))
    (folder / "c.jsonl").write_text(lines_of(OTHER))
    assert len(prepare(tmp_path, local(folder))) == 2
    assert "not read" not in caplog.text
    pd.DataFrame([GOOD]).to_parquet(folder / "d.parquet")
    prepare(tmp_path, local(folder))
    assert (
        "mine: not read, because of another format, or a name that is in no split: ['d.parquet']"
        in caplog.text
    )
    for number in range(4):
        (folder / "images" / f"{number}.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match=r"no problems in any split; set `path` to one of \['a b\.jsonl', 'c"):
        prepare(tmp_path, local(folder))


def test_a_download_of_several_configurations_asks_for_the_folder_of_one(tmp_path):
    folder = tmp_path / "download"
    for name in ("main", "socratic"):
        (folder / name).mkdir(parents=True)
        pd.DataFrame([GOOD]).to_parquet(folder / name / "train-00000-of-00001.parquet", index=False)
    configs = "".join(
        f"- config_name: {name}\n  data_files: {name}/train-*\n" for name in ("main", "socratic")
    )
    (folder / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    with pytest.raises(UserError, match=r"(?s)available configs: \['main', 'socratic'\].*Correct `path`"):
        prepare(tmp_path, local(folder))
    assert list(prepare(tmp_path, local(folder / "main"))["id"]) == ["a"]


def test_a_damaged_line_of_a_folder_is_named_with_its_file(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "part-1.jsonl").write_text(lines_of(GOOD))
    (folder / "part-2.jsonl").write_text(lines_of(OTHER) + "{truncated\n")
    with pytest.raises(UserError, match=r"part-2\.jsonl, line 2: not JSON"):
        prepare(tmp_path, local(folder))


def test_folders_of_save_to_disk_are_read(tmp_path):
    data = Dataset.from_list([GOOD, OTHER])
    data.save_to_disk(str(tmp_path / "one"))
    DatasetDict({"train": data, "test": data.select([0])}).save_to_disk(str(tmp_path / "several"))
    assert list(prepare(tmp_path, local(tmp_path / "one"))["id"]) == ["a", "b"]
    assert list(prepare(tmp_path, local(tmp_path / "several", split="test"))["id"]) == ["a"]
    with pytest.raises(UserError, match=r"several splits; set `split` .*\['train', 'test'\]"):
        prepare(tmp_path, local(tmp_path / "several"))
    with pytest.raises(UserError, match=r"a folder of one data set has no splits; remove `split: train`"):
        prepare(tmp_path, local(tmp_path / "one", split="train"))
    (tmp_path / "one" / "data-00000-of-00001.arrow").unlink()
    with pytest.raises(UserError, match="a damaged folder of `save_to_disk`"):
        prepare(tmp_path, local(tmp_path / "one"))


def test_a_file_has_no_splits(tmp_path):
    (tmp_path / "mine.jsonl").write_text(lines_of(GOOD))
    with pytest.raises(UserError, match=r"a file has no splits; remove `split: train`"):
        prepare(tmp_path, local(tmp_path / "mine.jsonl", split="train"))
