"""The rule of Countdown: an expression of given numbers that equals a target.

The gold answer is one solution; it tells the numbers and the target. Correct is every expression that uses
each of the numbers exactly once, as in TinyZero (github.com/Jiayi-Pan/TinyZero,
verl/utils/reward_score/countdown.py), and has exactly the value of the target. What an expression is, and
that nothing may come before or after it (so no ``= 24``), says :func:`rlvr.verify.arithmetic.evaluate`;
nothing is run as code.
"""

from collections.abc import Sequence

from rlvr.verify.arithmetic import evaluate
from rlvr.verify.graders.base import Decision


def identity(gold: str) -> str:
    """Return the numbers, sorted, and the target that a solution tells: equal for two texts of one problem.

    Raises:
        ValueError: it is not an expression.
    """
    found = evaluate(gold)
    if found is None:
        raise ValueError(f"{gold!r} is not an expression")
    return f"countdown {' '.join(map(str, found.numbers))} = {found.value}"


def decide(answer: str, golds: Sequence[str]) -> Decision:
    """Return whether an expression solves what one of the gold answers solves."""
    solutions = [evaluate(gold) for gold in golds]
    if None in solutions:
        return Decision(False, "unparsed_gold", answer)
    return Decision(evaluate(answer) in solutions, "ok", answer)
