"""Splitting lists, tuples, chains of equations and inequalities into members; nothing is compared here."""

import re
from typing import NamedTuple

from rlvr.verify.equivalence.latex import TEXT_COMMAND, enclosed, is_text_command, split_outside_brackets
from rlvr.verify.equivalence.normalize import compact, normalize
from rlvr.verify.equivalence.numerals import decimal_value

_CONJUNCTION = re.compile(
    rf",?\s*{TEXT_COMMAND}\{{[\s,]*(?i:and|or)\s*\}}|,?\s*(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])"
    r"|\\(?:lor|vee)(?![A-Za-z])"
)
THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_APPROXIMATE = frozenset([r"\approx", r"\simeq"])
MEMBERSHIP = re.compile(r"^[A-Za-z]\s*\\in(?![A-Za-z])\s*")
_SIGNS = re.compile(r"\\(pm|mp)(?![A-Za-z])")
ORDER = re.compile(r"\s*([<>]|\\(?:le|ge|lt|gt)(?![A-Za-z]))\s*")
_RISING = {"<": "<", r"\lt": "<", r"\le": r"\le"}
_FALLING = {">": "<", r"\gt": "<", r"\ge": r"\le"}
_SUBSCRIPT = re.compile(r"_\s*(?:\{[^{}]*\}|\w)")
_EXACT_NAMES = re.compile(r"\\(?:pi|infty)(?![A-Za-z])")
_STRUCTURAL_COMMAND = re.compile(
    r"\\(?:frac|sqrt|cdot|times|div|binom|log|ln|exp|a?r?c?(?:sin|cos|tan)|pm|mp|le|ge|text|begin|end|p?matrix)"
    r"(?![A-Za-z])"
)
_NAME = re.compile(r"(?:[A-Za-z\s(){}',|]|\^\{?\\prime\}?|\\[A-Za-z]+)+")


def elements(text: str, spaced: bool) -> list[str]:
    """Return the members of a list or braced set, with one member for each sign of a plus-minus.

    ``spaced`` tells that the commas of `100,200,300` separate, although they could group digits.
    """
    text = MEMBERSHIP.sub("", _CONJUNCTION.sub(" , ", text))
    braces = enclosed(text)
    if braces and braces.opening == r"\{":
        text = braces.content
    if not spaced and THOUSANDS.fullmatch(text):
        return [text]
    if re.search(r",\s", text):
        text = re.sub(
            r"(?<![\d,])\d{1,3}(?:,\d{3})+(?!\d)", lambda match: match.group().replace(",", ""), text
        )
    parts = _rows(text) or split_outside_brackets(text, frozenset([",", ";"]))
    members = [member for part in parts if part for member in _with_each_sign(normalize(part))]
    return list({compact(member): member for member in members}.values())


def _rows(text: str) -> list[str] | None:
    """Return the tuples that `1,2; 3,4` or `p=5, q=2, p=7, q=2` lists, None where it lists none."""
    rows = [
        split_outside_brackets(row, frozenset([","]))
        for row in split_outside_brackets(text, frozenset([";"]))
    ]
    assignments = _assignments([part for row in rows for part in row])
    if assignments is not None:
        names = [name for name, _ in assignments]
        width = names.index(names[0], 1) if names[0] in names[1:] else 1
        if width == 1 or len(names) % width or names != names[:width] * (len(names) // width):
            return None
        values = [value for _, value in assignments]
        rows = [values[start : start + width] for start in range(0, len(values), width)]
    elif len(rows) == 1 or min(len(row) for row in rows) == 1:
        return None
    return [f"({', '.join(row)})" for row in rows]


class _Assignment(NamedTuple):
    name: str
    value: str


def _assignments(parts: list[str]) -> list[_Assignment] | None:
    """Return the names and values of a list like `p=5, q=2`, None where a part is not an assignment."""
    pairs = [split_outside_brackets(part, frozenset(["="])) for part in parts]
    if not all(len(pair) == 2 and is_name(pair[0]) for pair in pairs):
        return None
    return [_Assignment(name, value) for name, value in pairs]


def _with_each_sign(text: str) -> list[str]:
    if not _SIGNS.search(text):
        return [text]
    plus = _SIGNS.sub(lambda match: "+" if match.group(1) == "pm" else "-", text)
    minus = _SIGNS.sub(lambda match: "-" if match.group(1) == "pm" else "+", text)
    return [plus.removeprefix("+"), minus]


def tuple_members(text: str) -> list[str] | None:
    """Return the members of `(1, 2)`, None where the text is not a tuple of two or more."""
    brackets = enclosed(text)
    if brackets is None or (brackets.opening, brackets.closing) != ("(", ")"):
        return None
    members = split_outside_brackets(brackets.content, frozenset([",", ";"]))
    return members if len(members) > 1 else None


def values_by_name(text: str) -> list[str] | None:
    """Return the values of `y=2, x=1` in the order of the names, where these are different letters."""
    parts = split_outside_brackets(_CONJUNCTION.sub(" , ", text), frozenset([",", ";"]))
    assignments = _assignments(parts)
    if assignments is None or len({name for name, _ in assignments}) < max(2, len(parts)):
        return None
    if all(len(name) == 1 for name, _ in assignments):
        assignments.sort()
    return [value for _, value in assignments]


def rising_chain(text: str) -> list[str] | None:
    """Return members and signs of a chain of two or more inequalities, from the smallest to the largest."""
    parts = ORDER.split(text)
    for signs, step in ((_RISING, 1), (_FALLING, -1)):
        if len(parts) > 4 and all(sign in signs for sign in parts[1::2]):
            return [signs.get(part, part) for part in parts[::step]]
    return None


def chain_members(text: str) -> list[str]:
    """Return the members that the equals signs of a text connect."""
    if re.search(r"[<>!:]=|\\begin", text):
        return [text]
    parts = [_without_approximation(part) for part in split_outside_brackets(text, frozenset(["="])) if part]
    return parts or [text]


def approximation(text: str) -> tuple[str, str] | None:
    r"""Return the two sides of `\sqrt{2} \approx 1.414`, None where a text is no value with its decimal."""
    sides = split_outside_brackets(text, _APPROXIMATE)
    if len(sides) != 2 or not sides[0] or decimal_value(sides[1]) is None:
        return None
    exact = split_outside_brackets(sides[0], frozenset(["="]))[-1]
    return None if is_name(exact) else (exact, sides[1])


def _without_approximation(member: str) -> str:
    r"""Return the exact side of `1/3 \approx 0.333`, and the value of `x \approx 0.333`."""
    sides = [side for side in split_outside_brackets(member, _APPROXIMATE) if side]
    if len(sides) < 2:
        return member
    return sides[1] if is_name(sides[0]) else sides[0]


def claimed_values(members: list[str], gold: str) -> list[str]:
    """Return the members of a chain that claim a value: for a numeric gold, those without unknowns."""
    if has_unknowns(gold):
        return members[1:] if is_name(members[0]) else members
    return [member for member in members if not (has_unknowns(member) or _is_wording(member))]


def _is_wording(text: str) -> bool:
    return is_text_command(text) and re.search(r"\d", text) is None


def has_unknowns(text: str) -> bool:
    """Tell whether ``text`` contains a symbol other than e, i and pi."""
    bare = _STRUCTURAL_COMMAND.sub(" ", _EXACT_NAMES.sub(" ", re.sub(r"\\text\{[^{}]*\}", " ", text)))
    return re.search(r"[A-Za-df-hj-z]|\\[A-Za-z]{2,}", bare) is not None


def is_name(text: str) -> bool:
    r"""Tell whether ``text`` only names a quantity: `x`, `f(x)`, `S_{3}`, `\angle ABC`, `\frac{dx}{dt}`."""
    return _NAME.fullmatch(_SUBSCRIPT.sub("", text)) is not None
