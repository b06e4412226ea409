"""Copying the last formula of the prompt earns next to nothing."""

import json
from pathlib import Path

import pytest

from rlvr.cli import main
from rlvr.data.copy_floor import GradedProblem, measure_copy_floor
from tests.helpers.paths import SHARED_DATA
from tests.helpers.problem_files import lines_of, local, prepare, write

TARGET = 0.005
FILES = ["train/math_train", "benchmarks/math500", "train/dapo_math_14k_en"]
needs_shared_data = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="no shared/data beside the checkout")

ROWS = [
    {"id": "copied", "problem": r"Compute $12\cdot 7+1$.", "answer": "85"},
    {"id": "chosen", "problem": "Which of $5$ and $7$ is larger?", "answer": "7"},
    {"id": "other", "problem": "Solve $x^2=4$ for $x>0$.", "answer": "2"},
    {"id": "words", "problem": "How many legs has a spider?", "answer": "8"},
]


def problems(path: Path, step: int = 1) -> list[GradedProblem]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[::step]]
    return [GradedProblem(row["problem"], row["answer"]) for row in rows]


def test_the_floor_counts_every_problem_once() -> None:
    floor = measure_copy_floor([GradedProblem(row["problem"], row["answer"]) for row in ROWS], True)
    assert floor.statuses == {"unevaluated": 2, "ok": 1, "no_answer": 1}
    assert (floor.problems, floor.correct, floor.correct_without_rule) == (4, 1, 2)


def test_one_command_prints_the_floor_of_prepared_and_raw_files(tmp_path, capsys) -> None:
    raw = write(tmp_path, lines_of(*ROWS))
    prepare(tmp_path, local(raw))
    capsys.readouterr()
    assert main(["copy-floor", str(tmp_path / "out.parquet"), str(raw), "--without-rule"]) == 0
    heading, prepared, read = capsys.readouterr().out.splitlines()
    assert heading.split()[:2] == ["data", "set"]
    for line, name in [(prepared, "out"), (read, "mine")]:
        assert line.split() == [
            *(name, "4", "1", "(25.00%)", "2", "(50.00%)"),
            *("unevaluated", "2,", "ok", "1,", "no_answer", "1"),
        ]


def test_a_missing_file_is_an_error_that_names_it(tmp_path, capsys) -> None:
    assert main(["copy-floor", str(tmp_path / "none.parquet")]) == 1
    assert "none.parquet" in capsys.readouterr().err


@needs_shared_data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "step"), [(FILES[0], 25), (FILES[1], 2), (FILES[2], 60)])
def test_the_floor_of_a_part_of_published_data(name: str, step: int) -> None:
    floor = measure_copy_floor(problems(SHARED_DATA / f"{name}.jsonl", step), workers=2)
    assert floor.statuses["unevaluated"] > 0.2 * floor.problems
    assert floor.share <= TARGET


@needs_shared_data
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", FILES)
def test_the_floor_of_published_data(name: str) -> None:
    assert measure_copy_floor(problems(SHARED_DATA / f"{name}.jsonl"), workers=2).share <= TARGET
