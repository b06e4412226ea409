"""Recognise golds that are no answers (stand-ins, solutions, lists written as text), and choice letters."""

import re
from typing import Literal, NamedTuple

from rlvr.data.json_text import container_in

GoldKind = Literal["sentinel_answer", "marked_answer", "list_answer", "sentence_answer", "choice_letter"]

UNMATCHABLE = frozenset({"sentinel_answer", "marked_answer", "list_answer", "sentence_answer", "text_answer"})
"""Kinds of gold answers that a correct answer hardly matches; settings of `Checks`."""

OTHER_COLUMN = "did you mean another `columns.answer`, or `columns.answer_form: after-hashes` or `boxed`?"
"""Advice where many golds are no answers and nothing in them tells why."""

MISREAD = UNMATCHABLE - {"sentinel_answer"}
"""Those that come from a wrong column or form, if most golds are so; data may well have as many stand-ins."""

_SENTINELS = frozenset(
    {
        "", "?", "-", "--", "...", "<na>", "answer not found", "n.a", "n/a", "na", "nan", "nil", "no answer",
        "no answer found", "no answer provided", "no final answer", "none", "not applicable", "not available",
        "not found", "not given", "not provided", "notfound", "notprovided", "null", "proof", "proof omitted",
        "proof problem", "prove", "proved", "q.e.d", "qed", "see above", "see proof", "see solution",
        "see the solution", "tbd", "todo", "unanswered", "unknown",
    }
)  # fmt: skip
"""Not among them, because they are answers: no solution, undefined, infinity, `\\text{empty}`, impossible."""
_PROOF = re.compile(r"(?:see |the )*proof\b[^\d=]*")
_WRAPPER = re.compile(
    r"\$+(.*?)\$+|\\(?:text|textbf|textit|mathrm|mathbf|operatorname|mbox)\s*\{([^{}]*)\}", re.S
)
_LETTER = re.compile(r"[(\[]?[A-J][)\].:]?")
_MARKS = (("####", re.compile("####")), (r"\boxed", re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")))
_FORMS = {"####": "after-hashes", r"\boxed": "boxed"}
_FORMULA = re.compile(r"\$[^$]*\$|\\\(.*?\\\)|\\\[.*?\\\]|\\[A-Za-z]+", re.S)
_WORD = re.compile(r"[^\W\d_]{2,}")
_HAN = re.compile(r"[\u4e00-\u9fff]{6}")
_MOST_WORDS = 4
"""Words of an answer in words, such as "Monday, Tuesday and Friday"; more are a sentence."""
_LEAST_WORDS = 3
"""Words of a sentence that ends with a full stop."""


class GoldFinding(NamedTuple):
    """What a gold answer is instead of an answer, and what to do if many golds are."""

    kind: GoldKind
    reason: str
    advice: str


def gold_finding(gold: str, column: str) -> GoldFinding | None:
    """Return what is conspicuous about a gold answer, None if it looks like an answer.

    Args:
        gold: the gold answer, stripped.
        column: the column that it was read from, for the advice.
    """
    bare = _unwrapped(gold)
    said = " ".join(bare.replace("_", " ").split()).casefold()
    if said in _SENTINELS or said.rstrip(".") in _SENTINELS or _PROOF.fullmatch(said):
        return GoldFinding(
            "sentinel_answer",
            f"{gold!r} stands for a missing answer, but a completion that says so would be correct",
            "",
        )
    for mark, pattern in _MARKS:
        if pattern.search(gold):
            return GoldFinding(
                "marked_answer",
                f"the answer contains {mark}",
                f"did you mean `columns.answer_form: {_FORMS[mark]}`?",
            )
    if found := _list_finding(gold, column):
        return found
    if _LETTER.fullmatch(bare):
        return GoldFinding("choice_letter", f"{gold!r} is the letter of a choice", "")
    if _is_sentence(gold):
        return GoldFinding(
            "sentence_answer",
            f"{_shortened(gold)!r} is a sentence, so only the same words are correct",
            OTHER_COLUMN,
        )
    return None


def _list_finding(gold: str, column: str) -> GoldFinding | None:
    """Return the finding of a list or object written as text, which `[0, 1]`, an interval, is not."""
    value = container_in(gold)
    if isinstance(value, dict):
        keys = [str(key) for key in value]
        advice = f"name the answer in it, such as `columns.answer: {column}.{keys[0] if keys else 'KEY'}`"
        return GoldFinding("list_answer", f"{_shortened(gold)!r} is an object written as text", advice)
    if isinstance(value, list) and (len(value) < 2 or any(isinstance(item, str | dict) for item in value)):
        advice = (
            "did you mean `columns.answer_form: any-of` (each is correct) or `all-of` (all are required)?"
        )
        return GoldFinding("list_answer", f"{_shortened(gold)!r} is a list written as text", advice)
    return None


def _unwrapped(gold: str) -> str:
    r"""Remove `$..$`, `\text{..}` and the like around a whole answer."""
    while match := _WRAPPER.fullmatch(gold):
        gold = next(part for part in match.groups() if part is not None).strip()
    return gold


def _is_sentence(gold: str) -> bool:
    if "\\begin{" not in gold and len([line for line in gold.splitlines() if line.strip()]) > 1:
        return True
    words = len(_WORD.findall(_FORMULA.sub(" ", gold)))
    ends = gold.rstrip("$ ")[-1:] in tuple(".!?\u3002")
    return words > _MOST_WORDS or (ends and words >= _LEAST_WORDS) or _HAN.search(gold) is not None


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}.."
