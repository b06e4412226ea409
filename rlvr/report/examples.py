"""A few problems with what each method really wrote; chosen by order, never by looks."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rlvr.config.resolved import BenchmarkEntry, RunEntry
from rlvr.files import read_parquet
from rlvr.report.inputs import Inputs
from rlvr.report.text import excerpt, visible

EXAMPLES = 8  # shared evenly by the benchmarks, at least one each

SAMPLE_COLUMNS = ["problem_id", "sample_index", "text", "n_tokens", "finish_reason"]
GRADE_COLUMNS = ["problem_id", "sample_index", "extracted", "correct", "status"]


@dataclass(frozen=True)
class Completion:
    """The first sample of one run on one problem, with its verdict."""

    text: str
    n_tokens: int
    finish_reason: str
    extracted: str | None
    correct: bool
    status: str
    n_correct: int
    n_samples: int


@dataclass(frozen=True)
class Answered:
    """What one method wrote; None where its first run has no samples yet."""

    label: str
    model: str
    completion: Completion | None


@dataclass(frozen=True)
class Example:
    """One problem with the completions of all methods."""

    benchmark: str
    problem_id: str
    problem: str
    answer: str
    answered: list[Answered]


def examples(inputs: Inputs) -> list[Example]:
    """Return the first problems of every benchmark, with sample 0 of the first run of each method.

    Raises:
        UserError: a data, samples or grades file is damaged, or the data of a benchmark is missing.
    """
    benchmarks = inputs.study.benchmarks
    count = max(1, EXAMPLES // len(benchmarks))
    return [example for benchmark in benchmarks for example in _of_benchmark(inputs, benchmark, count)]


def _of_benchmark(inputs: Inputs, benchmark: BenchmarkEntry, count: int) -> list[Example]:
    data = inputs.resources / "data" / f"{benchmark.dataset}.parquet"
    problems = read_parquet(data, ["id", "problem", "answer"]).head(count)
    wanted = [str(problem_id) for problem_id in problems["id"]]
    first_runs = [inputs.study.runs_of(variant)[0] for variant in inputs.study.variants]
    completions = {
        run.run: _completions(inputs.results, run, benchmark.benchmark, wanted) for run in first_runs
    }
    return [
        Example(
            benchmark.benchmark,
            problem_id,
            visible(str(row["problem"])),
            visible(str(row["answer"])),
            [
                Answered(inputs.label(run.variant), run.model, completions[run.run].get(problem_id))
                for run in first_runs
            ],
        )
        for problem_id, (_, row) in zip(wanted, problems.iterrows(), strict=True)
    ]


def _completions(
    results: Path, run: RunEntry, benchmark: str, problem_ids: list[str]
) -> dict[str, Completion]:
    samples_path = results / "samples" / run.run / f"{benchmark}.parquet"
    grades_path = results / "grades" / run.run / f"{benchmark}.parquet"
    if not (samples_path.exists() and grades_path.exists()):
        return {}
    samples, grades = read_parquet(samples_path, SAMPLE_COLUMNS), read_parquet(grades_path, GRADE_COLUMNS)
    samples = samples[samples["problem_id"].isin(problem_ids)]
    both = samples.merge(grades, on=["problem_id", "sample_index"], validate="one_to_one")
    return {str(key): _first(group) for key, group in both.groupby("problem_id")}


def _first(group: pd.DataFrame) -> Completion:
    row = group.sort_values("sample_index").iloc[0]
    return Completion(
        visible(excerpt(str(row["text"]))),
        int(row["n_tokens"]),
        str(row["finish_reason"]),
        None if pd.isna(row["extracted"]) else visible(excerpt(str(row["extracted"]), 100, 100)),
        bool(row["correct"]),
        str(row["status"]),
        int(group["correct"].sum()),
        len(group),
    )
