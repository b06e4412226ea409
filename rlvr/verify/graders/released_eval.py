r"""`released-eval`: the authors' evaluation (`grade_answer_perl` in their `perl/eval/grader.py`).

From `MikaStars39/PeRL@78899ba`. It takes the last ``\boxed`` anywhere, thinking included, else a last line
that starts with "Answer:". Correct if the string form of MATH or of PRM800K agrees, or if sympy finds the
difference of the latter to be zero.
"""

import re

from rlvr.verify.graders.base import ForeignGrader, Reply
from rlvr.verify.graders.braces import braced
from rlvr.verify.graders.released_eval_text import (
    is_integer,
    math_form,
    prm800k_form,
    without_thousands_commas,
)

_BRACKETS = "()[]"
_FRACTION = re.compile(r"-?[0-9]+.?/0*[1-9][0-9]*.?")
_COSTLY = re.compile(r"\^\{|\^\(|\^[0-9]+\^|\^[0-9][0-9]+")
"""Powers that PRM800K's grader does not compare, because sympy might hang."""
_MOST_LETTERS = 2


class ReleasedEval(ForeignGrader):
    """String forms first, sympy last."""

    name = "released-eval"
    library = "sympy"

    def extract(self, text: str) -> str | None:
        """Return the answer that is compared; None where theirs gives 0 without comparing."""
        if r"\boxed" in text:
            answer = braced(text, text.rfind(r"\boxed") + len(r"\boxed"))
        else:
            last_line = text.strip().split("\n")[-1]
            if not last_line.startswith("Answer:"):
                return None
            answer = last_line.removeprefix("Answer:").strip().removesuffix(".")
            if answer.startswith("$") and answer.endswith("$"):
                answer = answer[1:-1]
        return answer if answer and answer.strip() else None

    def compare_with(self, gold: str, answer: str) -> Reply:
        """Compare both string forms, the second one member by member."""
        equal = math_form(gold) == math_form(answer) or _equal_to_prm800k(
            prm800k_form(gold), prm800k_form(answer)
        )
        return {"outcome": "equal" if equal else "different"}


def _equal_to_prm800k(gold: str, answer: str) -> bool:
    """Compare two normalised answers: as text, else member by member with sympy."""
    if gold == answer:
        return True
    if not answer or not gold:
        return False
    golds, answers = _members(gold), _members(answer)
    if len(golds) != len(answers):
        return False
    if len(golds) > 1 and (gold[0], gold[-1]) != (answer[0], answer[-1]):
        return False
    return all(_equal_members(*pair) for pair in zip(golds, answers, strict=True))


def _members(text: str) -> list[str]:
    """Return the members of a tuple or interval without brackets inside, else the text itself."""
    text = without_thousands_commas(text)
    inside = text[1:-1]
    if inside and text[0] in _BRACKETS and text[-1] in _BRACKETS and not set(_BRACKETS) & set(inside):
        return [member.strip() for member in inside.split(",")]
    return [text]


def _equal_members(gold: str, answer: str) -> bool:
    """Compare two members; fractions must be written alike, and an integer only equals an integer."""
    if _FRACTION.fullmatch(gold) and _FRACTION.fullmatch(answer):
        return gold == answer
    if is_integer(gold) != is_integer(answer):
        return False
    return _difference_is_zero(gold, answer)


def _difference_is_zero(gold: str, answer: str) -> bool:
    import sympy

    from rlvr.verify.graders import released_eval_algebra

    difference = f"({gold})-({answer})"
    letters = {character for character in re.sub("sqrt|frac", "", difference) if character.isalpha()}
    if len(letters) > _MOST_LETTERS or _COSTLY.search(difference):
        return False
    try:
        return bool(sympy.simplify(released_eval_algebra.parse(difference)) == 0)
    except MemoryError:
        raise
    except Exception:  # theirs counts what it cannot read or simplify as incorrect
        return False
