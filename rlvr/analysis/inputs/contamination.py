"""Which benchmark problems the models may have seen in training."""

from pathlib import Path

import numpy as np
import pandas as pd

from rlvr.analysis.inputs.groups import Group
from rlvr.analysis.inputs.scores import Verdicts
from rlvr.config.resolved import StudyManifest
from rlvr.errors import UserError

COLUMNS = ["dataset", "problem_id"]

Seen = dict[str, Verdicts]
"""Benchmark -> whether each problem [N], in the order of the scores, was seen in training."""


def read_seen(path: Path, study: StudyManifest, groups: list[Group]) -> Seen:
    """Read ``contaminated.csv``: a row a benchmark problem that stands in the training data as well.

    Args:
        path: CSV with the columns ``dataset problem_id`` and any others; a header alone is no contamination.
        study: names the data set of each benchmark.
        groups: their scores hold the problems of each benchmark, the same in all groups.

    Raises:
        UserError: the file is missing or damaged, or names a data set or problem that the study lacks.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{path}: file not found; make it with `rlvr overlap`") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable CSV file ({error}); delete it to rebuild it") from None
    for column in COLUMNS:
        if column not in frame.columns:
            raise UserError(f"{path}: column {column!r} is missing; delete the file to rebuild it")
    problems = {
        benchmark.benchmark: groups[0].scores[benchmark.benchmark][0].problem_ids
        for benchmark in study.benchmarks
    }
    known = {(entry.dataset, problem) for entry in study.benchmarks for problem in problems[entry.benchmark]}
    contaminated = list(zip(frame["dataset"], frame["problem_id"], strict=True))
    for line, (dataset, problem) in enumerate(contaminated, start=2):
        if (dataset, problem) not in known:
            raise UserError(
                f"{path}, line {line}: no benchmark of the study has problem {problem!r} of data set "
                f"{dataset!r}; delete the file to rebuild it"
            )
    seen = set(contaminated)
    return {
        entry.benchmark: np.array([(entry.dataset, problem) in seen for problem in problems[entry.benchmark]])
        for entry in study.benchmarks
    }
