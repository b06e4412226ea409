"""All graders by name, so that their effect can be measured on the same stored samples.

Foreign graders know one gold (no alternates), no answer format and no truncation. They differ from the
originals in three ways: model text is never run as code (`rlvr.verify.graders.released_eval_algebra` replaces
sympy's `parse_expr`); the wall clock of the pool ends a comparison, not an alarm; the installed math-verify
compares, where the authors had 0.8.0.
"""

from functools import cache

from rlvr.config.choices import Grader as GraderName
from rlvr.verify.graders.base import Grader
from rlvr.verify.graders.math_verify import MathVerify
from rlvr.verify.graders.nano_eval import NanoEval
from rlvr.verify.graders.own import OwnGrader
from rlvr.verify.graders.released_eval import ReleasedEval
from rlvr.verify.graders.released_reward import ReleasedReward

GRADERS: dict[str, Grader] = {
    grader.name: grader
    for grader in (OwnGrader(), ReleasedEval(), ReleasedReward(), NanoEval(), MathVerify())
}


@cache  # the workflow asks for every grade; metadata of packages are read from their files
def grader_version(name: GraderName) -> str:
    """Return the version of a grader's rules and of the library beneath them, as every grade carries it."""
    return GRADERS[name].version
