"""Check gold answers with the verifier, before anything is trained on them or graded with them."""

from collections.abc import Sequence
from typing import Literal

from rlvr.verify.pool import Verifier
from rlvr.verify.verdict import Item

GoldFault = Literal["unparsable_answer", "text_answer"]

_OTHER_ANSWER = "0.5772156649"
"""A number that no gold answer equals: the verifier has to parse the gold and cannot compare texts."""

PATIENT = 10.0
"""Seconds for one comparison: a busy machine must not make a data set fail, or change a table."""


def check_golds(golds: Sequence[str], workers: int = 1) -> list[GoldFault | None]:
    """Return the fault of each gold answer, None where there is none.

    - `unparsable_answer`: it is not correct even as an answer to itself, so no answer can be;
    - `text_answer`: it cannot be read as mathematics, so only the same text is correct.
    """
    with Verifier(workers, deadline=PATIENT) as verifier:
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
    """Tell for each pair whether the answer is correct given the gold answer."""
    with Verifier(deadline=PATIENT) as verifier:
        verdicts = verifier.verify_many(
            [_boxed(answer, gold) for gold, answer in zip(golds, answers, strict=True)]
        )
    return [verdict.correct for verdict in verdicts]


def _boxed(answer: str, gold: str) -> Item:
    return Item(text=rf"\boxed{{{answer}}}", gold=gold)
