"""Preparing data: whole files, broken files, the hub's layout, and what becomes of every defect."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from rlvr.config.catalogue import DataCatalogue, HubData, LocalData
from rlvr.config.loading import load_yaml
from rlvr.data.prepare import prepare_data
from rlvr.data.problems import COLUMNS, read_problems
from rlvr.errors import UserError
from rlvr.files import content_hash, read_json, sha256_of, write_json
from rlvr.plan import entry_files
from rlvr.verify.gold_answers import check_golds

GOOD = {"id": "a", "problem": "What is $1+1$?", "answer": "2"}
OTHER = {"id": "b", "problem": "What is half of one?", "answer": "0.5"}
EVERY_KIND = {
    "missing_field": {"id": "x", "problem": "No answer is given."},
    "empty_answer": {"id": "x", "problem": "Blank.", "answer": " "},
    "empty_problem": {"id": "x", "problem": "\n", "answer": "1"},
    "long_problem": {"id": "x", "problem": "Why? " * 2001, "answer": "1"},
    "control_characters": {"id": "x", "problem": "Find \x0crac{m}{n}.", "answer": "1"},
    "duplicate_id": {"id": "a", "problem": "Another one.", "answer": "1"},
    "duplicate_problem": {"id": "x", "problem": "What is\n $1+1$? ", "answer": "3"},
    "unparsable_answer": {"id": "x", "problem": "Half an answer.", "answer": r"\frac{1}{(k+n-1)!"},
    "text_answer": {"id": "x", "problem": "Another answer.", "answer": r"t(0,4]"},
}
"""Kind of defect -> a row that has it, behind the rows GOOD and OTHER."""


def lines_of(*rows: dict[str, object], end: str = "\n") -> str:
    return "".join(json.dumps(row) + end for row in rows)


def prepare(folder: Path, source: LocalData | HubData) -> pd.DataFrame:
    """Prepare a source as `rlvr prepare-data` does and read the result."""
    write_json(folder / "cell.json", source.model_dump(mode="json"))
    prepare_data(folder / "cell.json", folder / "out.parquet", check_golds)
    return read_problems(folder / "out.parquet")


def local(path: Path, **settings: object) -> LocalData:
    columns = {"columns": {"id": "id"}}
    return LocalData.model_validate({"source": "local", "path": str(path), **columns, **settings})


@pytest.fixture
def write(tmp_path):
    """Write a file of problems and return its path."""

    def write(text: str | bytes, name: str = "mine.jsonl") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_prepared_file_has_the_documented_columns_and_names_every_line(write, tmp_path):
    path = write("\n" + lines_of(GOOD, {**OTHER, "level": 5}))
    frame = prepare(tmp_path, local(path))
    assert frame.to_dict("records") == [
        {**GOOD, "source": "mine.jsonl#2"},
        {**OTHER, "source": "mine.jsonl#3"},
    ]
    provenance = read_json(tmp_path / "out.provenance.json")
    assert provenance["origin"] == {"kind": "file", "path": str(path), "sha256": sha256_of(path)}
    assert provenance["rows"] == {"read": 2, "kept": 2, "dropped": {}, "kept_with_defects": {}}
    assert provenance["content_sha256"] == content_hash(frame[COLUMNS].to_dict("list"))
    assert (tmp_path / "out.dropped.csv").read_text() == "file,line,id,reason\n"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + lines_of(GOOD, OTHER).encode(),
        lines_of(GOOD, OTHER, end="\r\n").encode(),
        lines_of(GOOD, OTHER).strip().encode(),
    ],
    ids=["byte order mark", "CRLF", "no last line feed"],
)
def test_harmless_differences_of_files_change_nothing(write, tmp_path, content):
    expected = prepare(tmp_path, local(write(lines_of(GOOD, OTHER))))
    pd.testing.assert_frame_equal(prepare(tmp_path, local(write(content))), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines_of(GOOD) + lines_of(OTHER)[:20], r"mine\.jsonl, line 2: not JSON"),
        (lines_of(GOOD) + "[1]\n", r"mine\.jsonl, line 2: list instead of a JSON object"),
        (lines_of(GOOD).encode() + b'{"id": "\xff"}\n', r"mine\.jsonl, line 2: not UTF-8"),
        ("", r"mine\.jsonl: of 0 rows none is left"),
        (b"\x1f\x8b\x08", r"line 1: not UTF-8 .*a file is Parquet \(NAME\.parquet\) or JSONL"),
        ("id,problem,answer\na,1+1,2\n", r"line 1: not JSON .*a file is Parquet \(NAME\.parquet\) or JSONL"),
        (
            lines_of({"id": "a", "question": "?", "answer": "1"}),
            r"no column 'problem'; the data has \['id', 'q",
        ),
    ],
    ids=["torn line", "no object", "not UTF-8", "empty file", "compressed", "CSV", "other columns"],
)
def test_a_damaged_file_stops_with_its_line_and_leaves_nothing(write, tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        prepare(tmp_path, local(write(content)))
    assert not (tmp_path / "out.parquet").exists()


def test_a_line_of_the_file_ends_at_a_line_feed_and_nowhere_else(write, tmp_path):
    """A problem may hold separators that Python's `splitlines` takes for line ends, unescaped."""
    text = (
        json.dumps({**GOOD, "problem": "one\u2028two\x85three"}, ensure_ascii=False) + "\n" + lines_of(OTHER)
    )
    frame = prepare(tmp_path, local(write(text), checks={"control_characters": "keep"}))
    assert list(frame["source"]) == ["mine.jsonl#1", "mine.jsonl#2"]


def test_a_damaged_parquet_file_and_a_missing_file_are_said(write, tmp_path):
    with pytest.raises(UserError, match=r"bad\.parquet: not a readable Parquet file"):
        prepare(tmp_path, local(write(b"PAR1 no", "bad.parquet")))
    with pytest.raises(UserError, match=r"nothing\.jsonl: file not found; put it there"):
        prepare(tmp_path, local(tmp_path / "nothing.jsonl"))


@pytest.mark.parametrize("kind", [kind for kind in EVERY_KIND if kind != "text_answer"])
def test_every_defect_stops_by_default_with_file_line_id_and_setting(write, tmp_path, kind):
    path = write(lines_of(GOOD, OTHER, EVERY_KIND[kind]))
    with pytest.raises(UserError) as error:
        prepare(tmp_path, local(path))
    message = str(error.value)
    assert message.startswith("mine.jsonl: 1 of 3 rows have defects; nothing is prepared")
    assert f"  {kind}: 1: line 3 (id {EVERY_KIND[kind]['id']!r}): " in message
    assert f"(checks.{kind}: drop" in message
    assert not list(tmp_path.glob("out.*"))


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_defect_can_be_dropped_and_is_listed_and_counted(write, tmp_path, kind, capsys):
    path = write(lines_of(GOOD, EVERY_KIND[kind], OTHER))
    frame = prepare(tmp_path, local(path, checks={kind: "drop"}))
    assert list(frame["id"]) == ["a", "b"]
    (row,) = csv.DictReader((tmp_path / "out.dropped.csv").open())
    assert (row["file"], row["line"], row["id"]) == ("mine.jsonl", "2", EVERY_KIND[kind]["id"])
    assert row["reason"].startswith(f"{kind}: ")
    rows = read_json(tmp_path / "out.provenance.json")["rows"]
    assert rows == {"read": 3, "kept": 2, "dropped": {kind: 1}, "kept_with_defects": {}}
    assert f"line 2 (id {row['id']!r}): dropped: {kind}: " in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["long_problem", "control_characters", "duplicate_problem", "text_answer"])
def test_a_usable_row_can_be_kept_and_is_reported(write, tmp_path, kind, capsys):
    path = write(lines_of(GOOD, EVERY_KIND[kind]))
    assert list(prepare(tmp_path, local(path, checks={kind: "keep"}))["id"]) == ["a", "x"]
    rows = read_json(tmp_path / "out.provenance.json")["rows"]
    assert rows["kept_with_defects"] == {kind: 1}
    assert f"line 2 (id 'x'): kept: {kind}: " in capsys.readouterr().out


def test_a_dropped_row_is_nobodys_original(write, tmp_path):
    """The first of three equal ids has a defect of its own: the second one is kept."""
    damaged, twice = {**GOOD, "problem": "\x07"}, {**GOOD, "problem": "Once more."}
    path = write(lines_of(damaged, GOOD, twice))
    checks = {"control_characters": "drop", "duplicate_id": "drop"}
    frame = prepare(tmp_path, local(path, checks=checks))
    assert list(frame["source"]) == ["mine.jsonl#2"]


def test_many_defects_are_counted_and_the_first_ones_shown(write, tmp_path):
    rows = [{"id": str(number), "problem": f"{number} \x01", "answer": "1"} for number in range(10)]
    with pytest.raises(UserError) as error:
        prepare(tmp_path, local(write(lines_of(*rows, EVERY_KIND["empty_answer"]))))
    assert "control_characters: 10: line 1 " in str(error.value)
    assert "; and 7 more (checks.control_characters: drop or keep)" in str(error.value)
    assert "empty_answer: 1: line 11 " in str(error.value)


def test_further_right_answers_are_read_where_the_source_names_their_column(write, tmp_path):
    path = write(lines_of({**GOOD, "also": ["two", 2.0]}, {**OTHER, "also": None}))
    columns = {"id": "id", "alternates": "also"}
    frame = prepare(tmp_path, local(path, columns=columns))
    assert [list(one) for one in frame["alternates"]] == [["two", "2"], []]
    for also, message in (("two", "'also' is not a list of answers but 'two'"), ([" "], "a blank answer")):
        path = write(lines_of({**GOOD, "also": also}, OTHER))
        with pytest.raises(UserError, match=rf"missing_field: 1: line 1 \(id 'a'\): .*{message}"):
            prepare(tmp_path, local(path, columns=columns))


def test_a_blank_id_is_a_missing_field(write, tmp_path):
    path = write(lines_of(GOOD, {**OTHER, "id": " "}))
    with pytest.raises(UserError, match=r"missing_field: 1: line 2 \(id ' '\): 'id' is blank"):
        prepare(tmp_path, local(path))


def test_if_all_rows_are_dropped_nothing_is_prepared(write, tmp_path):
    path = write(lines_of(EVERY_KIND["empty_answer"]))
    with pytest.raises(UserError, match=r"mine\.jsonl: of 1 rows none is left; nothing is prepared"):
        prepare(tmp_path, local(path, checks={"empty_answer": "drop"}))
    assert not list(tmp_path.glob("out.*"))


def test_an_entry_for_another_treatment_repeats_nothing(tmp_path):
    """As docs/data.md shows it."""
    (tmp_path / "datasets.yaml").write_text(
        "datasets:\n"
        "  mine: &mine\n    source: local\n    path: mine.jsonl\n    checks: {long_problem: keep}\n"
        "  mine-clean:\n    <<: *mine\n    checks: {control_characters: drop}\n"
    )
    found = load_yaml(tmp_path / "datasets.yaml", DataCatalogue).datasets
    assert (found["mine"].checks.long_problem, found["mine"].checks.control_characters) == ("keep", "stop")
    assert found["mine-clean"].path == "mine.jsonl"
    assert found["mine-clean"].checks.control_characters == "drop"


def test_a_slice_of_the_source_in_its_own_order(write, tmp_path):
    rows = [{"id": str(number), "problem": f"{number}+1", "answer": number + 1} for number in range(9)]
    path = write(lines_of(*rows))
    frame = prepare(tmp_path, local(path, rows={"skip": 2, "take": 3}))
    assert list(frame["id"]) == ["2", "3", "4"]
    assert list(frame["source"]) == [f"mine.jsonl#{line}" for line in (3, 4, 5)]
    with pytest.raises(UserError, match="skip 7 and take 3, but there are 9 rows"):
        prepare(tmp_path, local(path, rows={"skip": 7, "take": 3}))


@pytest.mark.parametrize(
    ("answer", "form", "expected"),
    [
        (34, "bare", "34"),
        (34.0, "bare", "34"),
        (0.5, "bare", "0.5"),
        (["0.5"], "list", "0.5"),
        ("She has 3+4=<<3+4=7>>7.\n#### 7", "after-hashes", "7"),
    ],
)
def test_answers_are_read_in_the_form_that_the_source_gives_them(write, tmp_path, answer, form, expected):
    path = write(lines_of({**GOOD, "answer": answer}))
    frame = prepare(tmp_path, local(path, columns={"answer_form": form}))
    assert list(frame["answer"]) == [expected]
    assert list(frame["id"]) == ["mine-1"]


@pytest.mark.parametrize(
    ("answer", "form", "reason"),
    [
        (None, "bare", "'answer' is missing"),
        (True, "bare", "'answer' is a bool"),
        (["1"], "bare", "'answer' is a list"),
        (["1", "2"], "list", "not a list of one answer"),
        ("7", "list", "not a list of one answer"),
        ("7", "after-hashes", "has no ####"),
        ("\ud800", "bare", "half a character"),
    ],
)
def test_an_answer_in_another_form_is_a_missing_field(write, tmp_path, answer, form, reason):
    path = write(lines_of({**GOOD, "answer": answer}))
    with pytest.raises(UserError, match=f"missing_field: 1: line 1 .*{reason}"):
        prepare(tmp_path, local(path, columns={"id": "id", "answer_form": form}))


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
"""Data set -> a row with the columns that its repository has."""


def entry(repository: Path, name: str) -> HubData:
    source = load_yaml(repository / "config" / "datasets.yaml", DataCatalogue).datasets[name]
    assert isinstance(source, HubData)
    return source


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """A machine without network and with caches of its own; yields the cache of downloads."""
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    return tmp_path / "hub"


def put_in_cache(cache: Path, source: HubData, row: dict[str, object], revision: str | None = None) -> None:
    """Lay a repository out as a download leaves it, with a configuration more than is asked for."""
    folder = (
        cache / f"datasets--{source.repo.replace('/', '--')}" / "snapshots" / (revision or source.revision)
    )
    part = folder / (source.config or "data") / f"{source.split}-00000-of-00001.parquet"
    part.parent.mkdir(parents=True)
    pd.DataFrame([row]).to_parquet(part, index=False)
    entries = {source.config or "default": part}
    if source.config:
        other = folder / "zh" / part.name
        other.parent.mkdir()
        pd.DataFrame([{**row, "question": "another", "prompt": "another"}]).to_parquet(other, index=False)
        entries["zh"] = other
    configs = [
        {
            "config_name": name,
            "data_files": [{"split": source.split, "path": str(path.relative_to(folder))}],
            "default": path is not part or len(entries) == 1,
        }
        for name, path in entries.items()
    ]
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': configs})}---\n")


@pytest.mark.parametrize("name", HUB_ROWS)
def test_a_cached_download_is_read_offline_with_the_columns_of_its_repository(
    repository, tmp_path, offline, name
):
    source = entry(repository, name)
    put_in_cache(offline, source, HUB_ROWS[name])
    frame = prepare(tmp_path, source)
    assert list(frame["problem"]) == [GOOD["problem"]]
    assert list(frame["answer"]) == ["2"]
    assert list(frame["source"]) == [f"{source.repo}@{source.revision[:7]}#1"]
    origin = read_json(tmp_path / "out.provenance.json")["origin"]
    assert origin == {"kind": "hub", "repo": source.repo, "revision": source.revision}


def test_another_revision_in_the_cache_is_not_taken_for_the_pinned_one(repository, tmp_path, offline):
    source = entry(repository, "gsm8k")
    put_in_cache(offline, source, HUB_ROWS["gsm8k"], revision="0" * 40)
    with pytest.raises(UserError, match="cannot be loaded"):
        prepare(tmp_path, source)


def test_half_a_download_in_the_cache_is_not_taken_for_the_data_set(repository, tmp_path, offline):
    source = entry(repository, "brumo25")
    put_in_cache(offline, source, HUB_ROWS["brumo25"])
    (part,) = offline.rglob("*.parquet")
    part.rename(part.with_name("train-00001-of-00002.parquet"))
    with pytest.raises(UserError, match=r"cannot be loaded: only 1 of 2 parts of 'train' are in .*/data; "):
        prepare(tmp_path, source)


def test_offline_the_message_says_which_file_to_put_where_and_then_it_is_read(repository, tmp_path, offline):
    source = entry(repository, "aime24")
    assert entry_files(source) == []
    with pytest.raises(
        UserError, match=r"(?s)put its split 'train' at data/aime24\.jsonl, .* columns id, problem, answer"
    ):
        prepare(tmp_path, source)
    Path("data").mkdir()
    Path("data/aime24.jsonl").write_text(lines_of(GOOD))
    assert entry_files(source) == ["data/aime24.jsonl"]
    assert list(prepare(tmp_path, source)["source"]) == ["aime24.jsonl#1"]
    assert read_json(tmp_path / "out.provenance.json")["origin"]["kind"] == "file"


def test_every_download_has_a_place_for_a_local_file(repository):
    catalogue = load_yaml(repository / "config" / "datasets.yaml", DataCatalogue).datasets
    hub = {name: source for name, source in catalogue.items() if isinstance(source, HubData)}
    assert len(hub) == 15 and all(source.local for source in hub.values())
    whole = {name: source.local.path for name, source in hub.items() if not name.endswith("-slice")}
    assert whole == {name: f"data/{name}.jsonl" for name in whole}
