"""The built-in arithmetic problems: correct answers, disjoint splits, the same bytes everywhere."""

import hashlib
import json
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.config.catalogue import ArithmeticData
from rlvr.data.arithmetic import Expression, Problem, generate, pairs_of, problems_of
from rlvr.errors import UserError

EVERY_PROBLEM = {
    ("L1", "train"): 221,
    ("L1", "test"): 34,
}


def operand_pair(problem: Problem) -> tuple[str, tuple[int, ...]]:
    """The signs and the operands of a problem, both without their order, read from its text."""
    text = problem["problem"].removeprefix("What is ").removesuffix("?").replace(" ", "")
    signs = "".join(sorted(sign for sign in text if not sign.isdigit()))
    numbers = text.replace("+", " ").replace("-", " ").replace("*", " ").split()
    return signs, tuple(sorted(map(int, numbers)))


def by_shunting(text: str) -> Fraction:
    """Evaluate an expression with a value stack and an operator stack, apart from the code under test."""
    rank = {"+": 1, "-": 1, "*": 2}
    apply = {"+": Fraction.__add__, "-": Fraction.__sub__, "*": Fraction.__mul__}
    values: list[Fraction] = []
    signs: list[str] = []

    def reduce() -> None:
        right, left = values.pop(), values.pop()
        values.append(apply[signs.pop()](left, right))

    for token in text.replace("+", " + ").replace("-", " - ").replace("*", " * ").split():
        if token.isdigit():
            values.append(Fraction(token))
            continue
        while signs and rank[signs[-1]] >= rank[token]:
            reduce()
        signs.append(token)
    while signs:
        reduce()
    return values[0]


@pytest.mark.parametrize("level", ["L1", "L2", "L3", "L4"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_answer_is_correct(level, split):
    operations = ["+", "-"] if level == "L3" else ["+", "-", "*"]
    problems = generate([level], operations, split, 30, seed=0) + generate(
        [level], operations, split, 30, seed=1, style="bare"
    )
    for problem in problems:
        text = problem["problem"].removeprefix("What is ").removesuffix("?")
        assert Fraction(problem["answer"]) == by_shunting(text) >= 0
        assert problem["origin"] == f"arithmetic/{level}"


def test_products_bind_more_tightly():
    assert Expression((9, 2, 4), ("-", "*")).value() == 1
    assert Expression((2, 3, 4), ("*", "+")).value() == 10
    assert Expression((9, 3, 2), ("-", "-")).value() == 4


@given(
    train_levels=st.sets(st.sampled_from(["L1", "L2", "L3", "L4"]), min_size=1),
    test_levels=st.sets(st.sampled_from(["L1", "L2", "L3", "L4"]), min_size=1),
    train_seed=st.integers(0, 9),
    test_seed=st.integers(0, 9),
)
@settings(max_examples=10, deadline=None)
def test_train_and_test_never_share_an_operand_pair(train_levels, test_levels, train_seed, test_seed):
    train = generate(sorted(train_levels), ["+", "-"], "train", 100, train_seed, "bare")
    test = generate(sorted(test_levels), ["+", "-"], "test", 10, test_seed, "question")
    assert not {operand_pair(problem) for problem in train} & {operand_pair(problem) for problem in test}


def test_whole_level_is_split_without_loss_or_overlap():
    train = generate(["L1"], ["+", "-", "*"], "train", EVERY_PROBLEM["L1", "train"], seed=0)
    test = generate(["L1"], ["+", "-", "*"], "test", EVERY_PROBLEM["L1", "test"], seed=0)
    assert not {operand_pair(problem) for problem in train} & {operand_pair(problem) for problem in test}
    assert len({problem["problem"] for problem in train + test}) == 100 + 55 + 100


def test_problems_are_not_repeated_when_levels_overlap():
    problems = generate(["L1", "L2"], ["+"], "train", 300, seed=3)
    assert (
        len({problem["problem"] for problem in problems})
        == len({problem["id"] for problem in problems})
        == 300
    )


def test_levels_and_operations_come_in_equal_parts():
    problems = generate(["L3", "L1"], ["+", "-"], "train", 80, seed=0)
    parts = Counter((problem["origin"], operand_pair(problem)[0]) for problem in problems)
    assert set(parts.values()) == {20} and len(parts) == 4


def test_seed_changes_the_selection_and_style_only_the_text():
    first = generate(["L3"], ["+"], "train", 50, seed=0)
    bare = generate(["L3"], ["+"], "train", 50, seed=0, style="bare")
    other = generate(["L3"], ["+"], "train", 50, seed=1)
    assert [problem["id"] for problem in first] == [problem["problem"] for problem in bare]
    assert {problem["id"] for problem in first} != {problem["id"] for problem in other}
    left, right = first[0]["id"].split("+")
    assert first[0]["problem"] == f"What is {left} + {right}?"


def test_same_bytes_in_another_process():
    here = hashlib.sha256(json.dumps(generate(["L1", "L4"], ["+", "*"], "train", 200, seed=7)).encode())
    program = (
        "import hashlib, json; from rlvr.data.arithmetic import generate;"
        "text = json.dumps(generate(['L1', 'L4'], ['+', '*'], 'train', 200, seed=7));"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    there = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "1", "PYTHONPATH": ":".join(path for path in sys.path if path)},
    )
    assert there.stdout.strip() == here.hexdigest()


def test_asking_for_too_many_says_how_many_there_are():
    with pytest.raises(
        UserError, match=f"{EVERY_PROBLEM['L1', 'test']} different test problems; set size to 1"
    ):
        generate(["L1"], ["+", "-", "*"], "test", 35, seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"levels": ["L9"]}, "'L9' is not allowed; choose from L1, L2"),
        ({"levels": []}, "an empty list"),
        ({"operations": ["/"]}, "'/' is not allowed"),
        ({"levels": ["L3"], "operations": ["*"]}, r"L3 has none of \['\*'\]; choose from \+, -"),
        ({"split": "dev"}, "'dev' is not allowed"),
        ({"style": "poem"}, "'poem' is not allowed"),
        ({"size": 0}, "set size to 1"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = {"levels": ["L1"], "operations": ["+"], "split": "train", "size": 5, "seed": 0, **change}
    with pytest.raises(UserError, match=message):
        generate(**arguments)


def test_a_set_apart_from_others_shares_no_operand_pair_with_them():
    entry = {"source": "arithmetic", "levels": ["L1"], "operations": ["+"], "split": "train", "style": "bare"}
    others = [ArithmeticData(**entry, size=20, seed=seed) for seed in (0, 1)]
    apart = ArithmeticData(**entry, size=20, seed=2, apart_from=others)
    taken = {operand_pair(problem) for other in others for problem in problems_of(other)}
    assert taken & {
        operand_pair(problem) for problem in problems_of(ArithmeticData(**entry, size=20, seed=2))
    }
    assert not taken & {operand_pair(problem) for problem in problems_of(apart)}
    assert {("".join(signs), operands) for signs, operands in pairs_of(others[0])} <= taken
    with pytest.raises(UserError, match=r"have \d+ different train problems apart from the others"):
        problems_of(apart.model_copy(update={"size": 80}))


def test_keeping_apart_changes_no_set_that_is_apart_from_nothing():
    entry = ArithmeticData(
        source="arithmetic", levels=["L3"], operations=["+"], split="train", size=30, style="bare", seed=1
    )
    assert problems_of(entry) == generate(["L3"], ["+"], "train", 30, 1, "bare")
