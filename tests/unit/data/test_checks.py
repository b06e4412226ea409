"""The action for every kind of defect of a row."""

import csv

import pytest

from rlvr.errors import UserError
from rlvr.files import read_json
from tests.helpers.problem_files import GOOD, OTHER, lines_of, local, prepare, write

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


@pytest.mark.parametrize("kind", [kind for kind in EVERY_KIND if kind != "text_answer"])
def test_every_defect_stops_by_default_with_file_line_id_and_setting(tmp_path, kind):
    path = write(tmp_path, lines_of(GOOD, OTHER, EVERY_KIND[kind]))
    with pytest.raises(UserError) as error:
        prepare(tmp_path, local(path))
    message = str(error.value)
    assert message.startswith("mine.jsonl: 1 of 3 rows have defects; nothing is prepared")
    assert f"  {kind}: 33 % of " in message and "(1 of 3)" in message
    assert f"\n    line 3 (id {EVERY_KIND[kind]['id']!r}): " in message
    assert f"(checks.{kind}: drop" in message
    (listed,) = csv.DictReader((tmp_path / "out.stopped.csv").open())
    assert (listed["line"], listed["reason"].partition(":")[0]) == ("3", kind)
    assert list(tmp_path.glob("out.*")) == [tmp_path / "out.stopped.csv"]


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_defect_can_be_dropped_and_is_listed_and_counted(tmp_path, kind, caplog):
    path = write(tmp_path, lines_of(GOOD, EVERY_KIND[kind], OTHER))
    frame = prepare(tmp_path, local(path, checks={kind: "drop"}))
    assert list(frame["id"]) == ["a", "b"]
    (row,) = csv.DictReader((tmp_path / "out.dropped.csv").open())
    assert (row["file"], row["line"], row["id"]) == ("mine.jsonl", "2", EVERY_KIND[kind]["id"])
    assert row["reason"].startswith(f"{kind}: ")
    rows = read_json(tmp_path / "out.provenance.json")["rows"]
    assert rows == {"read": 3, "kept": 2, "dropped": {kind: 1}, "kept_with_defects": {}}
    assert f"line 2 (id {row['id']!r}): dropped: {kind}: " in caplog.text


@pytest.mark.parametrize("kind", ["long_problem", "control_characters", "duplicate_problem", "text_answer"])
def test_a_usable_row_can_be_kept_and_is_reported(tmp_path, kind, caplog):
    path = write(tmp_path, lines_of(GOOD, EVERY_KIND[kind]))
    checks = {kind: "keep", "most_unmatchable": 1}
    assert list(prepare(tmp_path, local(path, checks=checks))["id"]) == ["a", "x"]
    rows = read_json(tmp_path / "out.provenance.json")["rows"]
    assert rows["kept_with_defects"] == {kind: 1}
    assert f"line 2 (id 'x'): kept: {kind}: " in caplog.text


def test_a_dropped_row_has_no_duplicates(tmp_path):
    """The first of three equal ids has a defect of its own: the second one is kept."""
    damaged, twice = {**GOOD, "problem": "\x07"}, {**GOOD, "problem": "Once more."}
    path = write(tmp_path, lines_of(damaged, GOOD, twice))
    checks = {"control_characters": "drop", "duplicate_id": "drop"}
    frame = prepare(tmp_path, local(path, checks=checks))
    assert list(frame["origin"]) == ["mine.jsonl#2"]


def test_many_defects_are_counted_and_the_first_ones_shown(tmp_path):
    rows = [{"id": str(number), "problem": f"{number} \x01", "answer": "1"} for number in range(10)]
    with pytest.raises(UserError) as error:
        prepare(tmp_path, local(write(tmp_path, lines_of(*rows, EVERY_KIND["empty_answer"]))))
    setting = "(checks.control_characters: drop or keep)"
    assert f"control_characters: 91 % of rows (10 of 11) {setting}\n    line 1 " in str(error.value)
    assert "\n    and 5 more\n" in str(error.value)
    assert "empty_answer: 9 % of rows (1 of 11) (checks.empty_answer: drop)\n    line 11 " in str(error.value)
    assert len((tmp_path / "out.stopped.csv").read_text().splitlines()) == 1 + 11
