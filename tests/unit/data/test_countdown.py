"""The built-in Countdown problems: solvable, split by numbers and target, the same bytes everywhere."""

import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.config.catalogue import CountdownData, LocalData
from rlvr.data.contamination import exact_matches
from rlvr.data.copy_floor import GradedProblem, measure_copy_floor
from rlvr.data.countdown import Problem, generate, question, solve, split_of
from rlvr.data.prepare import prepare_data
from rlvr.data.problems import read_problems
from rlvr.errors import UserError
from rlvr.files import write_json
from rlvr.verify import countdown
from rlvr.verify.arithmetic import evaluate
from rlvr.verify.verdict import Item
from tests.helpers.grading import graded
from tests.helpers.problem_files import lines_of, prepare, write

ALL = ("+", "-", "*", "/")


def problems(split: str = "train", size: int = 60, seed: int = 0, **changed: object) -> list[Problem]:
    settings = {"numbers": [3, 4], "operations": ALL, "largest_number": 99, "largest_target": 99}
    return generate(**settings | changed, split=split, size=size, seed=seed)


def key(problem: Problem) -> tuple[tuple[int, ...], int]:
    """Numbers and target, read from the text of a bare problem."""
    numbers, target = problem["problem"].split("=")
    return tuple(sorted(map(int, numbers.split(",")))), int(target)


def test_every_problem_is_solved_by_its_gold_answer():
    found = problems(style="bare")
    for problem in found:
        numbers, target = key(problem)
        assert evaluate(problem["answer"]) == (numbers, target)
        assert min(numbers) >= 1 and max(numbers) <= 99 and 1 <= target <= 99
        assert problem["rule"] == "countdown"
    assert [len(key(problem)[0]) for problem in found] == [3, 4] * 30


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2**32), st.integers(4, 30), st.integers(9, 60))
def test_train_and_test_share_no_problem_for_any_seed_size_and_range(one, other, largest, target):
    limits = {"style": "bare", "numbers": [3], "largest_target": target}
    train = {key(problem) for problem in problems("train", 40, one, largest_number=largest, **limits)}
    test = {key(problem) for problem in problems("test", 8, other, largest_number=largest + 1, **limits)}
    assert len(train) == 40 and len(test) == 8
    assert not train & test


def test_the_split_ignores_the_order_of_the_numbers():
    sides = {split_of(numbers, 24) for numbers in permutations((2, 4, 8))}
    assert len(sides) == 1
    shares = [split_of((a, b, c), 24) == "test" for a in range(9) for b in range(9) for c in range(9)]
    assert sum(shares) / len(shares) == pytest.approx(0.2, abs=0.06)


def test_a_seed_selects_the_same_problems_in_every_process():
    code = "from tests.unit.data.test_countdown import problems; print([p['id'] for p in problems(size=12)])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str([problem["id"] for problem in problems(size=12)])
    assert problems(size=12) != problems(size=12, seed=1)


def test_too_many_problems_are_refused():
    with pytest.raises(UserError, match=r"size: 500, but only \d+ different train problems"):
        problems(size=500, numbers=[3], largest_number=3, largest_target=5)


def brute_force(numbers: tuple[int, ...]) -> set[Fraction]:
    """All values of expressions of three numbers, apart from the code under test."""

    def joined(left: Fraction, right: Fraction) -> list[Fraction]:
        return [left + right, left - right, left * right, *([left / right] if right else [])]

    values: set[Fraction] = set()
    for a, b, c in permutations(map(Fraction, numbers)):
        for inner in joined(a, b):
            values.update(joined(inner, c), joined(c, inner))
    return values


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.integers(1, 12)] * 3), st.integers(1, 60))
def test_the_search_finds_a_solution_where_there_is_one(numbers, target):
    found = solve(numbers, target)
    assert (found is not None) == (target in brute_force(numbers))
    if found:
        assert evaluate(found) == (tuple(sorted(numbers)), target)


def test_fractions_on_the_way_are_found():
    assert solve([3, 3, 8, 8], 24) == "8/(3-8/3)"
    assert solve([1, 1, 1], 50) is None


def test_prepared_problems_carry_the_rule_and_are_not_contaminated_by_their_words(tmp_path):
    entry = CountdownData(source="countdown", numbers=[3], split="test", size=20)
    write_json(tmp_path / "entry.json", entry.model_dump(mode="json"))
    prepare_data(tmp_path / "entry.json", tmp_path / "out.parquet")
    frame = read_problems(tmp_path / "out.parquet")
    assert set(frame["rule"]) == {"countdown"} and "solution" not in frame
    train = [problem["answer"] for problem in problems(numbers=[3])]
    identities = [list(map(countdown.identity, answers)) for answers in (frame["answer"], train)]
    assert exact_matches(*identities) == {}
    assert exact_matches(["countdown 2 4 8 = 24"], [countdown.identity("4*(8-2)")]) == {0: (0, 1.0)}


def test_copying_the_prompt_earns_nothing():
    for style in ("question", "bare"):
        found = problems(size=30, style=style)
        rows = [GradedProblem(one["problem"], one["answer"], rule=one["rule"]) for one in found]
        assert measure_copy_floor(rows).correct == 0
        copies = [
            Item(one["problem"], one["answer"], answer_format="first-line", rule="countdown") for one in found
        ]
        assert not any(verdict.correct for verdict in graded("rlvr", *copies))


def test_the_question_names_all_that_the_rule_asks_for():
    assert question([8, 2, 4], 24).startswith(
        "Using the numbers 8, 2 and 4, write an expression that equals 24."
    )
    assert question([8, 2, 4], 24, "bare") == "8,2,4=24"


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"nums": [8, 2, 4], "target": 24}, {"numbers": "nums", "target": "target"}),
        (
            {
                "data_source": "countdown",
                "reward_model": {"ground_truth": {"numbers": [8, 2, 4], "target": 24}},
            },
            {"numbers": "reward_model.ground_truth.numbers", "target": "reward_model.ground_truth.target"},
        ),
        (
            {"question": "..", "answer": "4*(8-2)", "metadata": {"numbers": [8, 2, 4], "target": 24}},
            {"numbers": "metadata.numbers", "target": "metadata.target"},
        ),
    ],
)
def test_published_shapes_are_read(tmp_path, row, columns):
    path = write(tmp_path, lines_of(row))
    frame = prepare(tmp_path, LocalData(source="local", path=str(path), columns=columns))
    assert list(frame["problem"]) == [question([8, 2, 4], 24)]
    assert [evaluate(answer) for answer in frame["answer"]] == [((2, 4, 8), 24)]


@pytest.mark.parametrize(
    ("nums", "target"),
    [
        (np.array([8, 2, 4]), 24),  # as pandas writes it
        (np.array([8, 2, 4], dtype=np.int32), "24"),
        (["8", "2", "4"], 24.0),
        ("[8, 2, 4]", Decimal(24)),
    ],
)
def test_numbers_of_every_type_are_read_from_parquet(tmp_path, nums, target):
    path = tmp_path / "train.parquet"
    pd.DataFrame({"target": [target], "nums": [nums]}).to_parquet(path)
    columns = {"numbers": "nums", "target": "target"}
    frame = prepare(tmp_path, LocalData(source="local", path=str(path), columns=columns))
    assert list(frame["problem"]) == [question([8, 2, 4], 24)]


def test_the_files_that_tinyzero_writes_for_verl_are_read(tmp_path):
    row = {
        "target": 24,
        "nums": np.array([8, 2, 4]),
        "data_source": "countdown",
        "prompt": [{"role": "user", "content": "Using the numbers [8, 2, 4], create an equation .."}],
        "reward_model": {"style": "rule", "ground_truth": {"target": 24, "numbers": np.array([8, 2, 4])}},
        "extra_info": {"split": "test", "index": 0},
    }
    path = tmp_path / "test.parquet"
    pd.DataFrame([row]).to_parquet(path)
    columns = {
        "id": "extra_info.index",
        "numbers": "reward_model.ground_truth.numbers",
        "target": "reward_model.ground_truth.target",
    }
    frame = prepare(tmp_path, LocalData(source="local", path=str(path), columns=columns))
    assert list(frame["id"]) == ["0"] and list(frame["problem"]) == [question([8, 2, 4], 24)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"nums": [1, 1], "target": 50}, r"no expression of \[1, 1\] equals 50"),
        ({"nums": [1], "target": 1}, "'nums' has 1 numbers, not 2 to 6"),
        ({"nums": [1, -2], "target": 1}, "'nums.1' is -2, not a whole number from 0"),
        ({"nums": 3, "target": 1}, "'nums' is 3, not a list"),
        ({"nums": [1, 2], "target": 1.5}, "'target' is 1.5, not a whole number from 0"),
        ({"nums": [1, 2]}, "no column 'target'"),
    ],
)
def test_rows_that_are_no_problem_stop_the_preparation(tmp_path, row, message):
    path = write(tmp_path, lines_of(row))
    columns = {"numbers": "nums", "target": "target"}
    with pytest.raises(UserError, match=message):
        prepare(tmp_path, LocalData(source="local", path=str(path), columns=columns))


def test_numbers_need_a_target():
    with pytest.raises(ValueError, match="a Countdown problem has both"):
        LocalData(source="local", path="x", columns={"numbers": "nums"})
    both = {"numbers": "nums", "target": "target"}
    with pytest.raises(ValueError, match="problem: of Countdown, id, numbers and target are read"):
        LocalData(source="local", path="x", columns={**both, "problem": "question"})
