"""The project's grader: gives the rewards, and by default the grades."""

from collections.abc import Sequence
from importlib.metadata import version

from rlvr.verify import countdown
from rlvr.verify.equivalence.normalize import compact, normalize
from rlvr.verify.equivalence.numerals import numerals_agree
from rlvr.verify.equivalence.precheck import LONGEST_ANSWER, refusal
from rlvr.verify.extract import extract_answer
from rlvr.verify.graders.base import Decision, Grader, Question, Reply
from rlvr.verify.unevaluated.rules import copies_a_repeating_decimal, is_unevaluated
from rlvr.verify.verdict import RULES_VERSION, Item


class OwnGrader(Grader):
    """Extraction by answer format, comparison by outer form and math-verify, alternates accepted.

    Args:
        refuse_unevaluated: without it, copies of the problem are compared too; for measurements only.
    """

    name = "rlvr"
    library = "math-verify"

    def __init__(self, refuse_unevaluated: bool = True) -> None:
        self.refuse_unevaluated = refuse_unevaluated

    @property
    def version(self) -> str:
        """Own rules and math-verify: between its versions 0.8 and 0.9, `28%` alone changed its meaning."""
        return f"{RULES_VERSION}+{self.library}-{version(self.library)}"

    def question(self, item: Item) -> Question | None:
        """Return the answer in the requested format with all golds, None where there is no answer."""
        answer = extract_answer(item.text, item.answer_format, item.finish_reason)
        if answer is None:
            return None
        return Question(answer, (item.gold, *item.alternates), item.problem, item.rule)

    def decided_at_once(self, question: Question) -> Decision | None:
        """Decide plain numbers, equal texts, refused and unevaluated answers, and all of Countdown."""
        answer, golds, problem, rule = question
        if rule == "countdown":
            return countdown.decide(answer, golds)
        agreements = [numerals_agree(gold, answer) for gold in golds]
        if None in agreements and True not in agreements:
            if len(answer) > LONGEST_ANSWER:
                return Decision(False, "error", answer)
            if self.refuse_unevaluated and copies_a_repeating_decimal(answer, golds, problem):
                return Decision(False, "unevaluated", answer)
            plain, plain_golds = normalize(answer), [normalize(gold) for gold in golds]
            agreements = [
                compact(gold) == compact(plain) or numerals_agree(gold, plain) for gold in plain_golds
            ]
            if None in agreements and True not in agreements:
                if refusal(plain):
                    return Decision(False, "error", answer)
                if self.refuse_unevaluated and is_unevaluated(answer, golds, problem):
                    return Decision(False, "unevaluated", answer)
                return None
        return Decision(True in agreements, "ok", answer)

    def compare(self, golds: Sequence[str], answer: str) -> Reply:
        """Compare by outer form and computer algebra."""
        from rlvr.verify.equivalence import algebra

        return {"outcome": algebra.compare(list(golds), answer).value}
