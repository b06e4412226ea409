"""The comparisons of the graders of `rlvr.verify.graders.registry`; they run in the worker process only.

math-verify's alarms are off, because the pool ends a comparison by the wall clock.
"""

import re
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify

from rlvr.verify.graders import released_algebra
from rlvr.verify.graders.released_text import is_integer, math_form, prm800k_form, without_thousands_commas

Reply = dict[str, Any]
"""`outcome` (equal, different or no_answer) and, where the library extracted it, the answer `extracted`."""

_BRACKETS = "()[]"
_FRACTION = re.compile(r"-?[0-9]+.?/0*[1-9][0-9]*.?")
_COSTLY = re.compile(r"\^\{|\^\(|\^[0-9]+\^|\^[0-9][0-9]+")
"""Powers that PRM800K's grader leaves uncompared, because sympy might hang."""
_MOST_LETTERS = 2

_REWARD_EXTRACTION = [
    LatexExtractionConfig(
        normalization_config=NormalizationConfig(units=True),
        boxed_match_priority=0,
        try_extract_without_anchor=False,
    )
]


def compare(grader: str, gold: str, answer: str) -> Reply:
    """Compare as ``grader`` does; ``answer`` is what its `extract` returned."""
    if grader == "released-eval":
        return _reply(_released_eval(gold, answer))
    if grader == "released-reward":
        return _released_reward(gold, answer)
    if grader == "nano-eval":
        return _reply(answer == gold or _verified(f"${gold}$", _parsed(f"${answer}$")))
    found = _parsed(answer)
    return _found_reply(found, _verified(f"${gold}$", found))


def _reply(equal: bool) -> Reply:
    return {"outcome": "equal" if equal else "different"}


def _found_reply(found: list[Any], equal: bool) -> Reply:
    if not found:
        return {"outcome": "no_answer", "extracted": None}
    return {**_reply(equal), "extracted": str(found[-1])}


def _parsed(text: str, **settings: Any) -> list[Any]:
    parsed: list[Any] = parse(text, parsing_timeout=None, **settings)
    return parsed


def _verified(gold: str, found: list[Any]) -> bool:
    return bool(verify(_parsed(gold), found, timeout_seconds=None))


def _released_reward(gold: str, text: str) -> Reply:
    parsed_gold = _parsed(gold)
    if not parsed_gold:
        return {**_reply(text.strip().lower() == gold.strip().lower()), "extracted": text.strip()}
    found = _parsed(text, extraction_config=_REWARD_EXTRACTION, extraction_mode="first_match")
    return _found_reply(found, verify(parsed_gold, found, timeout_seconds=None))


# --- the authors' evaluation --------------------------------------------------------------------


def _released_eval(gold: str, answer: str) -> bool:
    return math_form(gold) == math_form(answer) or _equal_to_prm800k(prm800k_form(gold), prm800k_form(answer))


def _equal_to_prm800k(gold: str, answer: str) -> bool:
    """Compare two normalised answers: as text, else member by member with sympy."""
    if gold == answer:
        return True
    if not answer or not gold:
        return False
    golds, answers = _members(gold), _members(answer)
    if len(golds) != len(answers):
        return False
    if len(golds) > 1 and (gold[0], gold[-1]) != (answer[0], answer[-1]):
        return False
    return all(_equal_members(*pair) for pair in zip(golds, answers, strict=True))


def _members(text: str) -> list[str]:
    """Return the members of a tuple or interval without brackets inside, else the text itself."""
    text = without_thousands_commas(text)
    inside = text[1:-1]
    if inside and text[0] in _BRACKETS and text[-1] in _BRACKETS and not set(_BRACKETS) & set(inside):
        return [member.strip() for member in inside.split(",")]
    return [text]


def _equal_members(gold: str, answer: str) -> bool:
    """Compare two members; fractions must be written alike, and an integer only equals an integer."""
    if _FRACTION.fullmatch(gold) and _FRACTION.fullmatch(answer):
        return gold == answer
    if is_integer(gold) != is_integer(answer):
        return False
    return _difference_is_zero(gold, answer)


def _difference_is_zero(gold: str, answer: str) -> bool:
    difference = f"({gold})-({answer})"
    letters = {character for character in re.sub("sqrt|frac", "", difference) if character.isalpha()}
    if len(letters) > _MOST_LETTERS or _COSTLY.search(difference):
        return False
    try:
        return bool(sympy.simplify(released_algebra.parse(difference)) == 0)
    except MemoryError:
        raise
    except Exception:  # theirs counts whatever it cannot read or simplify as wrong
        return False
