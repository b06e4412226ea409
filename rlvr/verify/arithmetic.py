r"""Reading arithmetic from left to right, and its exact value.

:class:`ArithmeticReader` knows sums, products, signs and brackets; what they become is up to its subclasses:
a number here, an expression in canonical form in `rlvr.verify.unevaluated.parser`.
"""

import re
from abc import ABC, abstractmethod
from fractions import Fraction
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")

TOKEN = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:\.\d+)?|\.\d+"
    r"|\\[A-Za-z]+|\\.|[^\s]",
    re.DOTALL | re.ASCII,
)
DEEPEST = 40
"""Brackets inside each other."""
LONGEST = 500
"""Characters of an expression that is evaluated."""
MOST_NUMBERS = 20
LONGEST_NUMBER = 12
"""Digits; together with `MOST_NUMBERS` this bounds every value on the way to the result."""

_PLAIN_NUMBER = re.compile(r"0|[1-9]\d*", re.ASCII)
_SAME = {
    **dict.fromkeys([r"\times", r"\cdot", "×", "⋅", "·"], "*"), **dict.fromkeys([r"\div", "÷"], "/"),
    "−": "-", **dict.fromkeys([r"\dfrac", r"\tfrac"], r"\frac"),
}  # fmt: skip
_LAYOUT = frozenset(["$", r"\left", r"\right", r"\(", r"\)", r"\[", r"\]", r"\,", r"\;", r"\:", r"\!", r"\ "])


class Unreadable(Exception):
    """The text is not an expression."""


class ArithmeticReader(ABC, Generic[Value]):
    """Reads tokens by recursive descent."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0

    @abstractmethod
    def number(self, digits: str) -> Value:
        """Return what a numeral becomes."""

    @abstractmethod
    def total(self, terms: list[Value]) -> Value:
        """Return a sum."""

    @abstractmethod
    def multiplied(self, factors: list[Value]) -> Value:
        """Return a product."""

    @abstractmethod
    def negative(self, term: Value) -> Value:
        """Return a term with the other sign."""

    @abstractmethod
    def inverse(self, divisor: Value) -> Value:
        """Return one over a divisor."""

    @property
    def next(self) -> str:
        """The token that is read next; empty at the end."""
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        """Return the next token and go past it."""
        token = self.next
        self.position += 1
        return token

    def skip(self, token: str) -> None:
        """Go past a token that must be there.

        Raises:
            Unreadable: it is not.
        """
        if self.take() != token:
            raise Unreadable

    def whole(self) -> Value:
        """Return what all tokens together become.

        Raises:
            Unreadable: they are not one expression.
        """
        value = self.sum()
        if self.position != len(self.tokens):
            raise Unreadable
        return value

    def sum(self) -> Value:
        """Read terms."""
        terms = [self.product()]
        while self.next in ("+", "-"):
            sign = self.take()
            term = self.product()
            terms.append(self.negative(term) if sign == "-" else term)
        return self.total(terms)

    def product(self) -> Value:
        """Read factors."""
        factors = [self.factor()]
        while True:
            if self.next in ("*", "/"):
                divides = self.take() == "/"
                factor = self.factor()
                factors.append(self.inverse(factor) if divides else factor)
            elif self.begins_atom():
                factors.append(self.power())
            else:
                return self.multiplied(factors)

    def begins_atom(self) -> bool:
        """Tell whether a factor without a sign before it follows."""
        return False

    def factor(self) -> Value:
        """Read a factor with its signs."""
        minus = False
        while self.next in ("+", "-"):
            minus ^= self.take() == "-"
        factor = self.power()
        return self.negative(factor) if minus else factor

    def power(self) -> Value:
        """Read what binds more tightly than a product: without powers, an atom."""
        return self.atom()

    def atom(self) -> Value:
        """Read a number or a group, nested no deeper than `DEEPEST`."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable
        value = self.shallow_atom()
        self.depth -= 1
        return value

    def shallow_atom(self) -> Value:
        """Read a number or a group."""
        if self.next == "(":
            return self.group("(", ")")
        return self.number(self.take())

    def group(self, opening: str, closing: str) -> Value:
        """Read a sum in brackets."""
        self.skip(opening)
        value = self.sum()
        self.skip(closing)
        return value


class Evaluated(NamedTuple):
    """An expression of whole numbers."""

    numbers: tuple[int, ...]
    """The numbers in it, sorted."""
    value: Fraction
    """Its exact value."""


def evaluate(text: str) -> Evaluated | None:
    r"""Return the numbers and the exact value of an expression; None where the text is not one.

    An expression is made of whole numbers without leading zeros, ``+ - * /``, signs and round brackets, also
    in LaTeX (``\times``, ``\div``, ``\frac{3}{4}``) and with the signs × ÷ −. Nothing may come before or
    after it. Powers, factorials, decimals, products without a sign and digits of other scripts are no part
    of it, nor is a division by zero. Time and memory are bounded: nothing is longer than `LONGEST`, nested
    deeper than `DEEPEST`, or has more than `MOST_NUMBERS` numbers of `LONGEST_NUMBER` digits.
    """
    return _evaluated(text) if len(text) <= LONGEST else None


@lru_cache(maxsize=4096)
def _evaluated(text: str) -> Evaluated | None:
    found = [_SAME.get(token, token) for token in TOKEN.findall(text) if token not in _LAYOUT]
    reader = _Exact(found)
    try:
        value = reader.whole()
    except Unreadable:
        return None
    return Evaluated(tuple(sorted(reader.numbers)), value)


class _Exact(ArithmeticReader[Fraction]):
    """Computes with fractions, and keeps the numbers that it reads."""

    def __init__(self, tokens: list[str]) -> None:
        super().__init__(tokens)
        self.numbers: list[int] = []

    def number(self, digits: str) -> Fraction:
        if len(digits) > LONGEST_NUMBER or not _PLAIN_NUMBER.fullmatch(digits):
            raise Unreadable
        if len(self.numbers) == MOST_NUMBERS:
            raise Unreadable
        self.numbers.append(int(digits))
        return Fraction(self.numbers[-1])

    def total(self, terms: list[Fraction]) -> Fraction:
        return sum(terms, Fraction(0))

    def multiplied(self, factors: list[Fraction]) -> Fraction:
        value = Fraction(1)
        for factor in factors:
            value *= factor
        return value

    def negative(self, term: Fraction) -> Fraction:
        return -term

    def inverse(self, divisor: Fraction) -> Fraction:
        if divisor == 0:
            raise Unreadable
        return 1 / divisor

    def shallow_atom(self) -> Fraction:
        if self.next != r"\frac":
            return super().shallow_atom()
        self.take()
        numerator = self.group("{", "}")
        return numerator * self.inverse(self.group("{", "}"))
