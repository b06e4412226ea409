"""The copy floor of a data set: how often copying the last formula of the prompt is graded correct.

A policy that learns to copy earns this reward without solving anything.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rlvr.config.catalogue import LocalData
from rlvr.config.choices import AnswerRule, Status
from rlvr.data.problems import ALTERNATES, RULE, optional_column, read_problems
from rlvr.data.reading import read_entry
from rlvr.errors import UserError
from rlvr.verify.gold_answers import PATIENT
from rlvr.verify.graders.own import OwnGrader
from rlvr.verify.pool import Verifier
from rlvr.verify.unevaluated.problem import last_formula
from rlvr.verify.verdict import Item

_WIDTH = 28


class GradedProblem(NamedTuple):
    """What copying needs of a problem."""

    problem: str
    answer: str
    alternates: tuple[str, ...] = ()
    rule: AnswerRule = "equal"


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyFloor:
    """What copying earns on a data set."""

    problems: int
    """Problems of the data set."""
    correct: int
    """Problems whose last formula is graded correct."""
    statuses: Counter[Status]
    """Status -> copies that have it; `no_answer` includes the problems without a formula."""
    correct_without_rule: int | None
    """Correct copies if unevaluated answers were compared; None where that was not measured."""

    @property
    def share(self) -> float:
        """Share of the problems that copying solves."""
        return self.correct / self.problems


def measure_copy_floor(
    problems: Sequence[GradedProblem], without_rule: bool = False, workers: int = 1
) -> CopyFloor:
    r"""Grade `\boxed{FORMULA}` for every problem, with the last formula of its text.

    Args:
        problems: at least one problem.
        without_rule: also grade without the rule on unevaluated answers. Computer algebra then compares
            every formula, which takes minutes for 10,000 problems.
        workers: worker processes of the verifier.
    """
    copies = [
        Item(
            text=rf"\boxed{{{formula}}}",
            gold=problem.answer,
            alternates=problem.alternates,
            problem=problem.problem,
            rule=problem.rule,
        )
        for problem in problems
        if (formula := last_formula(problem.problem)) is not None
    ]
    with Verifier(workers, PATIENT) as verifier:
        verdicts = verifier.verify_many(copies)
    statuses = Counter(verdict.status for verdict in verdicts)
    statuses["no_answer"] += len(problems) - len(copies)
    correct = sum(verdict.correct for verdict in verdicts)
    freed: int | None = None
    if without_rule:
        refused = [
            item for item, verdict in zip(copies, verdicts, strict=True) if verdict.status == "unevaluated"
        ]
        with Verifier(workers, PATIENT, grader=OwnGrader(refuse_unevaluated=False)) as verifier:
            freed = correct + sum(verdict.correct for verdict in verifier.verify_many(refused))
    return CopyFloor(problems=len(problems), correct=correct, statuses=+statuses, correct_without_rule=freed)


def print_copy_floors(paths: Sequence[Path], without_rule: bool) -> None:
    """Print the copy floor of data sets, one line each.

    Raises:
        UserError: a file is missing or damaged, or has no problem.
    """
    width = max(_WIDTH, *(len(path.stem) for path in paths))
    heading = f"{'data set':{width}}  problems      correct"
    print(heading + ("      without rule" if without_rule else "") + "  status of the copies")
    for path in paths:
        floor = measure_copy_floor(_read(path), without_rule, workers=os.cpu_count() or 1)
        cells = [f"{path.stem:{width}}  {floor.problems:8}", _counted(floor.correct, floor.problems)]
        if floor.correct_without_rule is not None:
            cells.append(_counted(floor.correct_without_rule, floor.problems))
        statuses = ", ".join(f"{status} {count}" for status, count in floor.statuses.most_common())
        print("  ".join([*cells, statuses]))


def _counted(count: int, total: int) -> str:
    return f"{count:6} ({count / total:6.2%})"


def _read(path: Path) -> list[GradedProblem]:
    if path.suffix == ".parquet":
        frame = read_problems(path)
        alternates = map(tuple, optional_column(frame, ALTERNATES))
        columns = (frame["problem"], frame["answer"], alternates, optional_column(frame, RULE))
        return [GradedProblem(*row) for row in zip(*columns, strict=True)]
    rows = read_entry(LocalData(source="local", path=str(path))).rows
    if not rows:
        raise UserError(f"{path}: no row has a problem and an answer")
    return [GradedProblem(row.problem, row.answer, tuple(row.alternates), row.rule) for row in rows]
