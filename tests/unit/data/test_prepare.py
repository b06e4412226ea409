"""Prepared files: columns, provenance and log."""

import pytest

from rlvr.config.catalogue import DataCatalogue
from rlvr.config.loading import load_yaml
from rlvr.data.problems import COLUMNS
from rlvr.errors import UserError
from rlvr.files import content_hash, read_json, sha256_of
from tests.helpers.problem_files import GOOD, OTHER, lines_of, local, prepare, write


def test_a_prepared_file_has_the_documented_columns_and_names_every_line(tmp_path):
    path = write(tmp_path, "\n" + lines_of(GOOD, {**OTHER, "level": 5}))
    frame = prepare(tmp_path, local(path))
    assert frame.to_dict("records") == [
        {**GOOD, "origin": "mine.jsonl#2"},
        {**OTHER, "origin": "mine.jsonl#3"},
    ]
    provenance = read_json(tmp_path / "out.provenance.json")
    assert provenance["origin"] == {"kind": "file", "path": str(path), "sha256": sha256_of(path)}
    assert provenance["entry"]["source"] == "local"
    assert provenance["rows"] == {"read": 2, "kept": 2, "dropped": {}, "kept_with_defects": {}}
    assert provenance["content_sha256"] == content_hash(frame[COLUMNS].to_dict("list"))
    assert (tmp_path / "out.dropped.csv").read_text() == "file,line,id,reason\n"


def test_the_log_names_five_rows_per_kind_and_counts_the_others(tmp_path, caplog):
    rows = [{"id": str(number), "problem": f"{number} \x01", "answer": "1"} for number in range(8)]
    blank = [{"id": f"b{number}", "problem": "Blank.", "answer": ""} for number in range(5)]
    long = [{"id": f"l{number}", "problem": f"{number} Why?", "answer": "1"} for number in range(6)]
    checks = {"control_characters": "drop", "empty_answer": "drop", "long_problem": "keep"}
    prepare(
        tmp_path,
        local(write(tmp_path, lines_of(*rows, *blank, *long)), checks={**checks, "longest_problem": 5}),
    )
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sum("dropped: control_characters: U+0001" in line for line in lines) == 5
    assert "mine.jsonl: dropped: control_characters: 42 % of rows (8 of 19, all in out.dropped.csv)" in lines
    assert sum("dropped: empty_answer: the answer is blank" in line for line in lines) == 5
    assert "mine.jsonl: kept: long_problem: 32 % of rows (6 of 19, all in out.kept.csv)" in lines
    assert len(lines) == 3 * (1 + 5)
    assert len((tmp_path / "out.dropped.csv").read_text().splitlines()) == 1 + 8 + 5
    assert len((tmp_path / "out.kept.csv").read_text().splitlines()) == 1 + 6


def test_repeated_rows_are_counted_in_few_lines_and_listed_in_a_file(tmp_path, caplog):
    """As in the published DAPO-Math-17k, where each problem is there 100 times."""
    rows = [{"problem": f"What is {number % 200}?", "answer": str(number % 200)} for number in range(20_000)]
    entry = local(write(tmp_path, lines_of(*rows)), columns={}, checks={"duplicate_problem": "drop"})
    assert len(prepare(tmp_path, entry)) == 200
    assert len(caplog.messages) <= 20
    heading = "mine.jsonl: dropped: duplicate_problem: 99 % of rows (19800 of 20000, all in out.dropped.csv)"
    assert heading in caplog.messages
    assert len((tmp_path / "out.dropped.csv").read_text().splitlines()) == 1 + 19_800
    with pytest.raises(UserError) as error:
        prepare(tmp_path, local(tmp_path / "mine.jsonl", columns={}))
    assert len(str(error.value).splitlines()) <= 20
    assert len((tmp_path / "out.stopped.csv").read_text().splitlines()) == 1 + 19_800


def test_the_list_of_rows_that_stopped_goes_away_when_the_data_is_prepared(tmp_path):
    damaged = write(tmp_path, lines_of(GOOD, {**OTHER, "problem": " "}))
    with pytest.raises(UserError, match=r"All are in .*out\.stopped\.csv\."):
        prepare(tmp_path, local(damaged))
    assert (tmp_path / "out.stopped.csv").exists()
    prepare(tmp_path, local(damaged, checks={"empty_problem": "drop"}))
    assert not (tmp_path / "out.stopped.csv").exists()


def test_a_row_that_is_dropped_later_is_not_counted_as_kept(tmp_path):
    twice = {**GOOD, "problem": "Find \x0crac{m}{n}."}
    path = write(tmp_path, lines_of(twice, {**twice, "id": "b"}))
    prepare(tmp_path, local(path, checks={"control_characters": "keep", "duplicate_problem": "drop"}))
    rows = read_json(tmp_path / "out.provenance.json")["rows"]
    assert (rows["kept_with_defects"], rows["dropped"]) == (
        {"control_characters": 1},
        {"duplicate_problem": 1},
    )


def test_if_all_rows_are_dropped_nothing_is_prepared(tmp_path):
    path = write(tmp_path, lines_of({"id": "x", "problem": "Blank.", "answer": " "}))
    with pytest.raises(UserError, match=r"mine\.jsonl: none of 1 rows is left; nothing is prepared"):
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
