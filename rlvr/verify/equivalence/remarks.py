"""Remarks that close an answer and leave its value as it is: `(approximately)`, `in total`, `k \\in \\mathbb{Z}`."""

import re
from typing import NamedTuple

from rlvr.verify.equivalence.latex import without_text_commands

_REMARK = (
    r"(?:approximately|approx\.?|exactly|exact|simplified|in (?:simplest|lowest|reduced) (?:form|terms)|in total|in all|total|"
    r"altogether|overall|rounded(?: to (?:the nearest [a-z]+|(?:\d|two|three|four) (?:decimal places?|significant (?:figures|digits))))?|"
    r"to (?:the nearest [a-z]+|(?:\d|two|three|four) (?:decimal places?|significant (?:figures|digits))))"
)
_CLOSING = re.compile(
    rf"(?<=\S)[\s,;]*(?:\({_REMARK}\)|\\(?:text\w*|mbox|mathrm)\s*\{{[\s,;]*\(?{_REMARK}\)?\s*\}}|"
    rf"\(\s*\\(?:text\w*|mbox|mathrm)\s*\{{\s*{_REMARK}\s*\}}\s*\)|(?:(?<=[\s,;]){_REMARK}))[\s.]*$",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"^(?:\\(?:approx|simeq)(?![A-Za-z])|(?:\\(?:text\w*|mbox|mathrm)\s*\{\s*)?(?:approximately|approx\.?|exactly)(?![A-Za-z])(?:\s*\})?)"
    r"\s*(?=\S)",
    re.IGNORECASE,
)

_SYMBOL = r"(?P<symbol>[A-Za-z](?:_(?:\w|\{\w+\}))?|\\(?:alpha|beta|lambda|mu|theta|phi))"
_EACH = r"(?:(?:for|where|with|and|any|all|every|each|some|arbitrary|\\forall|\\,)\s*)*"
_KIND = (
    r"(?:(?:an?|the)\s+)?(?:(?:any|all|arbitrary|positive|non-?negative|non-?zero|fixed|real|complex)[\s-]+)*"
    r"(?P<kind{}>integers?|(?:natural|real|complex|rational|whole) numbers?|numbers?|reals?|constants?(?: of integration)?|parameters?)"
)
_SET = (
    r"\\in\s*(?:\\(?:mathbb|mathbf|mathrm)\s*\{?\s*(?P<set>[ZNRQC])\s*\}?|\\(?P<short>[ZNRQC])(?![A-Za-z])|(?P<bare>[ZNRQC]))"
    r"(?P<part>(?:\s*[\^_]\s*(?:\{[^{}]*\}|[+*\d-]))*)"
)
_RANGE = re.compile(
    rf"(?:[,;]\s*|\s+|(?P<open>\())\s*{_EACH}(?:{_SYMBOL}\s*(?:{_SET}|(?P<bound>(?:\\ge|>)\s*[01]|\\ne\s*0)|(?:is|being|are)?\s*{_KIND.format(1)})"
    rf"|(?P<named>(?:for|where|with)\s+(?:(?:any|all|every|each|some)\s+)?){_KIND.format(2)}\s+{_SYMBOL.replace('symbol', 'symbol2')})\s*(?(open)\))[\s.]*$"
)
_KINDS = {"integer": "Z", "natural": "N", "whole": "N", "real": "R", "complex": "C", "rational": "Q"}


def without_remark(text: str) -> str:
    """Drop a closing remark that changes no value, and the mark of an approximation before a value."""
    if not re.search(r"[A-Za-z]{4}", text):
        return text
    return _OPENING.sub("", _CLOSING.sub("", text))


class Family(NamedTuple):
    """A value for every value of a parameter."""

    value: str
    parameter: str
    numbers: str
    """`Z`, `N`, `R` and so on, empty where only a constant is named."""


def family(text: str) -> Family | None:
    r"""Split `\frac{\pi}{4}+k\pi, k \in \mathbb{Z}` and `cx^2 \text{ for any real c}`; None if it is no family."""
    if not re.search(r"\\(?:in|ge|ne)(?![A-Za-z])|>|integer|number|real|constant|parameter", text):
        return None
    plain = " ".join(without_text_commands(text).split())
    match = _RANGE.search(plain)
    if match is None:
        return None
    value = plain[: match.start()].strip(" ,;")
    if match["bound"] and re.search(r"[<>]|\\(?:le|ge|ne)(?![A-Za-z])", value):
        return None
    parameter = match["symbol"] or match["symbol2"]
    if not re.search(rf"(?<!\\){re.escape(parameter)}", value):
        return None
    named = match["set"] or match["short"] or match["bare"]
    if named:
        return Family(value, parameter, named + re.sub(r"[\s{}^_]", "", match["part"] or ""))
    words = match.group()
    numbers = next((letter for word, letter in _KINDS.items() if word in words), "")
    sign = "+" if "positive" in words else ">=0" if re.search(r"non-?negative", words) else ""
    return Family(value, parameter, numbers + sign)
