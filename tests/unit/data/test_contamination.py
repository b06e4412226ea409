"""Benchmark problems in the training data: which are found, which are not, and what is written."""

from difflib import SequenceMatcher
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.data.arithmetic import generate
from rlvr.data.contamination import exact_matches, write_contamination
from rlvr.data.problems import write_problems
from rlvr.data.similarity import SHARED_RUN, best_matches, tokens
from rlvr.errors import UserError
from rlvr.verify.gold_answers import agree

LONG = "A fair die is thrown $12$ times. What is the probability that no face is shown more than twice?"
REWORDED = (
    "A fair die is thrown $12$ times. What is the chance that no face is shown more than twice? Find $m+n$."
)
UNRELATED = "How many ways are there to colour the corners of a cube in two colours, rotations not counted?"


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (r"\left(\dfrac{1}{12}\right)", ["frac", "1", "1", "2"]),
        (r"Find $\text{lcm}(a,b)$.", ["find", "lcm", "a", "b"]),
        (r"\leftarrow \textstyle X_{10}", ["leftarrow", "textstyle", "x", "1", "0"]),
    ],
)
def test_tokens_are_words_commands_and_digits_without_layout(problem, expected):
    assert tokens(problem) == expected


def test_the_most_similar_problem_is_found_and_the_first_of_equals():
    training = [UNRELATED, REWORDED, LONG, LONG]
    assert best_matches([LONG, UNRELATED, "?"], training, 0.8) == {0: (2, 1.0), 1: (0, 1.0)}
    (position, similarity) = best_matches([LONG], training[:2], 0.8)[0]
    assert position == 1
    assert similarity == pytest.approx(2 * 19 / (20 + 23))
    assert best_matches([LONG], training[:2], 0.9) == {}


def test_the_threshold_itself_counts():
    problem, other = "a b c d e f g h i j k l", "a b c d e f g h i j y z"
    assert best_matches([problem], [other], 10 / 12) == {0: (0, 10 / 12)}
    assert best_matches([problem], [other], 0.84) == {}


def test_the_same_wording_about_other_numbers_is_another_problem():
    """0.83 of the tokens match, but no ten in a row."""
    problem = "What is the remainder when $1 + 2 + 3 + 4 + 10$ is divided by 9?"
    other = "What is the remainder when 123456 is divided by 9?"
    assert best_matches([problem], [other], 0.8) == {}
    assert best_matches([problem], [problem.replace("9?", "7?")], 0.8) == {0: (0, pytest.approx(14 / 15))}


def test_an_empty_side_has_no_match():
    assert best_matches([], [LONG], 0.8) == {}
    assert best_matches([LONG], [], 0.8) == {}


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_shortcuts_lose_no_pair(data):
    """All pairs compared by the definition alone give the same best matches."""
    parts = st.sampled_from(["a b c d e", "f g h i j", "k l", "m"])
    texts = st.lists(st.lists(parts, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=5)
    problems, training = data.draw(texts), data.draw(texts)
    expected = {}
    for position, problem in enumerate(problems):
        alike = [similarity_by_definition(problem, other) for other in training]
        if max(alike) >= 0.7:
            expected[position] = (alike.index(max(alike)), max(alike))
    assert best_matches(problems, training, 0.7) == expected


def similarity_by_definition(problem: str, other: str) -> float:
    matcher = SequenceMatcher(None, problem.split(), other.split(), autojunk=False)
    padded = f" {other} "
    words = problem.split()
    runs = [words[start : start + SHARED_RUN] for start in range(len(words) - SHARED_RUN + 1)]
    return matcher.ratio() if any(f" {' '.join(run)} " in padded for run in runs) else 0.0


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
        {"id": f"{path.stem}-{number}", "problem": problem, "answer": answer, "source": f"x#{number}"}
        for number, (problem, answer) in enumerate(problems)
    ]
    write_problems(path, pd.DataFrame(rows), {"source": {"source": source}})
    return path


def overlap(folder: Path, train: list[Path], benchmarks: list[Path]) -> tuple[str, str]:
    """Return the two tables as text."""
    write_contamination(train, benchmarks, 0.8, agree, folder / "overlap.csv", folder / "contaminated.csv")
    return (folder / "overlap.csv").read_text(), (folder / "contaminated.csv").read_text()


def test_both_tables_name_what_was_seen(tmp_path):
    first = write(tmp_path / "first.parquet", [(UNRELATED, "23"), ("12+34", "46")])
    second = write(tmp_path / "second.parquet", [(REWORDED, "3"), (LONG, "0.5")])
    easy = write(tmp_path / "easy.parquet", [("12+35", "47"), ("12 + 34", "45")])
    hard = write(
        tmp_path / "hard.parquet", [(LONG, r"\frac{1}{2}"), ("Why?", "1"), (UNRELATED + " Say it.", "7")]
    )
    unseen = write(tmp_path / "unseen.parquet", [("Why not?", "1")])
    counts, rows = overlap(tmp_path, [first, second], [easy, hard, unseen])
    assert counts == "dataset,problems,seen\neasy,2,1\nhard,3,2\nunseen,1,0\n"
    assert rows == (
        "dataset,problem_id,train_id,similarity,same_answer\n"
        "easy,easy-1,first-1,1.0,False\n"
        "hard,hard-0,second-1,1.0,True\n"
        "hard,hard-2,first-0,0.947,False\n"
    )


def test_nothing_seen_is_a_table_without_rows(tmp_path):
    train, test = (
        write(tmp_path / "a.parquet", [(LONG, "1")]),
        write(tmp_path / "b.parquet", [(UNRELATED, "1")]),
    )
    assert overlap(tmp_path, [train], [test]) == (
        "dataset,problems,seen\nb,1,0\n",
        "dataset,problem_id,train_id,similarity,same_answer\n",
    )


def test_a_generated_benchmark_must_be_unseen_word_for_word(tmp_path):
    train = write(tmp_path / "train.parquet", [("12+34", "46"), (REWORDED, "1")], source="arithmetic")
    near = write(tmp_path / "near.parquet", [("12+35", "47"), (LONG, "1")], source="arithmetic")
    assert overlap(tmp_path, [train], [near])[0] == "dataset,problems,seen\nnear,2,0\n"
    same = write(tmp_path / "same.parquet", [("12+35", "47"), ("12 + 34", "46")], source="arithmetic")
    with pytest.raises(UserError, match=r"same\.parquet: problem '12 \+ 34' stands in the training data too"):
        overlap(tmp_path, [train], [same])
