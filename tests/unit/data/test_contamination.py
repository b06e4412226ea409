"""Benchmark problems in the training data: the pairs that are found, and the two tables."""

from pathlib import Path

import pandas as pd
import pytest

from rlvr.artifacts import ContaminatedProblem, ContaminationRow, read_rows
from rlvr.data.arithmetic import generate
from rlvr.data.contamination import exact_matches, write_contamination
from rlvr.data.countdown import question, solve
from rlvr.data.problems import write_problems
from rlvr.data.similarity import best_matches
from rlvr.errors import UserError

LONG = "A fair die is thrown $12$ times. What is the probability that no face is shown more than twice?"
REWORDED = (
    "A fair die is thrown $12$ times. What is the chance that no face is shown more than twice? Find $m+n$."
)
UNRELATED = "How many ways are there to colour the corners of a cube in two colours, rotations not counted?"


@pytest.mark.parametrize("style", ["bare", "question"])
def test_similar_arithmetic_is_not_the_same_arithmetic(style):
    for level in ("L1", "L2", "L3", "L4"):
        operations = ["+", "-"] if level == "L3" else ["+", "-", "*"]
        train, test = (
            [problem["problem"] for problem in generate([level], operations, split, 30, seed=0, style=style)]
            for split in ("train", "test")
        )
        assert best_matches(test, train, 0.8) == {}
        assert exact_matches(test, train) == {}
    assert exact_matches(["12+34"], ["12-34", "1+234", "12 + 34"]) == {0: (2, 1.0)}


def write(path: Path, problems: list[tuple[str, str]], source: str = "local") -> Path:
    rows = [
        {"id": f"{path.stem}-{number}", "problem": problem, "answer": answer, "origin": f"x#{number}"}
        for number, (problem, answer) in enumerate(problems)
    ]
    write_problems(path, pd.DataFrame(rows), {"entry": {"source": source}})
    return path


def contamination(folder: Path, train: list[Path], benchmarks: list[Path]) -> tuple[str, str]:
    """Return the two tables as text, after reading them back."""
    counts, problems = folder / "contamination.csv", folder / "contaminated_problems.csv"
    write_contamination(train, benchmarks, 0.8, counts, problems)
    assert len(read_rows(counts, ContaminationRow)) == len(benchmarks)
    read_rows(problems, ContaminatedProblem)
    return counts.read_text(), problems.read_text()


def test_both_tables_name_what_is_contaminated(tmp_path):
    first = write(tmp_path / "first.parquet", [(UNRELATED, "23"), ("12+34", "46")])
    second = write(tmp_path / "second.parquet", [(REWORDED, "3"), (LONG, "0.5")])
    easy = write(tmp_path / "easy.parquet", [("12+35", "47"), ("12 + 34", "45")])
    hard = write(
        tmp_path / "hard.parquet", [(LONG, r"\frac{1}{2}"), ("Why?", "1"), (UNRELATED + " Say it.", "7")]
    )
    clean = write(tmp_path / "clean.parquet", [("Why not?", "1")])
    counts, rows = contamination(tmp_path, [first, second], [easy, hard, clean])
    assert counts == "dataset,problems,contaminated\neasy,2,1\nhard,3,2\nclean,1,0\n"
    assert rows == (
        "dataset,problem_id,train_id,similarity,same_answer\n"
        "easy,easy-1,first-1,1,False\n"
        "hard,hard-0,second-1,1,True\n"
        "hard,hard-2,first-0,0.947,False\n"
    )


def test_no_contamination_is_a_table_without_rows(tmp_path):
    train = write(tmp_path / "a.parquet", [(LONG, "1")])
    test = write(tmp_path / "b.parquet", [(UNRELATED, "1")])
    assert contamination(tmp_path, [train], [test]) == (
        "dataset,problems,contaminated\nb,1,0\n",
        "dataset,problem_id,train_id,similarity,same_answer\n",
    )


def test_a_generated_benchmark_must_not_repeat_a_problem_word_for_word(tmp_path):
    train = write(tmp_path / "train.parquet", [("12+34", "46"), (REWORDED, "1")], source="arithmetic")
    near = write(tmp_path / "near.parquet", [("12+35", "47"), (LONG, "1")], source="arithmetic")
    assert contamination(tmp_path, [train], [near])[0] == "dataset,problems,contaminated\nnear,2,0\n"
    same = write(tmp_path / "same.parquet", [("12+35", "47"), ("12 + 34", "46")], source="arithmetic")
    with pytest.raises(UserError, match=r"same\.parquet: problem '12 \+ 34' is in the training data too"):
        contamination(tmp_path, [train], [same])


def test_validation_problems_that_are_anywhere_else_are_refused(tmp_path):
    """Word for word; similar ones are listed, and do not count when rates are compared."""
    train = write(tmp_path / "train.parquet", [(UNRELATED, "1")])
    test = write(tmp_path / "test.parquet", [(LONG, "3")])
    validation = write(tmp_path / "validation.parquet", [("What is 2 + 2?", "4"), (REWORDED, "3")])
    counts, problems = tmp_path / "counts.csv", tmp_path / "problems.csv"
    write_contamination([train, test], [validation], 0.8, counts, problems, refuse=True)
    assert read_rows(problems, ContaminatedProblem)["problem_id"].tolist() == ["validation-1"]
    problems.unlink()
    validation = write(tmp_path / "validation.parquet", [("What is 2 + 2?", "4"), (LONG.upper(), "3")])
    message = (
        r"1 of 2 validation problems are in .*test\.parquet too, first 'validation-1' \('test-0' there\)"
    )
    with pytest.raises(UserError, match=message):
        write_contamination([train, test], [validation], 0.8, counts, problems, refuse=True)
    assert not problems.exists()
    write_contamination([train, test], [validation], 0.8, counts, problems)


def test_countdown_problems_are_compared_by_numbers_and_target_not_by_their_words(tmp_path):
    def countdown(name: str, *problems: tuple[list[int], int]) -> Path:
        path = tmp_path / f"{name}.parquet"
        rows = [
            {"id": f"{name}-{i}", "problem": question(given, target), "answer": solve(given, target)}
            for i, (given, target) in enumerate(problems)
        ]
        frame = pd.DataFrame(rows).assign(origin="x#1", rule="countdown")
        write_problems(path, frame, {"entry": {"source": "local"}})
        return path

    words = write(tmp_path / "words.parquet", [(question([8, 2, 5], 24), "24")])
    train = countdown("train", ([8, 2, 4], 24), ([8, 2, 4], 8))
    test = countdown("test", ([4, 8, 2], 24), ([8, 2, 4], 12), ([8, 2, 5], 24))
    counts, rows = contamination(tmp_path, [words, train], [test])
    assert counts == "dataset,problems,contaminated\ntest,3,1\n"
    assert rows.splitlines()[1:] == ["test,test-0,train-0,1,True"]
