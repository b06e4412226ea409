r"""Remarks that close an answer and leave its value: `(approximately)`, `in total`, `k \in \mathbb{Z}`."""

import re
from typing import NamedTuple

from rlvr.verify.equivalence.latex import TEXT_COMMAND, without_text_commands

_PLACES = r"(?:the nearest [a-z]+|(?:\d|two|three|four) (?:decimal places?|significant (?:figures|digits)))"
_REMARK = (
    r"(?:approximately|approx\.?|exactly|exact|simplified|in (?:simplest|lowest|reduced) (?:form|terms)"
    rf"|in total|in all|total|altogether|overall|rounded(?: to {_PLACES})?|to {_PLACES})"
)
_TEXT = TEXT_COMMAND + r"\{"
_CLOSING = re.compile(
    rf"(?<=\S)[\s,;]*(?:\({_REMARK}\)|{_TEXT}[\s,;]*\(?{_REMARK}\)?\s*\}}|\(\s*{_TEXT}\s*{_REMARK}\s*\}}\s*\)"
    rf"|(?<=[\s,;]){_REMARK})[\s.]*$",
    re.IGNORECASE,
)
_CLOSING_IN_TEXT = re.compile(rf"({_TEXT}[^{{}}]*?[a-z])\s+{_REMARK}\s*\}}$", re.IGNORECASE)
_LABEL = r"(?:the )?(?:final |correct )?(?:answer|result)(?: is)?\s*[:=]?"
_OPENING = re.compile(
    rf"^(?:\\(?:approx|simeq)(?![A-Za-z])|{_TEXT}\s*(?:approximately|approx\.?|exactly|{_LABEL})\s*\}}"
    r"|(?:approximately|approx\.?|exactly)(?![A-Za-z]))\s*(?=\S)",
    re.IGNORECASE,
)

_LETTER = r"(?:[A-Za-z](?:_(?:\w|\{\w+\}))?|\\(?:alpha|beta|lambda|mu|theta|phi))"
_LETTERS = rf"{_LETTER}(?:\s*(?:,|and)\s*{_LETTER})*"
_EACH = r"(?:(?:for|where|with|and|any|all|every|each|some|arbitrary|\\forall|\\,)\s*)*"
_KIND = (
    r"(?:(?:an?|the)\s+)?(?:(?:any|all|arbitrary|positive|non-?negative|non-?zero|fixed|real|complex)[\s-]+)*"
    r"(?:integers?|(?:natural|real|complex|rational|whole) numbers?|numbers?|reals?"
    r"|constants?(?: of integration)?|parameters?)"
)
_SET = (
    r"\\in\s*(?:\\(?:mathbb|mathbf|mathrm)\s*\{?\s*(?P<set>[ZNRQC])\s*\}?"
    r"|\\(?P<short>[ZNRQC])(?![A-Za-z])|(?P<bare>[ZNRQC]))(?P<part>(?:\s*[\^_]\s*(?:\{[^{}]*\}|[+*\d-]))*)"
)
_BOUND = r"(?P<bound>(?:\\ge|>)\s*[01]|\\ne\s*0)"
_RANGE = re.compile(
    rf"(?:[,;]\s*|(?<=[\w)}}'])\s+|(?P<open>\())\s*{_EACH}"
    rf"(?:(?P<symbol>{_LETTERS})(?![A-Za-z])\s*(?:{_SET}|{_BOUND}|(?:is|being|are|both)?\s*{_KIND})"
    rf"|(?:for\s+(?:all|every|each|any)|\\forall)\s+(?P<every>{_LETTERS})(?![A-Za-z])"
    rf"|(?:for|where|with)\s+(?:(?:any|all|every|each|some)\s+)?{_KIND}\s+(?P<named>{_LETTERS})(?![A-Za-z]))"
    r"\s*(?(open)\))[\s.]*$"
)
_MOST_TRIES = 4
_KINDS = {"integer": "Z", "natural": "N", "whole": "N", "real": "R", "complex": "C", "rational": "Q"}


def without_remark(text: str) -> str:
    """Drop a closing remark that changes no value, and the mark of an approximation before a value."""
    if not re.search(r"[A-Za-z]{4}", text):
        return text
    return _OPENING.sub("", _CLOSING.sub("", _CLOSING_IN_TEXT.sub(r"\1}", text)))


class Family(NamedTuple):
    """A value for every value of a parameter."""

    value: str
    parameter: str
    numbers: str
    """`Z`, `N`, `R` and so on, empty where only a constant is named."""


def family(text: str) -> Family | None:
    r"""Split `k\pi, k \in \mathbb{Z}` or `cx^2 \text{ for any real c}`; None if the text is no family."""
    if not re.search(
        r"\\(?:in|ge|ne)(?![A-Za-z])|>|integer|number|real|constant|parameter|for |forall", text
    ):
        return None
    plain = " ".join(without_text_commands(text).split())
    match = _RANGE.search(plain)
    for _ in range(_MOST_TRIES):
        if match is None:
            return None
        value = plain[: match.start()].strip(" ,;")
        parameter = match["symbol"] or match["named"] or match["every"]
        names = [name for name in re.split(r",|\band\b|\s", parameter) if name]
        if all(re.search(rf"(?<!\\){re.escape(name)}", value) for name in names):
            break
        match = _RANGE.search(plain, match.start() + 1)
    else:
        return None
    if match["bound"] and re.search(r"[<>]|\\(?:le|ge|ne)(?![A-Za-z])", value):
        return None
    named = match["set"] or match["short"] or match["bare"]
    if named:
        return Family(value, parameter, named + re.sub(r"[\s{}^_]", "", match["part"] or ""))
    words = match.group()
    numbers = next((letter for word, letter in _KINDS.items() if word in words), "")
    sign = "+" if "positive" in words else ">=0" if re.search(r"non-?negative", words) else ""
    return Family(value, parameter, numbers + sign)
