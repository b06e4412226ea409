"""Entries: damaged files, blank ids, slices, the hub and its cache, and the local copy of a hub data set."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from rlvr.config.catalogue import DataCatalogue, HubData, LocalCopy, entry_files
from rlvr.config.loading import load_yaml
from rlvr.errors import UserError
from rlvr.files import read_json
from tests.helpers.problem_files import GOOD, OTHER, lines_of, local, prepare, write


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + lines_of(GOOD, OTHER).encode(),
        lines_of(GOOD, OTHER, end="\r\n").encode(),
        lines_of(GOOD, OTHER).strip().encode(),
    ],
    ids=["byte order mark", "CRLF", "no last line feed"],
)
def test_harmless_differences_of_files_change_nothing(tmp_path, content):
    expected = prepare(tmp_path, local(write(tmp_path, lines_of(GOOD, OTHER))))
    pd.testing.assert_frame_equal(prepare(tmp_path, local(write(tmp_path, content))), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines_of(GOOD) + lines_of(OTHER)[:20], r"mine\.jsonl, line 2: not JSON"),
        (lines_of(GOOD) + "[1]\n", r"mine\.jsonl, line 2: expected a JSON object, found list"),
        (lines_of(GOOD).encode() + b'{"id": "\xff"}\n', r"mine\.jsonl, line 2: not UTF-8"),
        ("", r"mine\.jsonl: no rows; nothing is prepared; download it again"),
        (b"\x1f\x8b\x08", r"mine\.jsonl: looks like gzip, but it cannot be unpacked"),
        ("id,problem,answer\na,1+1,2\n", r"line 1: not JSON .*looks like CSV, which is named NAME\.csv; "),
        (
            lines_of({"id": "a", "question": "?", "answer": "1"}),
            r"no column 'problem' \(key `columns\.problem`\); did you mean 'question'\? The data has \['id'",
        ),
    ],
    ids=["truncated line", "no object", "not UTF-8", "empty file", "compressed", "CSV", "other columns"],
)
def test_a_damaged_file_stops_with_its_line_and_leaves_nothing(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        prepare(tmp_path, local(write(tmp_path, content)))
    assert not (tmp_path / "out.parquet").exists()


def test_a_line_of_the_file_ends_at_a_line_feed_and_nowhere_else(tmp_path):
    """A problem may hold separators that Python's `splitlines` takes for line ends, unescaped."""
    text = (
        json.dumps({**GOOD, "problem": "one\u2028two\x85three"}, ensure_ascii=False) + "\n" + lines_of(OTHER)
    )
    frame = prepare(tmp_path, local(write(tmp_path, text), checks={"control_characters": "keep"}))
    assert list(frame["origin"]) == ["mine.jsonl#1", "mine.jsonl#2"]


def test_a_damaged_parquet_file_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(UserError, match=r"bad\.parquet: not a readable Parquet file"):
        prepare(tmp_path, local(write(tmp_path, b"PAR1 no", "bad.parquet")))
    with pytest.raises(UserError, match=r"nothing\.jsonl: file not found; put it there"):
        prepare(tmp_path, local(tmp_path / "nothing.jsonl"))


def test_further_correct_answers_are_read_where_the_entry_names_their_column(tmp_path):
    path = write(tmp_path, lines_of({**GOOD, "also": ["two", 2.0]}, {**OTHER, "also": None}))
    columns = {"id": "id", "alternates": "also"}
    frame = prepare(tmp_path, local(path, columns=columns))
    assert [list(one) for one in frame["alternates"]] == [["two", "2"], []]
    for also, message in (("two", "'also' is 'two', not a list"), ([" "], "a blank answer")):
        path = write(tmp_path, lines_of({**GOOD, "also": also}, OTHER))
        with pytest.raises(
            UserError, match=rf"missing_field: 50 % of rows \(1 of 2\).*\n    line 1 \(id 'a'\): .*{message}"
        ):
            prepare(tmp_path, local(path, columns=columns))


def test_a_blank_id_is_a_missing_field(tmp_path):
    for name, shown, reason in ((" ", " ", "blank"), (None, "", "missing")):
        path = write(tmp_path, lines_of(GOOD, {**OTHER, "id": name}))
        message = rf"missing_field: 50 % of rows \(1 of 2\).*\n    line 2 \(id '{shown}'\): 'id' is {reason}"
        with pytest.raises(UserError, match=message):
            prepare(tmp_path, local(path))


def test_a_slice_keeps_the_order(tmp_path):
    rows = [{"id": str(number), "problem": f"{number}+1", "answer": number + 1} for number in range(9)]
    path = write(tmp_path, lines_of(*rows))
    frame = prepare(tmp_path, local(path, rows={"skip": 2, "take": 3}))
    assert list(frame["id"]) == ["2", "3", "4"]
    assert list(frame["origin"]) == [f"mine.jsonl#{line}" for line in (3, 4, 5)]
    with pytest.raises(UserError, match="skip 7 and take 3, but there are 9 rows"):
        prepare(tmp_path, local(path, rows={"skip": 7, "take": 3}))


# --- the hub ------------------------------------------------------------------------------------

HUB_ROWS = {
    "dapo-math-17k-en": {"prompt": GOOD["problem"], "solution": "2", "source_prompt": ["unused"]},
    "gsm8k": {"question": GOOD["problem"], "answer": "One and one are two.\n#### 2"},
    "olympiadbench": {"question": GOOD["problem"], "final_answer": ["2"], "unit": None},
    "brumo25": {"problem_idx": 1, "problem": GOOD["problem"], "answer": "2"},
    "cmimc25": {"problem_idx": 1, "problem": GOOD["problem"], "answer": "2"},
    "amc23": {"id": 0, "question": GOOD["problem"], "answer": 2.0},
    "math500": {"unique_id": "test/algebra/1.json", "problem": GOOD["problem"], "answer": "2"},
}
"""Data set -> a row with the columns of its repository."""


def entry(repository: Path, name: str) -> HubData:
    found = load_yaml(repository / "config" / "datasets.yaml", DataCatalogue).datasets[name]
    assert isinstance(found, HubData)
    return found


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """A machine without network and with empty caches; returns the cache of downloads."""
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    return tmp_path / "hub"


def put_in_cache(cache: Path, found: HubData, row: dict[str, object], revision: str | None = None) -> None:
    """Write a repository as a download leaves it, with one configuration that is not asked for."""
    folder = cache / f"datasets--{found.repo.replace('/', '--')}" / "snapshots" / (revision or found.revision)
    part = folder / (found.config or "data") / f"{found.split}-00000-of-00001.parquet"
    part.parent.mkdir(parents=True)
    pd.DataFrame([row]).to_parquet(part, index=False)
    entries = {found.config or "default": part}
    if found.config:
        other = folder / "zh" / part.name
        other.parent.mkdir()
        pd.DataFrame([{**row, "question": "another", "prompt": "another"}]).to_parquet(other, index=False)
        entries["zh"] = other
    configs = [
        {
            "config_name": name,
            "data_files": [{"split": found.split, "path": str(path.relative_to(folder))}],
            "default": path is not part or len(entries) == 1,
        }
        for name, path in entries.items()
    ]
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': configs})}---\n")


@pytest.mark.parametrize("name", HUB_ROWS)
def test_a_cached_download_is_read_offline_with_the_columns_of_its_repository(
    repository, tmp_path, offline, name
):
    found = entry(repository, name)
    put_in_cache(offline, found, HUB_ROWS[name])
    frame = prepare(tmp_path, found)
    assert list(frame["problem"]) == [GOOD["problem"]]
    assert list(frame["answer"]) == ["2"]
    assert list(frame["origin"]) == [f"{found.repo}@{found.revision[:7]}#1"]
    origin = read_json(tmp_path / "out.provenance.json")["origin"]
    assert origin == {"kind": "hub", "repo": found.repo, "revision": found.revision}


def test_another_cached_revision_is_not_used_instead_of_the_pinned_one(repository, tmp_path, offline):
    found = entry(repository, "gsm8k")
    put_in_cache(offline, found, HUB_ROWS["gsm8k"], revision="0" * 40)
    with pytest.raises(UserError, match="cannot be loaded"):
        prepare(tmp_path, found)


def test_an_incomplete_download_is_refused(repository, tmp_path, offline):
    found = entry(repository, "brumo25")
    put_in_cache(offline, found, HUB_ROWS["brumo25"])
    (part,) = offline.rglob("*.parquet")
    part.rename(part.with_name("train-00001-of-00002.parquet"))
    with pytest.raises(UserError, match=r"cannot be loaded: only 1 of 2 parts of 'train' are in .*/data; "):
        prepare(tmp_path, found)


def test_offline_the_message_says_where_to_put_which_file_and_then_it_is_read(repository, tmp_path, offline):
    found = entry(repository, "aime24")
    assert entry_files(found) == []
    with pytest.raises(
        UserError, match=r"(?s)put its split 'train' at data/aime24\.jsonl, .* columns id, problem, answer"
    ):
        prepare(tmp_path, found)
    Path("data").mkdir()
    Path("data/aime24.jsonl").write_text(lines_of(GOOD))
    assert entry_files(found) == ["data/aime24.jsonl"]
    assert list(prepare(tmp_path, found)["origin"]) == ["aime24.jsonl#1"]
    assert read_json(tmp_path / "out.provenance.json")["origin"]["kind"] == "file"


def test_a_local_file_with_the_columns_of_the_hub_is_told_how_to_name_them(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = entry(repository, "gsm8k")
    Path("data").mkdir()
    Path("data/gsm8k.jsonl").write_text(lines_of({"question": GOOD["problem"], "answer": "#### 2"}))
    with pytest.raises(UserError, match=r"no column 'id' \(key `local\.columns\.id`\)") as error:
        prepare(tmp_path, found)
    hint = "set `local.columns: {problem: question, answer_form: after-hashes}`"
    assert str(error.value).endswith(f"These are the columns of the hub: {hint}")
    local_copy = LocalCopy.model_validate(
        {"path": "data/gsm8k.jsonl", "columns": {"problem": "question", "answer_form": "after-hashes"}}
    )
    assert list(prepare(tmp_path, found.model_copy(update={"local": local_copy}))["answer"]) == ["2"]


def test_every_download_has_a_place_for_a_local_file(repository):
    catalogue = load_yaml(repository / "config" / "datasets.yaml", DataCatalogue).datasets
    hub = {name: one for name, one in catalogue.items() if isinstance(one, HubData)}
    assert len(hub) == 16 and all(found.local for found in hub.values())
    whole = {name: found.local.path for name, found in hub.items() if not name.endswith("-slice")}
    assert whole == {name: f"data/{name}.jsonl" for name in whole}
