"""Grade a few completions with a grader."""

from rlvr.config.choices import Grader as GraderName
from rlvr.verify.pool import Verifier
from rlvr.verify.verdict import Item, Verdict


def graded(grader: GraderName, *items: Item, deadline: float = 10.0) -> list[Verdict]:
    """Return the verdicts; the deadline leaves room for a busy machine."""
    with Verifier(grader=grader, deadline=deadline) as verifier:
        return verifier.verify_many(items)
