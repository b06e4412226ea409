"""A small study on disk for tests of the tables: samples, grades and records of its runs."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rlvr.analysis.aggregate import aggregate
from rlvr.artifacts import (
    TRAIN_LOG,
    ContaminatedProblem,
    Grade,
    ReferenceScore,
    Sample,
    StudyFolder,
    write_record,
    write_rows,
    write_train_log,
)
from rlvr.artifacts.placeholders import write_no_rows
from rlvr.config.contrasts import Contrasts
from rlvr.config.resolved import BASE, BenchmarkEntry, RunEntry, StudyManifest
from rlvr.errors import UserError
from rlvr.files import write_parquet
from tests.helpers.records import failed_run, run_record, train_config

LABELS = {"run", "model", "method", "preset", "setting", "train_seed"}
PROBLEMS = {"sums": 10, "products": 6}
AGGREGATED = ("summary", "comparisons", "leader", "budget", "forgetting", "learning", "runs")
"""The tables that `aggregate` writes, by the names of its arguments."""


def reward_log(rewards: list[float]) -> list[dict[str, float]]:
    """A training log with these mean rewards; NaN is a step that sampled nothing."""
    return [{**dict.fromkeys(TRAIN_LOG, 1.0), "step": i, "reward/mean": r} for i, r in enumerate(rewards)]


class Results:
    """A small study on disk, written as the pipeline writes it, one call per run."""

    def __init__(self, root: Path, samples: dict[str, int]) -> None:
        self.folder = StudyFolder(root)
        self.samples = samples
        self.runs: list[RunEntry] = []
        self.contaminated: Path | None = None
        self.shared_seed = False
        self.forgetting: set[str] = set()
        self.contrasts = Contrasts()
        self.name, self.scaled_from, self.tunes = "demo", None, False

    def add(
        self,
        method: str,
        preset: str = "-",
        setting: str = "-",
        seed: int | None = None,
        model: str = "tiny",
        **changes: Any,
    ) -> str:
        """Write a run whose grades depend on its position and seed only, and return its name.

        ``changes`` replace fields of its configuration.
        """
        run = f"run{len(self.runs)}"
        labels = {"run": run, "model": model, "method": method, "preset": preset, "setting": setting}
        self.runs.append(RunEntry(**labels, train_seed=seed))
        generator = np.random.default_rng([len(self.runs), seed or 0])
        chance = 0.4 if method == BASE else 0.7
        for benchmark, k in self.samples.items():
            keys = [(f"{benchmark}-{i}", j) for i in range(PROBLEMS[benchmark]) for j in range(k)]
            generator.shuffle(keys)
            correct = generator.random(len(keys)) < chance
            self.write(run, benchmark, keys, correct.tolist())
        if method != BASE:
            config = train_config(**labels, train_seed=seed, **changes)
            write_record(self.folder.run(run).record, run_record(config, device_seconds=10.25 + (seed or 0)))
            write_train_log(self.folder.run(run).train_log, reward_log([0.25, *[0.75] * 39]))
        return run

    def score(self, run: str, benchmark: str, logprobs: list[float]) -> None:
        """Make a benchmark one of forgetting, and write the log-probability of a token of each reference."""
        self.forgetting.add(benchmark)
        rows = [
            ReferenceScore(problem_id=f"{benchmark}-{i}", n_tokens=2 + i, logprob=one * (2 + i))
            for i, one in enumerate(logprobs)
        ]
        write_rows(self.folder.references(run, benchmark), ReferenceScore, rows)

    def fail(self, run: str) -> None:
        """Make a run one that failed, with what the jobs after it leave of it."""
        (entry,) = [entry for entry in self.runs if entry.run == run]
        config = train_config(**entry.model_dump(include=LABELS))
        write_record(self.folder.run(run).record, failed_run(config))
        for benchmark in self.samples:
            write_no_rows(self.folder.samples(run, benchmark), Sample, "diverged")
            write_no_rows(self.folder.grades(run, benchmark), Grade, "diverged")

    def write(self, run: str, benchmark: str, keys: list[tuple[str, int]], correct: list[bool]) -> None:
        """Write samples and grades; correct samples have 6 tokens, incorrect ones are truncated at 4."""
        samples = [
            Sample(
                problem_id=problem,
                sample_index=int(index),
                seed=1,
                text="<b>7</b>",
                n_tokens=6 if is_correct else 4,
                finish_reason="stop" if is_correct else "length",
                seconds=0.5,
            )
            for (problem, index), is_correct in zip(keys, correct, strict=True)
        ]
        grades = [
            Grade(
                problem_id=problem,
                sample_index=int(index),
                extracted="7" if is_correct else None,
                correct=is_correct,
                lenient=is_correct,
                status="ok" if is_correct else "no_answer",
                verifier_version="1",
            )
            for (problem, index), is_correct in zip(keys, correct, strict=True)
        ]
        write_rows(self.folder.samples(run, benchmark), Sample, samples)
        write_rows(self.folder.grades(run, benchmark), Grade, grades)

    def edit(
        self, kind: str, run: str, benchmark: str, change: Callable[[pd.DataFrame], pd.DataFrame]
    ) -> Path:
        """Change ``samples`` or ``grades`` past the checks of ``write_rows``, and return their path."""
        path = {"samples": self.folder.samples, "grades": self.folder.grades}[kind](run, benchmark)
        write_parquet(path, change(pd.read_parquet(path)))
        return path

    def grades(self, run: str, benchmark: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder.grades(run, benchmark))

    def graded_samples(self, run: str, benchmark: str) -> pd.DataFrame:
        samples = pd.read_parquet(self.folder.samples(run, benchmark))
        return samples.merge(self.grades(run, benchmark), on=["problem_id", "sample_index"])

    def contaminate(self, *problems: str) -> Path:
        """Write that these problems (``sums-3``) are in the training data, and return the path."""
        rows = [
            ContaminatedProblem(
                dataset=f"{name.rsplit('-', 1)[0]}-test",
                problem_id=name,
                train_id="train-1",
                similarity=0.97,
                same_answer=True,
            )
            for name in problems
        ]
        self.contaminated = self.folder.table("contaminated_problems")
        write_rows(self.contaminated, ContaminatedProblem, rows)
        return self.contaminated

    def write_manifest(self) -> Path:
        """Write the manifest and return its path."""
        manifest = StudyManifest(
            study=self.name,
            scaled_from=self.scaled_from,
            scale="mini" if self.scaled_from else None,
            title="",
            description="",
            train_dataset="sums-train",
            tunes=self.tunes,
            shared_seed=self.shared_seed,
            contrasts=self.contrasts,
            runs=self.runs,
            benchmarks=[
                BenchmarkEntry(
                    benchmark=name,
                    dataset=f"{name}-test",
                    samples_per_problem=k,
                    title=name,
                    forgetting=name in self.forgetting,
                )
                for name, k in self.samples.items()
            ],
        )
        write_record(self.folder.manifest, manifest)
        return self.folder.manifest

    def aggregate(self) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """Write the manifest and all tables; return the rows of summary and comparisons."""
        self.write_manifest()
        outputs = {name: self.folder.table(name) for name in AGGREGATED}
        aggregate(self.folder.manifest, self.folder.root, self.contaminated, **outputs)
        return read_csv(self.summary), read_csv(self.comparisons)

    @property
    def summary(self) -> Path:
        return self.folder.table("summary")

    @property
    def comparisons(self) -> Path:
        return self.folder.table("comparisons")

    @property
    def leader(self) -> Path:
        return self.folder.table("leader")

    @property
    def budget(self) -> Path:
        return self.folder.table("budget")


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a table as a user's script reads them."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pick(rows: list[dict[str, str]], **wanted: str) -> dict[str, str]:
    (found,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return found


def small_study(root: Path) -> Results:
    """The untrained model, full and LoRA with two training seeds each, DoRA with one."""
    study = Results(root, {"sums": 4, "products": 4})
    study.add(BASE)
    for method in ("full", "lora"):
        for seed in (0, 1):
            study.add(method, "recommended", "main", seed)
    study.add("dora", "recommended", "main", 0)
    return study


def fails(results: Results, *words: str | Path) -> None:
    """Aggregation stops with a UserError that has all the words, and writes nothing."""
    with pytest.raises(UserError) as caught:
        results.aggregate()
    for word in words:
        assert str(word) in str(caught.value)
    assert not any(path.exists() for path in (results.summary, results.comparisons, results.budget))
