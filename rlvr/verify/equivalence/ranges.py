r"""Intervals and solved inequalities, `(3, \infty)` and `x > 3`, joined by "or" or "and"."""

import re
from collections import Counter
from typing import NamedTuple

from rlvr.verify.equivalence.latex import TEXT_COMMAND, enclosed, split_outside_brackets
from rlvr.verify.equivalence.members import MEMBERSHIP, ORDER, has_unknowns, is_name

_BRACKETS = {"<": "(", r"\lt": "(", r"\le": "[", ">": "(", r"\gt": "(", r"\ge": "["}
_RISING = frozenset(["<", r"\lt", r"\le"])
_CLOSING = {"(": ")", "[": "]"}
_TEXT = TEXT_COMMAND + r"\{[\s,]*"
_OR = re.compile(
    rf"[\s,]*(?:{_TEXT}or\s*\}}|(?<![A-Za-z\\])or(?![A-Za-z])|\\(?:lor|vee|cup)(?![A-Za-z]))\s*",
    re.IGNORECASE,
)
_AND = re.compile(
    rf"[\s,]*(?:{_TEXT}(?:and|but)\s*\}}|(?<![A-Za-z\\])and(?![A-Za-z])|\\(?:land|wedge|cap)(?![A-Za-z]))\s*",
    re.IGNORECASE,
)
_BUILDER = re.compile(
    r"\\\{\s*([A-Za-z])\s*(?:\\in\s*\\mathbb\s*\{?\s*R\s*\}?\s*)?(?:\\mid|\\vert|\||:)\s*(.*)\\\}"
)
_RELATION = re.compile(r"[<>=]|\\(?:le|ge|lt|gt|ne|neq)(?![A-Za-z])")
_ALL = re.compile(r"\\mathbb\s*\{?\s*R\s*\}?")
_MOST_PARTS = 8


class Interval(NamedTuple):
    """Brackets and ends of an interval; the ends are texts."""

    opening: str
    low: str
    high: str
    closing: str


class Range(NamedTuple):
    """A union of intervals, and how it is written."""

    intervals: list[Interval]
    names: frozenset[str]
    """The quantities of its inequalities; empty where it is written with brackets only."""


def as_range(text: str) -> Range | None:
    """Return the union of intervals that a text states, None where it states none."""
    builder = _BUILDER.fullmatch(text.strip())
    text = builder[2].strip() if builder else MEMBERSHIP.sub("", text.strip())
    if _ALL.fullmatch(text):
        return Range([Interval("(", r"-\infty", r"\infty", ")")], frozenset())
    parts = [part.strip() for part in _OR.split(text)]
    if len(parts) > _MOST_PARTS:
        return None
    intervals = [_interval(part) for part in parts]
    if any(one is None for one in intervals):
        return None
    sides = [
        side
        for part in parts
        for half in _AND.split(part)
        for side in ORDER.split(half)[::2]
        if is_name(side)
    ]
    names = frozenset("".join(side.split()) for side in sides if ORDER.search(text) and side != r"\infty")
    return Range([one for one in intervals if one is not None], names)


def _interval(text: str) -> Interval | None:
    both = _AND.split(text)
    if len(both) == 2:
        sides = [_interval(part) for part in both]
        if sides[0] is None or sides[1] is None:
            return None
        return _intersection(sides[0], sides[1])
    if len(both) > 2:
        return None
    parts = ORDER.split(text)
    if len(parts) == 1:
        return _bracketed(text)
    if len(parts) == 3:
        return _half_line(*parts)
    if len(parts) == 5 and (parts[1] in _RISING) == (parts[3] in _RISING):
        low, first, middle, second, high = parts if parts[1] in _RISING else parts[::-1]
        if is_name(middle) and not (has_unknowns(low) or has_unknowns(high)):
            return Interval(_BRACKETS[first], low, high, _CLOSING[_BRACKETS[second]])
    return None


def _bracketed(text: str) -> Interval | None:
    brackets = enclosed(text)
    if brackets is None or brackets.opening not in _CLOSING or brackets.closing not in _CLOSING.values():
        return None
    ends = split_outside_brackets(brackets.content, frozenset([","]))
    if len(ends) != 2:
        return None
    low, high = (end.removeprefix("+") for end in ends)
    return Interval(brackets.opening, low, high, brackets.closing)


def _half_line(left: str, sign: str, right: str) -> Interval | None:
    if is_name(right) and not is_name(left):
        left, right, rising = right, left, sign not in _RISING
    elif is_name(left) and not is_name(right):
        rising = sign in _RISING
    else:
        return None
    if has_unknowns(right):
        return None
    if rising:
        return Interval("(", r"-\infty", right, _CLOSING[_BRACKETS[sign]])
    return Interval(_BRACKETS[sign], right, r"\infty", ")")


def _intersection(one: Interval, other: Interval) -> Interval | None:
    """Return what two half-lines in opposite directions share; it is empty where they do not meet."""
    for below, above in ((one, other), (other, one)):
        if below.low == r"-\infty" and above.high == r"\infty":
            return Interval(above.opening, above.low, below.high, below.closing)
    return None


def connective(text: str) -> str | None:
    r"""Return `and` or `or` where the word joins relations, else None.

    Between values the words mean the same, as do equations of one unknown: `x=2` and `x=3` are its roots.
    """
    for word, pattern in (("or", _OR), ("and", _AND)):
        parts = pattern.split(text)
        if len(parts) < 2 or not all(_RELATION.search(part) for part in parts):
            continue
        names = Counter(part.partition("=")[0].strip() for part in parts if "=" in part)
        if len(names) == 1 and sum(names.values()) == len(parts):
            continue
        return word
    return None
