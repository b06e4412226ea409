"""How the runs of a study did on each problem of a benchmark."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlvr.artifacts import ContaminatedProblem, Grade, Sample, read_rows
from rlvr.config.resolved import BenchmarkEntry, RunEntry, Variant
from rlvr.data.problems import read_problems
from rlvr.errors import UserError
from rlvr.report.inputs import Inputs

KEYS = ["problem_id", "sample_index"]
Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcomes:
    """The graded samples of all runs on one benchmark.

    Attributes:
        entry: the benchmark.
        problems: prepared problems, `id problem answer` as text, in the order of the data.
        contaminated: whether each problem [N] is in the training data.
        runs: the runs with grades, in the order of the study.
        samples: by run, one row per sample: `problem` (position in ``problems``), `sample_index`, `n_tokens`,
            `correct`, `second` (the verdict of the second grader), `truncated`, `status`, `extracted`.
        second_grader: what gave the second verdicts.
    """

    entry: BenchmarkEntry
    problems: pd.DataFrame
    contaminated: NDArray[np.bool_]
    runs: list[RunEntry]
    samples: dict[str, pd.DataFrame]
    second_grader: str

    def counts(self, run: str, column: str) -> Counts:
        """Return how many samples of each problem [N] have a flag, such as `correct`."""
        frame = self.samples[run]
        return np.bincount(frame.loc[frame[column], "problem"], minlength=len(self.problems))

    def total(self, column: str) -> Counts:
        """Return how many samples of each problem [N] have a flag, over all runs."""
        zero = np.zeros(len(self.problems), dtype=np.int64)
        return sum((self.counts(run.run, column) for run in self.runs), zero)

    def shares(self) -> dict[Variant, Shares]:
        """Return the share of correct samples of each problem [N], over all training seeds of a variant."""
        counts: dict[Variant, list[Counts]] = {}
        for run in self.runs:
            counts.setdefault(run.variant, []).append(self.counts(run.run, "correct"))
        k = self.entry.samples_per_problem
        return {variant: np.mean(rows, axis=0) / k for variant, rows in counts.items()}


def read_outcomes(inputs: Inputs) -> Iterator[Outcomes]:
    """Yield the outcomes of each benchmark, read without the completions.

    Raises:
        UserError: a file is missing or damaged, or samples, grades and problems do not fit each other.
    """
    table = inputs.folder.table("contaminated_problems")
    found = read_rows(table, ContaminatedProblem).to_dict("records") if table.exists() else []
    contaminated = [(row["dataset"], row["problem_id"]) for row in found]
    for entry in inputs.study.benchmarks:
        problems = read_problems(inputs.data(entry.dataset))[["id", "problem", "answer"]].astype(str)
        here = [problem for dataset, problem in contaminated if dataset == entry.dataset]
        runs = [run for run in inputs.study.runs if _is_graded(inputs, run.run, entry)]
        samples = {run.run: _read_run(inputs, run.run, entry, problems) for run in runs}
        yield Outcomes(
            entry=entry,
            problems=problems,
            contaminated=problems["id"].isin(here).to_numpy(),
            runs=[run for run in runs if len(samples[run.run])],
            samples={run: frame for run, frame in samples.items() if len(frame)},
            second_grader=_second_grader(inputs, [run.run for run in runs], entry),
        )


def read_texts(inputs: Inputs, entry: BenchmarkEntry, run: str, problem_ids: list[str]) -> pd.DataFrame:
    """Return `problem_id sample_index text` of a run, of some problems only."""
    frame = read_rows(inputs.folder.samples(run, entry.benchmark), Sample, [*KEYS, "text"])
    return frame[frame["problem_id"].isin(problem_ids)]


def _is_graded(inputs: Inputs, run: str, entry: BenchmarkEntry) -> bool:
    name = entry.benchmark
    return inputs.folder.samples(run, name).exists() and inputs.folder.grades(run, name).exists()


def _read_run(inputs: Inputs, run: str, entry: BenchmarkEntry, problems: pd.DataFrame) -> pd.DataFrame:
    """Return the samples of a run with their grades; none where the run failed."""
    samples_path = inputs.folder.samples(run, entry.benchmark)
    grades_path = inputs.folder.grades(run, entry.benchmark)
    samples = read_rows(samples_path, Sample, [*KEYS, "n_tokens", "finish_reason"])
    columns = [*KEYS, "correct", "lenient", "status", "extracted"]
    grades = read_rows(grades_path, Grade, columns)
    frame = _joined(samples, samples_path, grades, grades_path)
    frame["second"] = frame["lenient"]
    if (path := inputs.folder.second_grades(run, entry.benchmark)).exists():
        second = read_rows(path, Grade, [*KEYS, "correct"]).rename(columns={"correct": "second"})
        frame = _joined(frame.drop(columns="second"), samples_path, second, path)
    frame["problem"] = pd.Index(problems["id"]).get_indexer(frame["problem_id"])
    unknown = frame[frame["problem"] < 0]
    if len(unknown):
        raise UserError(
            f"{samples_path}: problem {unknown['problem_id'].iloc[0]!r} is not in "
            f"{inputs.data(entry.dataset)}; delete the older file to rebuild it"
        )
    frame["truncated"] = frame["finish_reason"] == "length"
    frame["no_answer"] = frame["status"] == "no_answer"
    frame["disagreeing"] = frame["correct"] != frame["second"]
    return frame.drop(columns=["problem_id", "finish_reason", "lenient"])


def _joined(one: pd.DataFrame, one_path: Path, other: pd.DataFrame, other_path: Path) -> pd.DataFrame:
    """Join two tables of the same samples."""
    both = one.merge(other, on=KEYS)
    if not len(one) == len(other) == len(both) or both.duplicated(KEYS).any():
        raise UserError(
            f"{other_path} does not hold the samples of {one_path}, each once; "
            "delete the older file to rebuild it"
        )
    return both


def _second_grader(inputs: Inputs, runs: list[str], entry: BenchmarkEntry) -> str:
    """Return what gave the second verdicts, in words."""
    paths = [inputs.folder.second_grades(run, entry.benchmark) for run in runs]
    versions = {
        str(version)
        for path in paths
        if path.exists()
        for version in read_rows(path, Grade, ["verifier_version"])["verifier_version"].unique()
    }
    return ", ".join(sorted(versions))
