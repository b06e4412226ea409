"""`math-verify`: the library as it is, on the whole completion, with the gold answer between dollar signs."""

from rlvr.verify.graders.base import ForeignGrader, Reply


class MathVerify(ForeignGrader):
    """math-verify with its defaults."""

    name = "math-verify"
    library = "math-verify"
    extracts = False

    def compare_with(self, gold: str, answer: str) -> Reply:
        """Let the library extract and compare."""
        from rlvr.verify.graders import library

        found = library.parsed(answer)
        return library.reply_on(found, library.verified(gold, found))
