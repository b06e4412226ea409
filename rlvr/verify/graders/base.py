"""What a grader is to the pool and to the worker."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from typing import ClassVar, NamedTuple, TypedDict

from rlvr.config.choices import AnswerRule, Status
from rlvr.config.choices import Grader as GraderName
from rlvr.errors import UserError
from rlvr.verify.verdict import Item

FOREIGN_RULES_VERSION = "1"
"""Raise it whenever a rule of a foreign grader changes a verdict; stored grades are then graded again."""


class Question(NamedTuple):
    """One comparison."""

    answer: str
    """The extracted answer, or the whole completion where the library extracts."""
    golds: tuple[str, ...]
    """Gold answers; one match is enough."""
    problem: str = ""
    """Text of the problem; graders that compare the answer with it read it."""
    rule: AnswerRule = "equal"
    """How the answer is checked."""


class Decision(NamedTuple):
    """A verdict without its time."""

    correct: bool
    status: Status
    extracted: str | None


class Reply(TypedDict, total=False):
    """What a worker replies to a question."""

    outcome: str
    """`equal`, `different`, `unparsed_gold` or `no_answer`."""
    extracted: str | None
    """The answer, where the library extracted it."""
    error: str
    """Instead of an outcome: the type of the exception that ended the comparison."""


class Grader(ABC):
    """A set of rules: which part of a completion is its answer, and when that equals the gold answer.

    The parent process extracts, a worker process compares; only `compare` may import computer algebra.
    """

    name: ClassVar[GraderName]
    library: ClassVar[str]
    """The package that decides, part of the version."""
    extracts: ClassVar[bool] = True
    """False where the library gets whole completions; the worker then returns the answer that it found."""

    @property
    def version(self) -> str:
        """The version of rules and library that every grade carries."""
        return f"{self.name}-{FOREIGN_RULES_VERSION}+{self.library}-{version(self.library)}"

    @abstractmethod
    def question(self, item: Item) -> Question | None:
        """Return what to compare, None where the completion has no answer."""

    def decided_at_once(self, question: Question) -> Decision | None:
        """Decide without computer algebra; None where only a worker can."""
        return None

    @abstractmethod
    def compare(self, golds: Sequence[str], answer: str) -> Reply:
        """Compare an answer with its gold answers; runs in the worker process only."""


class ForeignGrader(Grader):
    """A grader of other authors: one gold answer, no answer format, no truncation."""

    def question(self, item: Item) -> Question | None:
        """Return what to compare, None where the completion has no answer.

        Raises:
            UserError: answers are checked by another rule than by comparison with the gold answer.
        """
        if item.rule != "equal":
            raise UserError(f"the grader {self.name} cannot check {item.rule}; use the grader rlvr")
        answer = self.extract(item.text)
        return None if answer is None else Question(answer, (item.gold,))

    def extract(self, text: str) -> str | None:
        """Return the answer of a completion; the whole completion where the library extracts."""
        return text

    def compare(self, golds: Sequence[str], answer: str) -> Reply:
        """Compare an answer with the one gold answer."""
        (gold,) = golds
        return self.compare_with(gold, answer)

    @abstractmethod
    def compare_with(self, gold: str, answer: str) -> Reply:
        """Compare an answer with the gold answer; runs in the worker process only."""
