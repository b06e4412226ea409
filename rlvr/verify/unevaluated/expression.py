r"""Expressions in a canonical form that no trivial change of notation alters.

Nothing is evaluated: `2+3` is not `5`. But `3+2`, `(2)+3+0` and `1\cdot 2+3` are `2+3`: terms and factors are
sorted, groups are flattened, zeros and ones are dropped, opposite terms and inverse factors cancel, a
quotient is a product with an inverse, a root is a power.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Literal

_DIGITS = frozenset("0123456789")

Kind = Literal["number", "symbol", "sum", "product", "power", "call"]


@dataclass(frozen=True, eq=False)
class Expression:
    """A node: a number or symbol with its text, or an operation with its name and operands."""

    kind: Kind
    text: str
    operands: tuple["Expression", ...] = ()

    @cached_property
    def key(self) -> str:
        """Text that equal expressions share."""
        if not self.operands and self.kind != "call":
            return self.text
        return f"{self.text}({' '.join(operand.key for operand in self.operands)})"

    @property
    def leaves(self) -> int:
        """Numbers and symbols in it, signs and inverses not counted."""
        return self.atoms.total()

    @cached_property
    def parts(self) -> frozenset[str]:
        """Keys of this expression and of all operations in it."""
        below = frozenset(chain.from_iterable(operand.parts for operand in self.operands))
        return below | {self.key} if self.operands else below

    @cached_property
    def height(self) -> int:
        """Operations on the longest path from it to a number or symbol."""
        return 1 + max((operand.height for operand in self.operands), default=-1)

    @cached_property
    def atoms(self) -> Counter[str]:
        """Numbers and symbols in it -> how often, signs not counted."""
        if self.kind in ("number", "symbol"):
            return Counter() if self.text == "-1" else Counter([self.text])
        return sum((operand.atoms for operand in self.operands), Counter())

    @cached_property
    def shape(self) -> str:
        """The key with a blank for each number and symbol and without signs."""
        if self.kind in ("number", "symbol"):
            return "" if self.text == "-1" else "#"
        shapes = [operand.shape for operand in self.operands if operand.shape]
        commutes = self.kind in ("sum", "product")
        if commutes and len(shapes) == 1:
            return shapes[0]
        return f"{self.text}({' '.join(sorted(shapes) if commutes else shapes)})"

    @property
    def compound(self) -> bool:
        """Whether it is more than a number or a symbol with its sign."""
        unsigned = [operand for operand in self.operands if operand.text != "-1"]
        return (
            len(unsigned) > 1
            or any(operand.operands for operand in unsigned)
            or self.kind in ("power", "call")
        )

    def fills_in(self, formula: "Expression") -> bool:
        """Tell whether it is a formula of numbers and letters with numbers in the place of the letters."""
        constants = Counter({atom: count for atom, count in formula.atoms.items() if atom[0] in _DIGITS})
        return (
            0 < constants.total() < formula.leaves
            and not any(atom.isalpha() for atom in self.atoms)
            and self.shape == formula.shape
            and constants <= self.atoms
        )

    def contains(self, other: "Expression") -> bool:
        """Tell whether ``other`` is one of the operations in it, or some of the terms or factors of one."""
        if self.key == other.key:
            return True
        if self.kind == other.kind and self.kind in ("sum", "product"):
            mine = Counter(operand.key for operand in self.operands)
            if Counter(operand.key for operand in other.operands) <= mine:
                return True
        return any(operand.contains(other) for operand in self.operands if operand.leaves >= other.leaves)


ZERO = Expression("number", "0")
ONE = Expression("number", "1")
MINUS_ONE = Expression("number", "-1")


def number(digits: str) -> Expression:
    """Return a numeral without thousands commas and insignificant zeros."""
    whole, point, fraction = digits.replace(",", "").partition(".")
    fraction = fraction.rstrip("0")
    return Expression("number", (whole.lstrip("0") or "0") + (point + fraction if fraction else ""))


def symbol(name: str) -> Expression:
    r"""Return a letter or a command such as `\pi`."""
    return Expression("symbol", name)


def call(name: str, *operands: Expression) -> Expression:
    """Return a function or bracket with its operands, in order."""
    return Expression("call", name, operands)


def total(terms: list[Expression]) -> Expression:
    """Return a sum."""
    flat = [part for one in terms for part in (one.operands if one.kind == "sum" else (one,))]
    return _sorted(
        "sum", "+", _without_pairs([part for part in flat if part.key != ZERO.key], negative), ZERO
    )


def negative(term: Expression) -> Expression:
    """Return a term with the other sign; a sum changes the sign of its terms."""
    if term.kind == "sum":
        return total([negative(part) for part in term.operands])
    return product([MINUS_ONE, term])


def product(factors: list[Expression]) -> Expression:
    """Return a product with at most one sign, in front."""
    flat = [part for one in factors for part in (one.operands if one.kind == "product" else (one,))]
    signs = sum(part.text == "-1" for part in flat)
    rest = [part for part in flat if part.key not in (ONE.key, MINUS_ONE.key)]
    if ZERO.key in (part.key for part in rest):
        return ZERO if len(rest) == 1 else _sorted("product", "*", rest, ONE)
    unsigned = _sorted("product", "*", _without_pairs(rest, inverse), ONE)
    if signs % 2 == 0:
        return unsigned
    if unsigned.key == ONE.key:
        return MINUS_ONE
    operands = unsigned.operands if unsigned.kind == "product" else (unsigned,)
    return Expression("product", "*", (MINUS_ONE, *operands))


def inverse(divisor: Expression) -> Expression:
    """Return one over an expression."""
    if divisor.kind == "product":
        return product([inverse(factor) for factor in divisor.operands])
    if divisor.key in (ONE.key, MINUS_ONE.key):
        return divisor
    if divisor.kind == "power":
        return power(divisor.operands[0], negative(divisor.operands[1]))
    return power(divisor, MINUS_ONE)


def power(base: Expression, exponent: Expression) -> Expression:
    """Return a power; exponents of a power multiply."""
    if exponent.key == ONE.key:
        return base
    if base.kind == "power":
        return power(base.operands[0], product([base.operands[1], exponent]))
    return Expression("power", "^", (base, exponent))


def root(radicand: Expression, index: Expression) -> Expression:
    """Return a root as a power."""
    return power(radicand, inverse(index))


def _without_pairs(
    operands: list[Expression], opposite: Callable[[Expression], Expression]
) -> list[Expression]:
    """Remove terms with their negatives, or factors with their inverses."""
    left: dict[str, list[Expression]] = {}
    for operand in operands:
        partners = left.get(opposite(operand).key)
        if partners:
            partners.pop()
        else:
            left.setdefault(operand.key, []).append(operand)
    return [operand for equal in left.values() for operand in equal]


def _sorted(kind: Kind, name: str, operands: list[Expression], empty: Expression) -> Expression:
    if len(operands) < 2:
        return operands[0] if operands else empty
    return Expression(kind, name, tuple(sorted(operands, key=lambda operand: operand.key)))
