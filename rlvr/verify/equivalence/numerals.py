"""Answers that are plain numerals: exact, in-process, without computer algebra."""

import re
from fractions import Fraction

_NUMERAL = re.compile(r"([+-]?)(\d{1,3}(?:,\d{3})+|\d*)(?:\.(\d+))?", re.ASCII)
_LONGEST_DECIMAL = 400

ABSOLUTE_TOLERANCE = Fraction(1, 10**6)
RELATIVE_TOLERANCE = Fraction(1, 10**5)
_ROUNDING_OF_LARGE = Fraction(1, 10**12)


def integer_text(text: str) -> str | None:
    """Return the canonical digits of a plain integer (sign, thousands commas, leading zeros), else None.

    The number stays text: a model may write a million digits, and comparing text is cheap.
    """
    match = _NUMERAL.fullmatch(text.strip())
    if match is None or match.group(3) is not None or not match.group(2):
        return None
    digits = match.group(2).replace(",", "").lstrip("0")
    if not digits:
        return "0"
    return f"-{digits}" if match.group(1) == "-" else digits


def decimal_value(text: str) -> Fraction | None:
    """Return the exact value of a plain decimal numeral of reasonable length, else None."""
    match = _NUMERAL.fullmatch(text.strip())
    if match is None or len(text) > _LONGEST_DECIMAL or not (match.group(2) or match.group(3)):
        return None
    sign, whole, fraction = match.group(1), match.group(2).replace(",", ""), match.group(3) or ""
    value = Fraction(int((whole + fraction) or "0"), 10 ** len(fraction))
    return -value if sign == "-" else value


def tolerance(gold: Fraction) -> Fraction:
    """Return the largest allowed difference of a decimal from ``gold``.

    1e-6, for small numbers 1e-5 of their size: math-verify rounds to six decimals, which makes 2^-98 and
    2^-99 equal; here a small number needs five correct digits. Very large numbers may differ in the twelfth
    digit, unless they are integers.
    """
    size = abs(gold)
    close = min(ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE * size)
    return close if gold.denominator == 1 else max(close, _ROUNDING_OF_LARGE * size)


def numerals_agree(gold: str, answer: str) -> bool | None:
    """Compare two plain numerals; None where one of them is not one."""
    gold_digits, answer_digits = integer_text(gold), integer_text(answer)
    if gold_digits is not None and answer_digits is not None:
        return gold_digits == answer_digits
    gold_value, answer_value = decimal_value(gold), decimal_value(answer)
    if gold_value is None or answer_value is None:
        return None
    return abs(gold_value - answer_value) <= tolerance(gold_value)
