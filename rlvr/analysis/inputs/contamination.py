"""Which benchmark problems are in the training data."""

from pathlib import Path

import numpy as np

from rlvr.analysis.inputs.groups import Group
from rlvr.analysis.inputs.scores import Flags
from rlvr.artifacts import ContaminatedProblem, read_rows
from rlvr.config.resolved import StudyManifest
from rlvr.errors import UserError

Contamination = dict[str, Flags]
"""Benchmark -> whether each problem [N], in the order of the scores, is in the training data."""


def read_contamination(path: Path, study: StudyManifest, groups: list[Group]) -> Contamination:
    """Read ``contaminated_problems.csv`` (:class:`ContaminatedProblem`), made by ``rlvr contamination``.

    Args:
        path: CSV; without rows nothing is contaminated.
        study: names the data set of each benchmark.
        groups: their scores hold the problems of each benchmark, the same in all groups.

    Raises:
        UserError: the file is missing or damaged, or names a data set or problem that is not in the study.
    """
    frame = read_rows(path, ContaminatedProblem)
    problems = {
        benchmark.benchmark: groups[0].scores[benchmark.benchmark][0].problem_ids
        for benchmark in study.benchmarks
    }
    known = {(entry.dataset, problem) for entry in study.benchmarks for problem in problems[entry.benchmark]}
    listed = list(zip(frame["dataset"], frame["problem_id"], strict=True))
    for line, (dataset, problem) in enumerate(listed, start=2):
        if (dataset, problem) not in known:
            raise UserError(
                f"{path}, line {line}: no benchmark of the study has problem {problem!r} of data set "
                f"{dataset!r}; delete the file to rebuild it"
            )
    contaminated = set(listed)
    return {
        entry.benchmark: np.array(
            [(entry.dataset, problem) in contaminated for problem in problems[entry.benchmark]]
        )
        for entry in study.benchmarks
    }
