"""Grading stored samples: with the project's grader or with another, never by sampling again."""

import json
from pathlib import Path

import pandas as pd
import pytest

from rlvr.artifacts import Grade, Sample, read_rows, write_rows
from rlvr.cli import main
from rlvr.config.resolved import GradeConfig
from rlvr.errors import UserError
from rlvr.evaluate.grade import grade
from rlvr.files import write_json, write_parquet
from rlvr.verify.graders.registry import grader_version

PROBLEMS = [
    {"id": "a", "problem": "?", "answer": "34", "origin": "test#1"},
    {"id": "b", "problem": "?", "answer": "4.5e33", "origin": "test#2"},
]
TEXTS = {
    ("a", 0): r"It is \boxed{34}.",
    ("a", 1): "so\nAnswer: 34",
    ("b", 0): r"\boxed{9 \cdot 5 \times 10^{32}}",
    ("b", 1): r"\boxed{7 \text{ apples}}",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Configuration, problems and samples."""
    config = GradeConfig(
        study="test",
        benchmark="two",
        dataset="two",
        samples_per_problem=2,
        answer_format="boxed",
        grader="rlvr",
    )
    write_json(tmp_path / "config.json", config.model_dump())
    write_parquet(tmp_path / "problems.parquet", pd.DataFrame(PROBLEMS))
    fixed = {"seed": 0, "n_tokens": 9, "finish_reason": "stop", "seconds": 1.0}
    samples = (
        {"problem_id": name, "sample_index": index, "text": text, **fixed}
        for (name, index), text in TEXTS.items()
    )
    write_rows(tmp_path / "samples.parquet", Sample, samples)
    return tmp_path


def graded(folder: Path, *options: str) -> pd.DataFrame:
    files = {name: str(folder / f"{name}.parquet") for name in ("samples", "problems", "grades")}
    arguments = [
        "grade",
        str(folder / "config.json"),
        "--samples",
        files["samples"],
        "--data",
        files["problems"],
    ]
    assert main([*arguments, "-o", files["grades"], *options]) == 0
    return read_rows(folder / "grades.parquet", Grade)


def refused(folder: Path, message: str) -> None:
    with pytest.raises(UserError, match=message):
        grade(
            folder / "config.json",
            folder / "samples.parquet",
            folder / "problems.parquet",
            folder / "g.parquet",
        )
    assert not (folder / "g.parquet").exists()


def test_the_grader_of_the_project_is_the_default(folder):
    grades = graded(folder)
    assert list(grades.columns) == Grade.columns()
    assert grades["correct"].tolist() == [True, False, True, False]
    assert grades["status"].tolist() == ["ok", "no_answer", "ok", "ok"]
    assert grades["lenient"].tolist() == [True, True, True, False], "an answer outside the box"
    assert set(grades["verifier_version"]) == {grader_version("rlvr")}


def test_a_copy_of_the_problem_is_unevaluated(folder):
    problems = pd.DataFrame(PROBLEMS).assign(problem=r"Compute $\frac{8}{2}+1$.", answer=["5", "6"])
    write_parquet(folder / "problems.parquet", problems)
    samples = pd.read_parquet(folder / "samples.parquet")
    answers = [r"\boxed{1+\frac{8}{2}}", r"\boxed{5}", r"\boxed{\sum_{k=1}^{3}k}", r"\boxed{1+5}"]
    write_rows(folder / "samples.parquet", Sample, samples.assign(text=answers, finish_reason="stop"))
    grades = graded(folder)
    assert grades["status"].tolist() == ["unevaluated", "ok", "unevaluated", "ok"]
    assert grades["correct"].tolist() == grades["lenient"].tolist() == [False, True, False, True]
    assert graded(folder, "--grader", "math-verify")["correct"][0], "other graders keep their rules"


@pytest.mark.parametrize(
    ("grader", "correct"),
    [
        ("released-eval", [True, True, False, False]),
        ("released-reward", [True, False, False, False]),
        ("nano-eval", [True, False, False, False]),
        ("math-verify", [True, True, False, False]),
    ],
)
def test_the_same_samples_with_the_graders_of_others(folder, grader, correct):
    grades = graded(folder, "--grader", grader)
    assert grades["correct"].tolist() == correct
    assert grades["verifier_version"].str.startswith(f"{grader}-1+").all()


def test_the_command_line_may_replace_the_grader_of_the_configuration(folder):
    config = GradeConfig(
        study="test", benchmark="two", dataset="two", samples_per_problem=2, answer_format="boxed",
        grader="released-eval",
    )  # fmt: skip
    write_json(folder / "config.json", config.model_dump())
    assert graded(folder)["verifier_version"].str.startswith("released-eval").all()
    assert set(graded(folder, "--grader", "rlvr")["verifier_version"]) == {grader_version("rlvr")}


def test_alternates_of_a_problem_count_where_the_data_has_them(folder):
    problems = pd.DataFrame(PROBLEMS)
    write_parquet(folder / "problems.parquet", problems.assign(alternates=[[], ["6", "7"]]))
    assert graded(folder)["correct"].tolist() == [True, False, True, True]
    assert graded(folder, "--grader", "nano-eval")["correct"].tolist() == [True, False, False, False]


def test_samples_that_do_not_fit_the_benchmark_are_refused(folder):
    samples = pd.read_parquet(folder / "samples.parquet")
    for wrong, message in [
        (samples.iloc[:3], "3 samples instead of 2 for each of 2 problems"),
        (samples.assign(problem_id=["a", "a", "b", "c"]), "problem 'c' is not in"),
        (samples.assign(sample_index=[0, 0, 0, 1]), "sample 0 of problem 'a' appears twice"),
        (samples.drop(columns="text"), "column 'text' is missing"),
    ]:
        write_parquet(folder / "samples.parquet", wrong)
        refused(folder, message)


def test_no_grader_of_that_name(folder, capsys):
    arguments = ["grade", "c", "--samples", "s", "--data", "d", "-o", "o", "--grader", "mine"]
    assert main(arguments) == 2
    assert "released-eval" in capsys.readouterr().err


def test_two_graders_are_compared_on_the_same_samples(folder, capsys):
    for name, grader in [("ours", "rlvr"), ("theirs", "released-eval")]:
        graded(folder, "--grader", grader)
        (folder / "grades.parquet").rename(folder / f"{name}.parquet")
    capsys.readouterr()
    assert main(["agreement", str(folder / "ours.parquet"), str(folder / "theirs.parquet")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["first"] == grader_version("rlvr")
    assert found["second"].startswith("released-eval")
    # ours: correct, incorrect, correct, incorrect; theirs: correct, correct, incorrect, incorrect
    assert [found[f"{who}_correct"] for who in ("both", "only_first", "only_second", "neither")] == [1] * 4
    assert (found["n_samples"], found["agreement"], found["kappa"]) == (4, 0.5, 0.0)


def test_different_samples_are_not_compared(folder, capsys):
    grades = graded(folder)
    write_parquet(folder / "fewer.parquet", grades.iloc[1:])
    assert main(["agreement", str(folder / "grades.parquet"), str(folder / "fewer.parquet")]) == 1
    assert "do not grade the same samples" in capsys.readouterr().err
