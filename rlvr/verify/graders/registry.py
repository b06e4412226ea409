r"""The rules of others beside ours, so that the effect of each can be measured on the same stored samples.

- ``released-eval``: the authors' evaluation (`MikaStars39/PeRL@78899ba perl/eval/grader.py`, there
  `grade_answer_perl`): the last ``\boxed`` anywhere, thinking included, else a last line that starts with
  "Answer:"; right where MATH's or PRM800K's string form agrees, or where sympy finds the difference of the
  latter to be zero.
- ``released-reward``: their training reward (`perl/data/openr1.py` at release a5ec6c3): math-verify on the
  whole completion, LaTeX only and only where anchored (a box, or "the answer is $..$").
- ``nano-eval``: their later evaluator (`PeRL@59e0b89 modules/eval/nanoeval/reward/math`): the last
  ``\boxed``, compared by math-verify.
- ``math-verify``: the library as it comes, on the whole completion, with the gold in dollar signs.

They know one gold (no alternates), no answer format, and no truncation. Differences from the originals: model
text is never run as code (`rlvr.verify.graders.released_algebra` stands for sympy's `parse_expr`); the wall clock of
the pool, not an alarm, ends a comparison; the installed math-verify judges, where the authors had 0.8.0.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

from rlvr.verify.verdict import Item

RULES_VERSION = "1"
"""Raise it whenever a rule of these graders changes a verdict: stored grades are then known to be stale."""


@dataclass(frozen=True)
class ReleasedGrader:
    """What the pool must know about a grader; its comparison runs in the worker (`released_compare`)."""

    extract: Callable[[Item], str | None]
    """The text that is compared, None for no answer."""
    library: str
    """The package that decides, part of the version."""
    takes_whole_text: bool = False
    """Extraction is left to the library; the worker says what it found."""

    def version(self, name: str) -> str:
        """Return what `verifier_version` of its grades says."""
        return f"{name}-{RULES_VERSION}+{self.library}-{version(self.library)}"


def released_eval_answer(text: str) -> str | None:
    """Return the answer that the authors' evaluation compares; None where it gives 0 without comparing."""
    if r"\boxed" in text:
        answer = _braced(text, text.rfind(r"\boxed") + len(r"\boxed"))
    else:
        last_line = text.strip().split("\n")[-1]
        if not last_line.startswith("Answer:"):
            return None
        answer = last_line.removeprefix("Answer:").strip().removesuffix(".")
        if answer.startswith("$") and answer.endswith("$"):
            answer = answer[1:-1]
    return answer if answer and answer.strip() else None


def last_box(text: str) -> str | None:
    """Return the content of the last closed box; white space may stand before its brace."""
    for match in reversed(list(re.finditer(r"\\boxed\b\s*", text))):
        content = _braced(text, match.end())
        if content is not None:
            return content.strip() or None
    return None


def _braced(text: str, start: int) -> str | None:
    """Return what stands between the brace at ``start`` and the one that closes it; escaped ones count."""
    if text[start : start + 1] != "{":
        return None
    depth = 0
    for brace in re.finditer(r"[{}]", text[start:]):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return text[start + 1 : start + brace.start()]
    return None


RELEASED_GRADERS = {
    "released-eval": ReleasedGrader(lambda item: released_eval_answer(item.text), "sympy"),
    "released-reward": ReleasedGrader(lambda item: item.text, "math-verify", takes_whole_text=True),
    "nano-eval": ReleasedGrader(lambda item: last_box(item.text), "math-verify"),
    "math-verify": ReleasedGrader(lambda item: item.text, "math-verify", takes_whole_text=True),
}
"""Name -> grader; ours is `rlvr` and stands in `rlvr.verify.pool`."""
