"""Graded samples, read and checked.

A benchmark of a run is a rectangle of N problems x K samples. Anything else is an error that names the file
and the problem: a mean over the samples that happen to exist is another number under the same name.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlvr.artifacts import Grade, Row, Sample, StudyFolder, read_rows
from rlvr.config.resolved import BenchmarkEntry
from rlvr.errors import UserError

KEYS = ["problem_id", "sample_index"]
LENGTHS = [*KEYS, "n_tokens", "finish_reason", "seconds"]  # of a sample; its text is long, and is not needed
NOT_GRADED = ["unparsed_gold", "timeout", "error"]  # statuses of samples that could not be graded

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Scores:
    """The graded samples of one run on one benchmark; arrays are [N, K], problems sorted by id."""

    grades_path: Path
    problem_ids: list[str]
    verifier_version: str
    correct: Flags
    lenient: Flags
    extracted: NDArray[np.object_]
    no_answer: Flags
    unevaluated: Flags
    failed: Flags
    timed_out: Flags
    truncated: Flags
    tokens: NDArray[np.float64]
    seconds: NDArray[np.float64]


def read_scores(folder: StudyFolder, run: str, benchmark: BenchmarkEntry) -> Scores:
    """Read the grades and samples of a run on a benchmark as arrays of problems x samples.

    Raises:
        UserError: a file is missing or damaged; a sample is missing, duplicated or unexpected; the two files
            do not hold the same problems; or several versions of the grader were used.
    """
    grades_path = folder.grades(run, benchmark.benchmark)
    samples_path = folder.samples(run, benchmark.benchmark)
    samples_per_problem = benchmark.samples_per_problem
    grades = _rectangle(grades_path, Grade, Grade.columns(), samples_per_problem)
    samples = _rectangle(samples_path, Sample, LENGTHS, samples_per_problem)
    problem_ids = [str(problem) for problem in grades["problem_id"][::samples_per_problem]]
    sampled_ids = [str(problem) for problem in samples["problem_id"][::samples_per_problem]]
    require_same_problems(problem_ids, grades_path, sampled_ids, samples_path)

    def laid_out(column: pd.Series, kind: type) -> NDArray[Any]:
        return column.to_numpy(dtype=kind).reshape(-1, samples_per_problem)

    return Scores(
        grades_path=grades_path,
        problem_ids=problem_ids,
        verifier_version=one_version(grades_path, grades),
        correct=laid_out(grades["correct"], bool),
        lenient=laid_out(grades["lenient"], bool),
        extracted=laid_out(grades["extracted"], object),
        no_answer=laid_out(grades["status"] == "no_answer", bool),
        unevaluated=laid_out(grades["status"] == "unevaluated", bool),
        failed=laid_out(grades["status"].isin(NOT_GRADED), bool),
        timed_out=laid_out(grades["status"] == "timeout", bool),
        truncated=laid_out(samples["finish_reason"] == "length", bool),
        tokens=laid_out(samples["n_tokens"], float),
        seconds=laid_out(samples["seconds"], float),
    )


def require_same_problems(ours: list[str], our_path: Path, theirs: list[str], their_path: Path) -> None:
    """Check that two lists of problems are equal, so that their results can be paired.

    Raises:
        UserError: a problem is in only one of them; the message names it and both files.
    """
    for problem in sorted(set(ours) ^ set(theirs)):
        holder, lacker = (our_path, their_path) if problem in ours else (their_path, our_path)
        raise UserError(
            f"{lacker}: problem {problem!r} is missing, but {holder} has it; "
            "delete the older file to rebuild it"
        )


def read_sorted(path: Path, kind: type[Row], columns: list[str] | None = None) -> pd.DataFrame:
    """Read a table of samples or grades, or some of its columns, sorted by problem and sample.

    Raises:
        UserError: the file is missing or damaged, has no rows, or has a sample more than once.
    """
    frame = read_rows(path, kind, columns)
    if frame.empty:
        raise UserError(f"{path}: the file has no rows; delete it to rebuild it")
    duplicated = frame[frame.duplicated(KEYS)]
    if not duplicated.empty:
        problem, sample = duplicated[KEYS].iloc[0]
        raise UserError(
            f"{path}: problem {problem!r} has sample {sample} more than once; delete the file to rebuild it"
        )
    return frame.sort_values(KEYS, kind="stable", ignore_index=True)


def one_version(path: Path, grades: pd.DataFrame) -> str:
    """Return the version of the grader that gave all grades of a file.

    Raises:
        UserError: there are several.
    """
    versions = sorted(set(grades["verifier_version"]))
    if len(versions) > 1:
        raise UserError(f"{path}: graded by several versions {versions}; delete the file to grade again")
    return str(versions[0])


def _rectangle(path: Path, kind: type[Row], columns: list[str], samples_per_problem: int) -> pd.DataFrame:
    """Read rows sorted by problem and sample; each problem must have the samples 0 .. K - 1 exactly once."""
    frame = read_sorted(path, kind, columns)
    if _is_rectangle(frame, samples_per_problem):
        return frame
    expected = set(range(samples_per_problem))
    for problem, indices in frame.groupby("problem_id")["sample_index"]:
        present = set(indices)
        if present != expected:
            missing, unexpected = _some(expected - present), _some(present - expected)
            raise UserError(
                f"{path}: problem {problem!r} has {len(present)} samples, but the study has {len(expected)} "
                f"per problem (missing {missing}, unexpected {unexpected}); delete the samples and grades of "
                "this run and benchmark to generate and grade them again"
            )
    return frame


def _is_rectangle(frame: pd.DataFrame, samples_per_problem: int) -> bool:
    """Tell whether sorted rows without duplicates are the samples 0 .. K - 1 of every problem."""
    problems, whole = frame["problem_id"].to_numpy(), len(frame) // samples_per_problem
    indices = np.tile(np.arange(samples_per_problem), whole)
    first, last = problems[::samples_per_problem], problems[samples_per_problem - 1 :: samples_per_problem]
    return np.array_equal(frame["sample_index"], indices) and np.array_equal(first, last)


def _some(indices: set[int]) -> str:
    """Return the first eight sample indices as text."""
    listed = sorted(int(index) for index in indices)
    return "[" + ", ".join(map(str, listed[:8])) + (", …]" if len(listed) > 8 else "]")
