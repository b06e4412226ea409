"""A few problems with the completions of every method; the first ones, not selected ones."""

from dataclasses import dataclass

import pandas as pd

from rlvr.artifacts import Grade, Sample, read_rows
from rlvr.config.resolved import BenchmarkEntry, Variant
from rlvr.files import read_parquet
from rlvr.report.inputs import Inputs
from rlvr.report.section import Section
from rlvr.report.text import excerpt, visible

EXAMPLES = 8  # shared evenly by the benchmarks, at least one each


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """The first sample of one run on one problem, with its grade."""

    text: str
    n_tokens: int
    truncated: bool
    extracted: str | None
    correct: bool
    status: str
    n_correct: int
    n_samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodCompletion:
    """The completion of one variant; None where it has no samples, and ``absence`` says why."""

    label: str
    model: str
    absence: str
    completion: Completion | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One problem with the completions of all variants."""

    benchmark: str
    problem_id: str
    problem: str
    answer: str
    completions: list[MethodCompletion]


@dataclass(frozen=True, kw_only=True, slots=True)
class Completions:
    """Context of the section."""

    examples: list[Example]


def build(inputs: Inputs) -> Completions:
    """Return the first problems of every benchmark, with sample 0 of the first run of each variant.

    Raises:
        UserError: a file of problems, samples or grades is damaged, or the problems are missing.
    """
    benchmarks = inputs.study.benchmarks
    count = max(1, EXAMPLES // len(benchmarks))
    return Completions(
        examples=[example for entry in benchmarks for example in _of_benchmark(inputs, entry, count)]
    )


def _of_benchmark(inputs: Inputs, entry: BenchmarkEntry, count: int) -> list[Example]:
    problems = read_parquet(inputs.data(entry.dataset), ["id", "problem", "answer"]).head(count)
    first_runs = {variant: _first_run(inputs, variant) for variant in inputs.variants}
    completions = {
        variant: _completions(inputs, run, entry.benchmark, list(problems["id"]))
        for variant, run in first_runs.items()
    }
    return [
        Example(
            benchmark=entry.title,
            problem_id=row["id"],
            problem=visible(row["problem"]),
            answer=visible(row["answer"]),
            completions=[
                MethodCompletion(
                    label=inputs.label(variant),
                    model=variant.model,
                    absence=inputs.absence(variant),
                    completion=written.get(row["id"]),
                )
                for variant, written in completions.items()
            ],
        )
        for row in problems.astype(str).to_dict("records")
    ]


def _first_run(inputs: Inputs, variant: Variant) -> str:
    """Return the first run of a variant that did not fail, or its first one if all did."""
    runs = [run.run for run in inputs.study.runs_of(variant)]
    return next((run for run in runs if run not in inputs.failed), runs[0])


def _completions(inputs: Inputs, run: str, benchmark: str, problem_ids: list[str]) -> dict[str, Completion]:
    paths = inputs.folder.samples(run, benchmark), inputs.folder.grades(run, benchmark)
    if not all(path.exists() for path in paths):
        return {}
    samples, grades = read_rows(paths[0], Sample), read_rows(paths[1], Grade)
    samples = samples[samples["problem_id"].isin(problem_ids)]
    both = samples.merge(grades, on=["problem_id", "sample_index"], validate="one_to_one")
    return {str(key): _first(group) for key, group in both.groupby("problem_id")}


def _first(group: pd.DataFrame) -> Completion:
    row = group.sort_values("sample_index").iloc[0]
    return Completion(
        text=visible(excerpt(row["text"])),
        n_tokens=int(row["n_tokens"]),
        truncated=row["finish_reason"] == "length",
        extracted=None if pd.isna(row["extracted"]) else visible(excerpt(row["extracted"], 100, 100)),
        correct=bool(row["correct"]),
        status=row["status"],
        n_correct=int(group["correct"].sum()),
        n_samples=len(group),
    )


SECTION = Section(
    part="samples", order=20, id="completions", title="", template="completions.html", build=build
)
