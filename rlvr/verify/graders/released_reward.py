"""`released-reward`: the authors' training reward (`perl/data/openr1.py` at release a5ec6c3).

math-verify on the whole completion, LaTeX only, and only where anchored (a box, or "the answer is $..$").
"""

from rlvr.verify.graders.base import ForeignGrader, Reply


class ReleasedReward(ForeignGrader):
    """math-verify on anchored LaTeX; an unreadable gold is compared as text."""

    name = "released-reward"
    library = "math-verify"
    extracts = False

    def compare_with(self, gold: str, answer: str) -> Reply:
        """Let the library extract and compare, as their reward calls it."""
        from rlvr.verify.graders import library

        parsed_gold = library.parsed(gold)
        if not parsed_gold:
            equal = answer.strip().lower() == gold.strip().lower()
            return {**library.reply(equal), "extracted": answer.strip()}
        found = library.parsed(
            answer, extraction_config=library.anchored_latex(), extraction_mode="first_match"
        )
        return library.reply_on(found, library.compared(parsed_gold, found))
