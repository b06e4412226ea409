"""Refuse answers whose value or shape is too expensive, before algebra sees them.

A power tower of a dozen characters keeps a computer algebra system busy forever (math-verify issues #63 and
#65). The check reads the text once and bounds the number of decimal digits of its numbers from above.
"""

import math
import re

from rlvr.verify.equivalence.latex import nesting_depth

LONGEST_ANSWER = 1500
"""Characters; the longest gold of the usual benchmarks has about 250."""
LONGEST_NUMERAL = 500
DEEPEST_NESTING = 30
HIGHEST_TOWER = 10
MOST_DIGITS = 20_000.0
"""2024^4046 has 13,380 digits, 2004! has 5,737; both are answers of real benchmarks and issues."""

_TOKEN = re.compile(r"\d+(?:\.\d+)?|\\[A-Za-z]+|\\.|!+|\S", re.DOTALL | re.ASCII)
_OPENING = frozenset(["{", "(", "[", r"\{"])
_CLOSING = frozenset(["}", ")", "]", r"\}"])
_BINOMIALS = frozenset([r"\binom", r"\dbinom", r"\tbinom", r"\choose"])


def refusal(answer: str) -> str | None:
    """Return why a normalised answer must not be parsed, or None where it may be."""
    if len(answer) > LONGEST_ANSWER:
        return f"{len(answer)} characters, more than {LONGEST_ANSWER}"
    if any(len(numeral) > LONGEST_NUMERAL for numeral in re.findall(r"\d+", answer)):
        return f"a numeral of more than {LONGEST_NUMERAL} digits"
    if nesting_depth(answer) > DEEPEST_NESTING:
        return f"brackets nested deeper than {DEEPEST_NESTING}"
    if digits_bound(answer) > MOST_DIGITS:
        return f"numbers that may have more than {MOST_DIGITS:.0f} digits"
    return None


def digits_bound(answer: str) -> float:
    """Return an upper bound of the decimal digits of the largest number in ``answer``; may be infinite."""
    return _Estimate(_TOKEN.findall(answer)).of_group()


class _Estimate:
    """Reads tokens from left to right, adding the digits of all factors and terms of a group.

    A letter counts as no digit, as the base of a power as one.
    """

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0
        self.tower = 0

    def of_group(self) -> float:
        total = 0.0
        while self.position < len(self.tokens) and self.tokens[self.position] not in _CLOSING:
            total += self.of_atom_with_postfixes()
        self.position += 1
        return total

    def of_atom_with_postfixes(self) -> float:
        digits = self.of_atom()
        while self.position < len(self.tokens):
            token = self.tokens[self.position]
            if token == "^":
                self.position += 1
                digits = (digits or 1.0) * _value(self.of_exponent())
            elif token.startswith("!"):
                self.position += 1
                digits = _value(digits) * max(digits, 1.0) if len(token) < 3 else math.inf
            else:
                break
        return digits

    def of_exponent(self) -> float:
        """Return the digits of an exponent; powers bind to the right."""
        if self.position >= len(self.tokens):
            return 0.0
        if self.tower >= HIGHEST_TOWER:
            return math.inf
        self.tower += 1
        digits = self.of_atom_with_postfixes()
        self.tower -= 1
        return digits

    def of_atom(self) -> float:
        token = self.tokens[self.position]
        self.position += 1
        if token in _OPENING:
            return self.of_group()
        if token[0] in "0123456789":
            return _digits_of(token)
        if token in _BINOMIALS and self.position < len(self.tokens):
            return _value(self.of_atom())
        return 0.0


def _digits_of(numeral: str) -> float:
    whole = numeral.partition(".")[0].lstrip("0")
    fraction = len(numeral) - len(numeral.partition(".")[0])
    leading = math.log10(int(whole[:15])) + max(len(whole) - 15, 0) if whole else 0.0
    return max(leading, float(fraction))


def _value(digits: float) -> float:
    """Return a number with this many digits, at least 1."""
    return 10.0**digits if digits < 300 else math.inf
