r"""Repeating decimals as fractions: `0.1\overline{6}`, `0.\dot{3}`, `0.(27)`, `0.333...`."""

import re
from math import gcd

_MARKED = re.compile(
    r"(?<![\d.])(\d*)\.(\d*)(?:"
    r"\\(?:overline|bar)\s*(?:\{(\d+)\}|(\d))"
    r"|(\\dot\s*(?:\{\d\}|\d)(?:\d*\\dot\s*(?:\{\d\}|\d))?)"
    r"|(?<=\.)\((\d+)\)(?![\d^(])"
    r")(?![\d.])"
)
_DOTS = re.compile(r"(?<![\d.])(\d+)\.(\d{3,40})\s*(?:\\[lc]?dots(?![A-Za-z])|\.\s?\.\s?\.|…)\s*(?!\d)")
_LONGEST_PERIOD = 6
_LONGEST = 60


def with_fractions(text: str) -> str:
    """Replace repeating decimals by fractions; dots after digits without a period end a rounded decimal."""
    if "." not in text:
        return text
    return _DOTS.sub(_from_dots, _MARKED.sub(_from_marks, text))


def repeating_decimals(text: str) -> frozenset[str]:
    """Return the repeating decimals of a text, normalised or not, as fractions."""
    marked = map(_from_marks, _MARKED.finditer(text))
    dotted = map(_from_dots, _DOTS.finditer(text))
    return frozenset(found for found in (*marked, *dotted) if "." not in found)


def _from_marks(match: re.Match[str]) -> str:
    whole, lead = match[1], match[2]
    period = match[3] or match[4] or match[6] or "".join(re.findall(r"\d", match[5]))
    if len(whole + lead + period) > _LONGEST:
        return match.group()
    return _fraction(whole, lead, period)


def _from_dots(match: re.Match[str]) -> str:
    whole, digits = match[1], match[2]
    for length in range(1, _LONGEST_PERIOD + 1):
        seen = max(3, (2 if length == 2 else 3) * length)
        for lead in range(len(digits) - seen + 1):
            rest = digits[lead:]
            if all(digit == rest[index % length] for index, digit in enumerate(rest)):
                return _fraction(whole, digits[:lead], rest[:length])
    return f"{whole}.{digits}"


def _fraction(whole: str, lead: str, period: str) -> str:
    denominator = 10 ** len(lead) * (10 ** len(period) - 1)
    numerator = int(whole + lead + period) - int("0" + whole + lead)
    divisor = gcd(numerator, denominator)
    if denominator == divisor:
        return str(numerator // divisor)
    return rf"\frac{{{numerator // divisor}}}{{{denominator // divisor}}}"
