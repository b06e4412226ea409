"""What the verifier makes of gold answers, before anything is trained on or graded against them."""

from collections.abc import Sequence
from typing import Literal

from rlvr.verify.pool import Verifier
from rlvr.verify.verdict import Item

GoldFault = Literal["unparsable_answer", "text_answer"]

_OTHER_ANSWER = "0.5772156649"
"""A number that no gold answer is, so that the verifier has to read the gold and cannot compare texts."""

_PATIENT = 10.0
"""Seconds for one comparison: a busy machine must not refuse a data set, or change a table."""


def check_golds(golds: Sequence[str], workers: int = 1) -> list[GoldFault | None]:
    """Return for each gold answer what is wrong with it.

    - `unparsable_answer`: as an answer it is not right, so that nothing will ever be;
    - `text_answer`: it cannot be read as mathematics, and only the same text is right.
    """
    with Verifier(workers, deadline=_PATIENT) as verifier:
        themselves = verifier.verify_many([_boxed(gold, gold) for gold in golds])
        others = verifier.verify_many([_boxed(_OTHER_ANSWER, gold) for gold in golds])
    return [
        "unparsable_answer"
        if not same.correct
        else "text_answer"
        if other.status == "unparsed_gold"
        else None
        for same, other in zip(themselves, others, strict=True)
    ]


def agree(golds: Sequence[str], answers: Sequence[str]) -> list[bool]:
    """Return for each pair whether the answer is right by the gold answer."""
    with Verifier(deadline=_PATIENT) as verifier:
        verdicts = verifier.verify_many(
            [_boxed(answer, gold) for gold, answer in zip(golds, answers, strict=True)]
        )
    return [verdict.correct for verdict in verdicts]


def _boxed(answer: str, gold: str) -> Item:
    return Item(text=rf"\boxed{{{answer}}}", gold=gold)
