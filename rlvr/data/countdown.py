"""The built-in Countdown task: seeded problems, with train and test disjoint for any seed and size.

A problem has three or four whole numbers and a target, and is made from an expression of these numbers, so
that it has a solution. Correct is every expression that uses each number exactly once and has the value of
the target (`rlvr.verify.countdown`); the gold answer is the first one that a search finds.

Whether a problem belongs to train or test depends only on a hash of its numbers, regardless of their order,
and of its target: no seed, size, range of numbers or style can put a test problem into a training set.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Literal, NamedTuple, TypedDict

from rlvr.config.choices import AnswerRule
from rlvr.errors import UserError
from rlvr.seeds import derive_seed

Operation = Literal["+", "-", "*", "/"]
Split = Literal["train", "test"]
Style = Literal["question", "bare"]

TEST_ONE_IN = 5
"""Every fifth problem on average is a test problem."""
MOST_NUMBERS = 6
"""Numbers of a problem for which a solution is searched."""
_MOST_MISSES = 20_000
"""Expressions in a row that give no new problem, after which there is none left."""


class Problem(TypedDict):
    """One row of a problem file."""

    id: str
    problem: str
    answer: str
    origin: str
    rule: AnswerRule


class Term(NamedTuple):
    """An expression with its exact value."""

    value: Fraction
    text: str
    binds: int
    """How tightly its last operation binds: 1 sums and differences, 2 products and quotients, 3 a number."""


def generate(
    numbers: Sequence[int],
    operations: Sequence[Operation],
    largest_number: int,
    largest_target: int,
    split: Split,
    size: int,
    seed: int,
    style: Style = "question",
) -> list[Problem]:
    """Generate ``size`` different problems, with equal shares of the two difficulties as far as possible.

    On the way to the target, the expression that a problem is made from has whole numbers above 0 only.

    Args:
        numbers: how many numbers a problem has; several are mixed.
        operations: the operations that a problem is made with.
        largest_number: the numbers are from 1 up to this one.
        largest_target: the targets likewise.
        split: ``train`` or ``test``; the two never share numbers and target.
        size: number of problems.
        seed: selects the problems and their order.
        style: ``question`` (a sentence) or ``bare`` ("8,2,4=24").

    Raises:
        UserError: there are fewer than ``size`` problems.
    """
    chance = random.Random(derive_seed(seed, "countdown", split)).random
    chosen: dict[str, Problem] = {}
    misses = 0
    while len(chosen) < size:
        count = numbers[len(chosen) % len(numbers)]
        given = [1 + int(chance() * largest_number) for _ in range(count)]
        target = _made_from(given, operations, chance)
        if target is not None and target <= largest_target and split_of(given, target) == split:
            problem = _problem(given, target, operations, style)
            if chosen.setdefault(problem["id"], problem) is problem:
                misses = 0
                continue
        misses += 1
        if misses == _MOST_MISSES:
            raise UserError(
                f"countdown data, size: {size}, but only {len(chosen)} different {split} problems were "
                "found; lower size, or raise largest_number or largest_target"
            )
    return list(chosen.values())


def split_of(numbers: Sequence[int], target: int) -> Split:
    """Return the side of the split, regardless of the order of the numbers."""
    key = derive_seed("countdown split", *sorted(numbers), target)
    return "test" if key % TEST_ONE_IN == 0 else "train"


def question(numbers: Sequence[int], target: int, style: Style = "question") -> str:
    """Return the text of a problem."""
    if style == "bare":
        return f"{','.join(map(str, numbers))}={target}"
    listed = f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
    return (
        f"Using the numbers {listed}, write an expression that equals {target}. Use each number exactly "
        "once, and only the operations +, -, *, / and parentheses."
    )


def solve(
    numbers: Sequence[int], target: int, operations: Sequence[Operation] = ("+", "-", "*", "/")
) -> str | None:
    """Return an expression that uses each number exactly once and equals the target; None if there is none.

    The same for the same numbers in the same order. Of more than four numbers, it may take seconds.
    """
    seen: set[tuple[Fraction, ...]] = set()

    def search(terms: list[Term]) -> str | None:
        if len(terms) == 1:
            return terms[0].text if terms[0].value == target else None
        state = tuple(sorted(term.value for term in terms))
        if state in seen:
            return None
        seen.add(state)
        for one, other in combinations(range(len(terms)), 2):
            rest = [term for place, term in enumerate(terms) if place not in (one, other)]
            for joined in _joined(terms[one], terms[other], operations):
                if found := search([joined, *rest]):
                    return found
        return None

    return search([_number(number) for number in numbers])


def _problem(given: Sequence[int], target: int, operations: Sequence[Operation], style: Style) -> Problem:
    answer = solve(given, target, operations)
    assert answer is not None  # it was made from an expression
    return Problem(
        id=f"{','.join(map(str, sorted(given)))}={target}",
        problem=question(given, target, style),
        answer=answer,
        origin=f"countdown/{len(given)}",
        rule="countdown",
    )


def _made_from(
    given: Sequence[int], operations: Sequence[Operation], chance: Callable[[], float]
) -> int | None:
    """Return the value of a random expression of the numbers; None if it leaves the whole numbers above 0."""
    values = list(given)
    while len(values) > 1:
        one, other = (values.pop(int(chance() * len(values))) for _ in range(2))
        sign = operations[int(chance() * len(operations))]
        if sign == "/" and one % other:
            return None
        values.append({"+": one + other, "-": one - other, "*": one * other, "/": one // other}[sign])
        if values[-1] < 1:
            return None
    return values[0]


def _joined(one: Term, other: Term, operations: Sequence[Operation]) -> Iterator[Term]:
    """Yield what two terms can become."""
    for sign in operations:
        for left, right in ((one, other), (other, one)) if sign in ("-", "/") else ((one, other),):
            if sign == "/" and right.value == 0:
                continue
            binds = 1 if sign in ("+", "-") else 2
            closed = right.binds < binds or (sign in ("-", "/") and right.binds == binds)
            text = f"{_in_brackets(left, left.binds < binds)}{sign}{_in_brackets(right, closed)}"
            yield Term(_value(left.value, sign, right.value), text, binds)


def _in_brackets(term: Term, needed: bool) -> str:
    return f"({term.text})" if needed else term.text


def _value(left: Fraction, sign: Operation, right: Fraction) -> Fraction:
    match sign:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right


def _number(number: int) -> Term:
    return Term(Fraction(number), str(number), 3)
