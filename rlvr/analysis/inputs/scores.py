"""Graded samples, read and checked: what every number in the tables is made of.

A benchmark of a run is a rectangle of N problems x K samples. Anything else is refused with the file and the
problem: a mean over the samples that happen to be there is a different number under the same name.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlvr.config.resolved import BenchmarkEntry
from rlvr.errors import UserError
from rlvr.files import read_parquet

KEYS = ["problem_id", "sample_index"]
GRADE_COLUMNS = [*KEYS, "extracted", "correct", "lenient", "status", "verifier_version"]
SAMPLE_COLUMNS = [*KEYS, "n_tokens", "finish_reason", "seconds"]
FAILURES = ["unparsed_gold", "timeout", "error"]  # statuses without a verdict; they count as wrong

Verdicts = NDArray[np.bool_]


@dataclass(frozen=True)
class Scores:
    """The graded samples of one run on one benchmark; arrays are [N, K], problems sorted by id."""

    grades_path: Path
    problem_ids: list[str]
    verifier_version: str
    correct: Verdicts
    lenient: Verdicts
    extracted: NDArray[np.object_]
    no_answer: Verdicts
    failed: Verdicts
    timed_out: Verdicts
    clipped: Verdicts
    tokens: NDArray[np.float64]
    seconds: NDArray[np.float64]


def required(mapping: dict[str, Any], key: str, path: Path) -> Any:
    """Return ``mapping[key]``.

    Raises:
        UserError: the key is missing; the message names file and key.
    """
    if key not in mapping:
        raise UserError(f"{path}: key {key!r} is missing; there are {sorted(mapping)}")
    return mapping[key]


def read_scores(results: Path, run: str, benchmark: BenchmarkEntry) -> Scores:
    """Read the grades and samples of a run on a benchmark and lay them out as problems x samples.

    Raises:
        UserError: a sample is missing, doubled, unexpected or without a verdict, the two files do not hold
            the same samples, or several versions of the verifier graded them.
    """
    grades_path = results / "grades" / run / f"{benchmark.benchmark}.parquet"
    samples_path = results / "samples" / run / f"{benchmark.benchmark}.parquet"
    samples_a_problem = benchmark.samples_per_problem
    grades = _rectangle(grades_path, GRADE_COLUMNS, samples_a_problem)
    samples = _rectangle(samples_path, SAMPLE_COLUMNS, samples_a_problem)
    problem_ids = [str(problem) for problem in grades["problem_id"][::samples_a_problem]]
    sampled_ids = [str(problem) for problem in samples["problem_id"][::samples_a_problem]]
    require_same_problems(problem_ids, grades_path, sampled_ids, samples_path)

    def laid_out(column: pd.Series, kind: type) -> NDArray[Any]:
        return column.to_numpy(dtype=kind).reshape(-1, samples_a_problem)

    extracted = grades["extracted"].astype(object)
    return Scores(
        grades_path=grades_path,
        problem_ids=problem_ids,
        verifier_version=one_version(grades_path, grades),
        correct=laid_out(grades["correct"], bool),
        lenient=laid_out(grades["lenient"], bool),
        extracted=laid_out(extracted.where(extracted.notna(), None), object),
        no_answer=laid_out(grades["status"] == "no_answer", bool),
        failed=laid_out(grades["status"].isin(FAILURES), bool),
        timed_out=laid_out(grades["status"] == "timeout", bool),
        clipped=laid_out(samples["finish_reason"] == "length", bool),
        tokens=laid_out(samples["n_tokens"], float),
        seconds=laid_out(samples["seconds"], float),
    )


def require_same_problems(ours: list[str], our_path: Path, theirs: list[str], their_path: Path) -> None:
    """Refuse two sorted lists of problems that are not equal: their results cannot be paired.

    Raises:
        UserError: a problem is in one of the two only; the message names it and both files.
    """
    for problem in sorted(set(ours) ^ set(theirs)):
        holder, lacker = (our_path, their_path) if problem in ours else (their_path, our_path)
        raise UserError(
            f"{lacker}: problem {problem!r} is missing, {holder} has it; both must hold the same problems: "
            "delete the older of the two to make it again"
        )


def read_rows(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read columns of a file with a row a sample, sorted by problem and sample.

    Raises:
        UserError: there are no rows, a cell other than ``extracted`` is empty, or a sample is there twice.
    """
    frame = read_parquet(path, columns)[columns]
    if frame.empty:
        raise UserError(f"{path}: there are no rows; delete the file to make it again")
    nulls = frame[frame.drop(columns="extracted", errors="ignore").isna().any(axis=1)]
    if not nulls.empty:
        raise UserError(
            f"{path}: problem {nulls['problem_id'].iloc[0]!r} has an empty cell; delete the file to mend it"
        )
    doubled = frame[frame.duplicated(KEYS)]
    if not doubled.empty:
        problem, sample = doubled[KEYS].iloc[0]
        raise UserError(
            f"{path}: problem {problem!r} has sample {sample} more than once; delete the file to mend it"
        )
    return frame.sort_values(KEYS, kind="stable", ignore_index=True)


def one_version(path: Path, grades: pd.DataFrame) -> str:
    """Return the version of the verifier that gave all grades of a file.

    Raises:
        UserError: there were several.
    """
    versions = sorted(set(grades["verifier_version"]))
    if len(versions) > 1:
        raise UserError(f"{path}: graded by verifier versions {versions}; delete the file to grade it anew")
    return str(versions[0])


def _rectangle(path: Path, columns: list[str], samples_a_problem: int) -> pd.DataFrame:
    """Read rows sorted by problem and sample; each problem must have the samples 0..K-1 exactly once."""
    frame = read_rows(path, columns)
    expected = set(range(samples_a_problem))
    for problem, indices in frame.groupby("problem_id")["sample_index"]:
        present = set(indices)
        if present != expected:
            missing, unexpected = _some(expected - present), _some(present - expected)
            raise UserError(
                f"{path}: problem {problem!r} has {len(present)} samples, the study asks for {len(expected)} "
                f"(missing {missing}, unexpected {unexpected}); generate and grade it again"
            )
    return frame


def _some(indices: set[int]) -> str:
    """Return the sample indices as text, the first eight of them."""
    listed = sorted(int(index) for index in indices)
    return "[" + ", ".join(map(str, listed[:8])) + (", …]" if len(listed) > 8 else "]")
