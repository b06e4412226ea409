"""The built-in task: seeded arithmetic problems, with train and test disjoint for any seed and size.

Levels, all on whole numbers from 0 with answers that are not negative:

====== =============================================================
level  problems
====== =============================================================
L1     one-digit sums, differences and products
L2     sums and differences of 0..20, products of 0..12
L3     sums and differences of two-digit numbers
L4     two operations on one-digit numbers, products before sums
====== =============================================================

Whether a problem belongs to train or test depends only on a hash of its operations and of its operands,
regardless of their order: 12 + 34 and 34 + 12 are always on the same side, and no seed, size, level or style
can put a test problem into a training set. A set of either side may be kept apart from others likewise.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product
from typing import Literal, NamedTuple, TypedDict, get_args

from rlvr.config.catalogue import ArithmeticData
from rlvr.errors import UserError
from rlvr.seeds import derive_seed

Level = Literal["L1", "L2", "L3", "L4"]
Operation = Literal["+", "-", "*"]
Split = Literal["train", "test"]
Style = Literal["question", "bare"]
Pair = tuple[tuple[str, ...], tuple[int, ...]]
"""The operations and the operands of a problem, both without their order."""

TEST_ONE_IN = 5
"""Every fifth operand pair on average is a test pair."""

_OPERANDS: dict[str, dict[str, range]] = {
    "L1": {"+": range(10), "-": range(10), "*": range(10)},
    "L2": {"+": range(21), "-": range(21), "*": range(13)},
    "L3": {"+": range(10, 100), "-": range(10, 100)},
}
_L4_OPERANDS = range(10)


class Problem(TypedDict):
    """One row of a problem file."""

    id: str
    problem: str
    answer: str
    origin: str


class Expression(NamedTuple):
    """Two or three ``operands`` joined by one or two ``operations``."""

    operands: tuple[int, ...]
    operations: tuple[str, ...]

    def text(self, space: str = "") -> str:
        """Return the expression as written, for example ``12+34``."""
        rest = zip(self.operations, self.operands[1:], strict=True)
        return str(self.operands[0]) + "".join(f"{space}{sign}{space}{operand}" for sign, operand in rest)

    def value(self) -> int:
        """Return the value of the expression; products bind more tightly than sums and differences."""
        terms = [self.operands[0]]
        for operation, operand in zip(self.operations, self.operands[1:], strict=True):
            if operation == "*":
                terms[-1] *= operand
            else:
                terms.append(operand if operation == "+" else -operand)
        return sum(terms)

    def pair(self) -> Pair:
        """Return operations and operands regardless of their order."""
        return tuple(sorted(self.operations)), tuple(sorted(self.operands))

    def split(self) -> Split:
        """Return the side of the split, regardless of the order of operands."""
        operations, operands = self.pair()
        key = derive_seed("arithmetic split", *operations, *operands)
        return "test" if key % TEST_ONE_IN == 0 else "train"


def problems_of(entry: ArithmeticData) -> list[Problem]:
    """Generate the problems of an entry of `datasets.yaml`.

    Raises:
        UserError: see :func:`generate`.
    """
    apart_from = {pair for other in entry.apart_from for pair in pairs_of(other)}
    return generate(**entry.model_dump(exclude={"source", "apart_from"}), apart_from=apart_from)


def pairs_of(entry: ArithmeticData) -> set[Pair]:
    """Return operations and operands of the problems of an entry, regardless of their order."""
    return {_expression(problem["id"]).pair() for problem in problems_of(entry)}


def _expression(text: str) -> Expression:
    """Read an expression as :meth:`Expression.text` writes it."""
    return Expression(tuple(map(int, re.findall(r"\d+", text))), tuple(re.findall(r"\D", text)))


def generate(
    levels: Sequence[Level],
    operations: Sequence[Operation],
    split: Split,
    size: int,
    seed: int,
    style: Style = "question",
    apart_from: Collection[Pair] = frozenset(),
) -> list[Problem]:
    """Generate ``size`` different problems, with equal shares of levels and operations as far as possible.

    Args:
        levels: the levels to mix.
        operations: the operations to mix; a level uses those that it has.
        split: ``train`` or ``test``; the two never share an operand pair.
        size: number of problems.
        seed: selects the problems and their order.
        style: ``question`` ("What is 12 + 34?") or ``bare`` ("12+34").
        apart_from: operands and operations that no problem may have.

    Raises:
        UserError: an argument is not one of the allowed values, a level has none of the operations, or
            there are fewer than ``size`` problems.
    """
    _check("style", [style], get_args(Style))
    pools = [
        Pool(level, [one for one in pool if one.pair() not in apart_from] if apart_from else pool)
        for level, pool in _pools(levels, operations, split)
    ]
    total = len({expression for _, pool in pools for expression in pool})
    if not 1 <= size <= total:
        raise UserError(
            f"arithmetic data, size: {size}, but levels {list(levels)} with operations "
            f"{list(operations)} have {total} different {split} problems"
            f"{' apart from the others' if apart_from else ''}; set size to 1..{total}"
        )

    def place(expression: Expression) -> int:
        return derive_seed(seed, "arithmetic order", split, expression.text())

    chosen: dict[Expression, str] = {}
    for level, expression in _in_turn([Pool(level, sorted(pool, key=place)) for level, pool in pools]):
        if len(chosen) == size:
            break
        chosen.setdefault(expression, level)
    return [_problem(expression, chosen[expression], style) for expression in sorted(chosen, key=place)]


class Pool(NamedTuple):
    """The expressions of one level with one operation or pair of operations."""

    level: str
    expressions: list[Expression]


def _pools(levels: Sequence[str], operations: Sequence[str], split: Split) -> list[Pool]:
    """Return a pool for every level and every operation or pair of operations in it."""
    _check("levels", levels, get_args(Level))
    _check("operations", operations, get_args(Operation))
    _check("split", [split], get_args(Split))
    pools = []
    for level in dict.fromkeys(levels):
        has = [
            operation for operation in get_args(Operation) if level == "L4" or operation in _OPERANDS[level]
        ]
        wanted = [operation for operation in has if operation in operations]
        if not wanted:
            raise UserError(
                f"arithmetic data, operations: level {level} has none of {list(operations)}; "
                f"choose from {', '.join(has)}"
            )
        for signs in product(wanted, repeat=2 if level == "L4" else 1):
            operands = _L4_OPERANDS if level == "L4" else _OPERANDS[level][signs[0]]
            every = (Expression(chosen, signs) for chosen in product(operands, repeat=len(signs) + 1))
            pools.append(Pool(level, [one for one in every if one.value() >= 0 and one.split() == split]))
    return pools


def _in_turn(pools: Iterable[Pool]) -> Iterator[tuple[str, Expression]]:
    """Yield one expression of each pool in turn until all pools are empty."""
    waiting = [(level, iter(pool)) for level, pool in pools]
    while waiting:
        still_waiting = []
        for level, pool in waiting:
            expression = next(pool, None)
            if expression is not None:
                yield level, expression
                still_waiting.append((level, pool))
        waiting = still_waiting


def _problem(expression: Expression, level: str, style: Style) -> Problem:
    text = f"What is {expression.text(' ')}?" if style == "question" else expression.text()
    return Problem(
        id=expression.text(), problem=text, answer=str(expression.value()), origin=f"arithmetic/{level}"
    )


def _check(name: str, values: Sequence[str], allowed: Sequence[str]) -> None:
    unknown = [value for value in values if value not in allowed]
    if unknown or not values:
        what = repr(unknown[0]) if unknown else "an empty list"
        raise UserError(f"arithmetic data, {name}: {what} is not allowed; choose from {', '.join(allowed)}")
