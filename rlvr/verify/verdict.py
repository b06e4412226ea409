"""What the verifier takes and gives, and the version that every verdict carries."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

AnswerFormat = Literal["boxed", "answer-line", "first-line-number", "lenient"]
FinishReason = Literal["stop", "length"]
GraderName = Literal["rlvr", "released-eval", "released-reward", "nano-eval", "math-verify"]
Status = Literal["ok", "no_answer", "unparsed_gold", "timeout", "error"]

RULES_VERSION = "2"
"""Raise it whenever a rule of this package changes a verdict: stored grades are then known to be stale."""

VERIFIER_VERSION = f"{RULES_VERSION}+math-verify-{version('math-verify')}"
"""Own rules and math-verify together: `28%` alone changed its meaning between math-verify 0.8 and 0.9."""


@dataclass(frozen=True)
class Item:
    r"""One completion to judge.

    ``text`` is the completion without its prompt, ``gold`` the bare gold answer (no ``$``, no ``\boxed``),
    ``alternates`` further texts that count as the gold answer.
    """

    text: str
    gold: str
    alternates: Sequence[str] = ()
    answer_format: AnswerFormat = "boxed"
    finish_reason: str = "stop"


@dataclass(frozen=True)
class Verdict:
    """The judgement of one completion.

    ``status`` says how it came about, and only ``ok`` can be correct:

    - ``ok``: gold and answer were compared;
    - ``no_answer``: the completion holds no finished answer in the format asked for;
    - ``unparsed_gold``: the gold answer is no mathematics we can read and the answer is not the same text;
    - ``timeout``: the comparison was killed at the deadline;
    - ``error``: the answer was refused before parsing (see `rlvr.verify.equivalence.precheck`) or the comparison broke.

    ``seconds`` is the wall time of extraction and comparison, without waiting for a free worker.
    """

    correct: bool
    status: Status
    extracted: str | None
    seconds: float
