"""What the verifier takes and returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rlvr.config.choices import AnswerFormat, AnswerRule, Status

ExtractionFormat = Literal[AnswerFormat, "lenient"]
"""The answer formats of a study, and one that accepts an answer anywhere; never for rewards."""

RULES_VERSION = "3"
"""Raise it whenever a rule of the project's grader changes a verdict; stored grades are then graded again."""


@dataclass(frozen=True)
class Item:
    r"""One completion to grade.

    ``text`` is the completion without its prompt, ``gold`` the bare gold answer (no ``$``, no ``\boxed``),
    ``alternates`` further answers that count as correct. ``problem`` is the problem without instructions: an
    answer that copies one of its formulas is not an answer; empty where it is unknown. ``rule`` tells how the
    answer is checked.
    """

    text: str
    gold: str
    alternates: Sequence[str] = ()
    answer_format: ExtractionFormat = "boxed"
    finish_reason: str = "stop"
    problem: str = ""
    rule: AnswerRule = "equal"


@dataclass(frozen=True)
class Verdict:
    """The verdict on one completion.

    ``status`` tells how it came about, and only ``ok`` can be correct:

    - ``ok``: gold and answer were compared;
    - ``no_answer``: the completion has no complete answer in the requested format;
    - ``unevaluated``: the answer repeats the problem, or is an operation to be carried out where the gold
      answer is a number (`rlvr.verify.unevaluated.rules`);
    - ``unparsed_gold``: the gold answer cannot be read as mathematics, and the answer is not the same text;
    - ``timeout``: the comparison was killed at the deadline;
    - ``error``: the answer was refused before parsing (`rlvr.verify.equivalence.precheck`), or the comparison
      failed.

    ``seconds`` is the wall time of extraction and comparison, without the wait for a free worker.
    """

    correct: bool
    status: Status
    extracted: str | None
    seconds: float
