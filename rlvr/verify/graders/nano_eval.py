r"""`nano-eval`: the authors' later evaluator (`PeRL@59e0b89 modules/eval/nanoeval/reward/math`).

The last ``\boxed``, compared by math-verify.
"""

import re

from rlvr.verify.graders.base import ForeignGrader, Reply
from rlvr.verify.graders.braces import braced


class NanoEval(ForeignGrader):
    """The last closed box, compared by math-verify."""

    name = "nano-eval"
    library = "math-verify"

    def extract(self, text: str) -> str | None:
        """Return the content of the last closed box; white space may precede its brace."""
        for match in reversed(list(re.finditer(r"\\boxed\b\s*", text))):
            content = braced(text, match.end())
            if content is not None:
                return content.strip() or None
        return None

    def compare_with(self, gold: str, answer: str) -> Reply:
        """Compare as text, else by math-verify."""
        from rlvr.verify.graders import library

        return library.reply(answer == gold or library.verified(gold, library.parsed(f"${answer}$")))
