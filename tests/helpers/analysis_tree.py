"""A small study on disk for tests of the tables: samples, grades and records of its runs."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rlvr.analysis.aggregate import aggregate
from rlvr.errors import UserError
from rlvr.files import write_json, write_parquet

SUMMARY_HEADER = (
    "study,model,method,preset,setting,train_seeds,benchmark,metric,value,se,ci_low,ci_high,"
    "n_problems,n_samples,trainable_parameters,device_seconds"
)
COMPARISON_HEADER = (
    "study,model,method,preset,setting,baseline,benchmark,difference,se,ci_low,ci_high,"
    "p_value,p_holm,minimum_detectable,n_problems,n_samples,train_seeds,"
    "probability_of_improvement,improvement_ci_low,improvement_ci_high"
)
BUDGET_HEADER = (
    "study,model,method,preset,setting,train_seeds,benchmark,budget,value,se,ci_low,ci_high,"
    "n_problems,n_samples"
)
PROBLEMS = {"sums": 10, "products": 6}


class Results:
    """A small study on disk: grades and samples as the pipeline writes them, one call a run."""

    def __init__(self, folder: Path, samples: dict[str, int]) -> None:
        self.folder = folder
        self.samples = samples
        self.runs: list[dict[str, Any]] = []
        self.contaminated: Path | None = None

    def add(
        self, method: str, preset: str = "-", setting: str = "-", seed: int | None = None, model: str = "tiny"
    ) -> str:
        """Write a run whose verdicts depend on its labels only, and return its id."""
        run = f"run{len(self.runs)}"
        labels = {"model": model, "method": method, "preset": preset, "setting": setting, "train_seed": seed}
        self.runs.append({"run": run, **labels})
        generator = np.random.default_rng([len(self.runs), seed or 0])
        chance = 0.4 if method == "base" else 0.7
        for benchmark, k in self.samples.items():
            keys = [(f"{benchmark}-{i}", j) for i in range(PROBLEMS[benchmark]) for j in range(k)]
            generator.shuffle(keys)
            correct = generator.random(len(keys)) < chance
            self.write(run, benchmark, keys, list(correct))
        if method != "base":
            write_json(
                self.folder / "runs" / run / "run.json",
                {
                    "run_info": {"device_seconds": 10.25 + (seed or 0)},
                    "train_info": {"trainable_parameters": 512},
                },
            )
        return run

    def write(self, run: str, benchmark: str, keys: list[tuple[str, int]], correct: list[bool]) -> None:
        frame = pd.DataFrame(keys, columns=["problem_id", "sample_index"])
        grades = frame.assign(
            extracted=["7" if right else None for right in correct],
            correct=correct,
            lenient=correct,
            status=["ok" if right else "no_answer" for right in correct],
            verifier_version="1",
        )
        samples = frame.assign(
            seed=1, text="<b>7</b>", n_tokens=[4 + 2 * right for right in correct],
            finish_reason=["stop" if right else "length" for right in correct], seconds=0.5,
        )  # fmt: skip
        write_parquet(self.folder / "grades" / run / f"{benchmark}.parquet", grades)
        write_parquet(self.folder / "samples" / run / f"{benchmark}.parquet", samples)

    def edit(
        self, kind: str, run: str, benchmark: str, change: Callable[[pd.DataFrame], pd.DataFrame]
    ) -> Path:
        path = self.folder / kind / run / f"{benchmark}.parquet"
        write_parquet(path, change(pd.read_parquet(path)))
        return path

    def aggregate(self) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        benchmarks = [
            {"benchmark": name, "dataset": f"{name}-test", "samples_per_problem": k, "title": name}
            for name, k in self.samples.items()
        ]
        cell = {
            "kind": "study", "study": "demo", "title": "", "description": "", "train_dataset": "sums-train",
            "runs": self.runs, "benchmarks": benchmarks,
        }  # fmt: skip
        write_json(self.folder / "cells" / "study.json", cell)
        outputs = self.summary, self.comparisons, self.budget
        aggregate(self.folder / "cells" / "study.json", self.folder, self.contaminated, *outputs)
        return read_csv(self.summary), read_csv(self.comparisons)

    def contaminate(self, *problems: str) -> Path:
        """Write that these problems (``sums-3``) stand in the training data."""
        rows = [f"{name.rsplit('-', 1)[0]}-test,{name},train-1,0.97,true" for name in problems]
        self.contaminated = self.folder / "tables" / "contaminated.csv"
        header = "dataset,problem_id,train_id,similarity,same_answer"
        self.contaminated.parent.mkdir(parents=True, exist_ok=True)
        self.contaminated.write_text("\n".join([header, *rows]) + "\n")
        return self.contaminated

    @property
    def summary(self) -> Path:
        return self.folder / "tables" / "summary.csv"

    @property
    def comparisons(self) -> Path:
        return self.folder / "tables" / "comparisons.csv"

    @property
    def budget(self) -> Path:
        return self.folder / "tables" / "budget.csv"


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pick(rows: list[dict[str, str]], **wanted: str) -> dict[str, str]:
    (found,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return found


def small_study(folder: Path) -> Results:
    """The untrained model, full and LoRA with two training seeds each, DoRA with one."""
    study = Results(folder, {"sums": 4, "products": 4})
    study.add("base")
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
