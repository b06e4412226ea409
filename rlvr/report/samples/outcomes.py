"""How the runs of a study did on each problem of a benchmark."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlvr.artifacts import ContaminatedProblem, Grade, Sample, read_columns, read_rows
from rlvr.artifacts.placeholders import why_no_rows
from rlvr.config.resolved import BenchmarkEntry, RunEntry, Variant
from rlvr.data.problems import read_problems
from rlvr.errors import UserError
from rlvr.report.inputs import Inputs

if TYPE_CHECKING:
    import pyarrow as pa

KEYS = ["problem_id", "sample_index"]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcomes:
    """The graded samples of one run; arrays are [N, K], problems in the order of the data.

    Attributes:
        correct: the verdict of the study's grader.
        second: the verdict of the second grader.
        truncated: whether the completion was truncated.
        status: how the verdict came about (:data:`Status`).
        extracted: the extracted answer, or None.
        n_tokens: length of the completion.
        place: row of the sample in the file of samples.
        second_grader: its version; empty where its verdict is `lenient`.
    """

    correct: Flags
    second: Flags
    truncated: Flags
    status: NDArray[np.object_]
    extracted: NDArray[np.object_]
    n_tokens: Counts
    place: Counts
    second_grader: str

    @property
    def disagreeing(self) -> Flags:
        """Whether the two graders disagree."""
        return self.correct != self.second


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcomes:
    """The graded samples of all runs on one benchmark.

    Attributes:
        entry: the benchmark.
        problems: prepared problems, `id problem answer` as text, in the order of the data.
        contaminated: whether each problem [N] is in the training data.
        runs: the runs with grades, in the order of the study.
        of_run: their outcomes, by the name of the run.
    """

    entry: BenchmarkEntry
    problems: pd.DataFrame
    contaminated: Flags
    runs: list[RunEntry]
    of_run: dict[str, RunOutcomes]

    @property
    def of_variant(self) -> dict[Variant, list[RunEntry]]:
        """The runs of each variant, one for each training seed."""
        found: dict[Variant, list[RunEntry]] = {}
        for run in self.runs:
            found.setdefault(run.variant, []).append(run)
        return found

    def counts(self, run: str) -> Counts:
        """Return how many samples of each problem [N] are correct."""
        return self.of_run[run].correct.sum(axis=1)

    def shares(self) -> dict[Variant, Shares]:
        """Return the share of correct samples of each problem [N], over all training seeds of a variant."""
        return {
            variant: np.mean([self.of_run[run.run].correct.mean(axis=1) for run in runs], axis=0)
            for variant, runs in self.of_variant.items()
        }

    def disagreeing(self) -> Counts:
        """Return on how many samples of each problem [N] the graders disagree, over all runs."""
        return self._sum([one.disagreeing for one in self.of_run.values()])

    def truncated(self) -> Counts:
        """Return how many samples of each problem [N] are truncated, over all runs."""
        return self._sum([one.truncated for one in self.of_run.values()])

    def _sum(self, flags: list[Flags]) -> Counts:
        zero = np.zeros(len(self.problems), dtype=np.int64)
        return sum((one.sum(axis=1) for one in flags), zero)


def read_outcomes(inputs: Inputs) -> Iterator[Outcomes]:
    """Yield the outcomes of each benchmark, read without the completions.

    Raises:
        UserError: a file is missing or damaged, or samples, grades and problems do not fit each other.
    """
    table = inputs.folder.table("contaminated_problems")
    found = read_rows(table, ContaminatedProblem).to_dict("records") if table.exists() else []
    for entry in inputs.study.benchmarks:
        problems = read_problems(inputs.data(entry.dataset))[["id", "problem", "answer"]].astype(str)
        here = [row["problem_id"] for row in found if row["dataset"] == entry.dataset]
        runs = [run for run in inputs.study.runs if _is_graded(inputs, run.run, entry)]
        yield Outcomes(
            entry=entry,
            problems=problems,
            contaminated=problems["id"].isin(here).to_numpy(),
            runs=runs,
            of_run={run.run: _read_run(inputs, run.run, entry, pd.Index(problems["id"])) for run in runs},
        )


def read_texts(inputs: Inputs, entry: BenchmarkEntry, run: str) -> "pa.ChunkedArray":
    """Return the completions of a run in the order of the file of samples."""
    return read_columns(inputs.folder.samples(run, entry.benchmark), Sample, ["text"])["text"]


def _is_graded(inputs: Inputs, run: str, entry: BenchmarkEntry) -> bool:
    """Tell whether a run has samples and grades; those of a failed run are empty."""
    samples, grades = (path(run, entry.benchmark) for path in (inputs.folder.samples, inputs.folder.grades))
    return samples.exists() and grades.exists() and not (run in inputs.failed and why_no_rows(samples))


def _read_run(inputs: Inputs, run: str, entry: BenchmarkEntry, ids: "pd.Index[str]") -> RunOutcomes:
    samples_path = inputs.folder.samples(run, entry.benchmark)
    grades_path = inputs.folder.grades(run, entry.benchmark)
    second_path = inputs.folder.second_grades(run, entry.benchmark)
    shape = len(ids), entry.samples_per_problem
    samples = read_columns(samples_path, Sample, [*KEYS, "n_tokens", "finish_reason"])
    columns = [*KEYS, "correct", "lenient", "status", "extracted"]
    grades = read_columns(grades_path, Grade, columns)
    sampled = _order(samples_path, samples, ids, entry.samples_per_problem)
    graded = _order(grades_path, grades, ids, entry.samples_per_problem)
    second, order, version = grades["lenient"], graded, ""
    if second_path.exists():
        table = read_columns(second_path, Grade, [*KEYS, "correct", "verifier_version"])
        version = ", ".join(table["verifier_version"].unique().to_pylist())
        second, order = table["correct"], _order(second_path, table, ids, entry.samples_per_problem)
    return RunOutcomes(
        correct=_laid_out(grades["correct"], graded, shape),
        second=_laid_out(second, order, shape),
        truncated=_laid_out(samples["finish_reason"], sampled, shape) == "length",
        status=_laid_out(grades["status"], graded, shape),
        extracted=_laid_out(grades["extracted"], graded, shape),
        n_tokens=_laid_out(samples["n_tokens"], sampled, shape),
        place=sampled.reshape(shape),
        second_grader=version,
    )


def _order(path: Path, table: "pa.Table", ids: "pd.Index[str]", samples_per_problem: int) -> Counts:
    """Return the rows of a table by problem and sample: of each problem the samples 0 .. K - 1, each once."""
    problem = ids.get_indexer(table["problem_id"].to_numpy())
    index = table["sample_index"].to_numpy()
    if (problem < 0).any():
        unknown = table["problem_id"][int((problem < 0).argmax())].as_py()
        raise UserError(
            f"{path}: problem {unknown!r} is not in the data of the benchmark; "
            "delete the older file to rebuild it"
        )
    place = problem * samples_per_problem + index
    expected = np.arange(len(ids) * samples_per_problem)
    order: Counts = np.argsort(place, kind="stable")
    if not np.array_equal(place[order], expected) or (index >= samples_per_problem).any():
        raise UserError(
            f"{path}: the file does not hold {samples_per_problem} samples of each of {len(ids)} problems, "
            "each once; delete the samples and grades of this run and benchmark to make them again"
        )
    return order


def _laid_out(values: "pa.ChunkedArray", order: Counts, shape: tuple[int, int]) -> NDArray[Any]:
    laid_out: NDArray[Any] = values.to_numpy()[order].reshape(shape)
    return laid_out
