"""A whole results tree for one study, drawn from a seeded simulation of problems, samples and training.

The tables are those of `rlvr aggregate`, so every file of the tree agrees with every other.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from rlvr.analysis.aggregate import aggregate
from rlvr.files import content_hash, sha256_of, write_json, write_parquet, write_text

HOSTILE = [
    "<script>document.title='owned'</script>\nThe answer is \\boxed{7}",
    "</pre></td></table><img src=x onerror=alert(1)> \\boxed{9}",
    "\u202egnp.exe {{ 7 * 7 }} {% raw %} \x00\x1b[31m & \"quoted\" 'single' \\boxed{1}",
]
# True ability above the untrained model (logits), trainable parameters.
METHODS = {
    "base": (0.0, 0),
    "full": (1.05, 741_376),
    "lora": (0.95, 36_864),
    "dora": (1.1, 38_400),
    "rslora": (0.9, 36_864),
    "pissa": (0.25, 36_864),
    "lora_plus": (1.0, 36_864),
    "adalora": (0.55, 55_320),
    "vera": (0.35, 1_056),
    "ia3": (-0.3, 3_072),
}
MORE_METHODS = {
    "lora_fa": (0.9, 18_432),
    "milora": (0.85, 36_864),
    "milora_plus": (0.9, 36_864),
    "olora": (0.8, 36_864),
    "miss": (0.95, 18_432),
    "hra": (0.6, 24_576),
    "ln_tuning": (0.1, 896),
    "rank1_lora": (0.4, 4_608),
}


@dataclass
class Tree:
    """Where the files lie and what was simulated.

    Attributes:
        correct: by run and benchmark, whether each sample is right, shape [problems, samples].
    """

    root: Path
    study: str
    correct: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    @property
    def cell(self) -> Path:
        """The resolved study."""
        return self.results / "cells" / "study.json"

    @property
    def results(self) -> Path:
        """The results of the study."""
        return self.root / "results" / self.study

    @property
    def resources(self) -> Path:
        """Data and models."""
        return self.root / "resources"


def write_tree(
    root: Path,
    methods: tuple[str, ...] = tuple(METHODS),
    models: tuple[str, ...] = ("tiny",),
    benchmarks: dict[str, tuple[int, int]] | None = None,
    train_seeds: int = 1,
    not_run: tuple[str, ...] = (),
    steps: int = 60,
    study: str = "demo",
    presets: tuple[str, ...] = ("recommended",),
    contaminated: int = 3,
) -> Tree:
    """Write a tree.

    Args:
        benchmarks: names to (problems, samples a problem).
        not_run: methods that are planned but have not been run.
        contaminated: so many problems of the second benchmark stand in the training data.
    """
    benchmarks = benchmarks or {"sums": (160, 8), "products": (90, 4)}
    tree = Tree(root, study)
    runs = [
        _run(model, method, seed, preset)
        for model in models
        for method in methods
        for preset in (presets if method != "base" else ("-",))
        for seed in _seeds(method, train_seeds)
    ]
    done = [run for run in runs if run["method"] not in not_run]
    for name, (problems, _) in benchmarks.items():
        _write_data(tree, name, problems)
    for model in models:
        write_json(tree.resources / "models" / model / "pretraining.json", _pretraining())
    for run in done:
        _write_run(tree, run, benchmarks, steps)
    tables = tree.results / "tables"
    seen = {name: contaminated * (index == 1) for index, name in enumerate(benchmarks)}
    _write_contamination(tables, benchmarks, seen)
    _write_study(tree, done, benchmarks)
    outputs = tables / "summary.csv", tables / "comparisons.csv", tables / "budget.csv"
    aggregate(tree.cell, tree.results, tables / "contaminated.csv", *outputs)
    _write_study(tree, runs, benchmarks)
    return tree


def _write_study(tree: Tree, runs: list[dict], benchmarks: dict[str, tuple[int, int]]) -> None:
    entries = [
        {"benchmark": name, "dataset": f"{name}-test", "samples_per_problem": k, "title": name.capitalize()}
        for name, (_, k) in benchmarks.items()
    ]
    study = {
        "kind": "study",
        "study": tree.study,
        "title": "Which method should one train with? <Demo & check>",
        "description": "The whole experiment in miniature, on two-digit arithmetic.",
        "train_dataset": "sums-train",
        "runs": runs,
        "benchmarks": entries,
    }
    write_json(tree.cell, study)


def _write_contamination(tables: Path, benchmarks: dict[str, tuple[int, int]], seen: dict[str, int]) -> None:
    counts = [
        {"dataset": f"{name}-test", "problems": problems, "seen": seen[name]}
        for name, (problems, _) in benchmarks.items()
    ]
    _write_csv(tables / "overlap.csv", "dataset problems seen", counts)
    named = [
        {
            "dataset": f"{name}-test",
            "problem_id": f"{name}-{index:04d}",
            "train_id": f"train-{index}",
            "similarity": 0.97,
            "same_answer": True,
        }
        for name in benchmarks
        for index in range(seen[name])
    ]
    _write_csv(tables / "contaminated.csv", "dataset problem_id train_id similarity same_answer", named)


def _seeds(method: str, train_seeds: int) -> list[int | None]:
    return [None] if method == "base" else list(range(train_seeds))


def _run(model: str, method: str, seed: int | None, preset: str) -> dict:
    if method == "base":
        setting, name = "-", f"{model}--base"
    else:
        setting, name = "main", f"{model}--{method}--{preset}--main--s{seed}"
    return {
        "run": name,
        "model": model,
        "method": method,
        "preset": preset,
        "setting": setting,
        "train_seed": seed,
    }


def _generator(*parts: object) -> np.random.Generator:
    return np.random.default_rng(int(content_hash(list(map(str, parts)))[:12], 16))


def _write_data(tree: Tree, name: str, problems: int) -> None:
    generator = _generator("data", name)
    left, right = generator.integers(10, 99, problems), generator.integers(10, 99, problems)
    data = tree.resources / "data" / f"{name}-test.parquet"
    frame = pd.DataFrame(
        {
            "id": [f"{name}-{index:04d}" for index in range(problems)],
            "problem": [f"What is {a} + {b}? <b>Think</b> first." for a, b in zip(left, right, strict=True)],
            "answer": [str(a + b) for a, b in zip(left, right, strict=True)],
            "origin": "arithmetic",
        }
    )
    write_parquet(data, frame)
    write_json(data.with_suffix("").with_suffix(".provenance.json"), {"source": "built-in", "rows": problems})


def _pretraining() -> list[dict]:
    steps = np.arange(0, 1001, 50)
    return [
        {
            "step": int(step),
            "loss": round(float(2.3 * np.exp(-step / 350) + 0.2), 4),
            "accuracy": round(float(0.6 / (1 + np.exp(-(step - 700) / 60))), 4),
            "seconds": round(0.08 * float(step), 2),
        }
        for step in steps
    ]


def _write_run(tree: Tree, run: dict, benchmarks: dict[str, tuple[int, int]], steps: int) -> None:
    ability, parameters = (METHODS | MORE_METHODS)[run["method"]]
    for name, (problems, k) in benchmarks.items():
        difficulty = _generator("difficulty", run["model"], name).normal(0.3, 1.6, problems)
        generator = _generator("samples", run["run"], name)
        luck = generator.normal(0, 0.25, problems)
        chance = 1 / (1 + np.exp(difficulty - ability - luck))
        tree.correct[run["run"], name] = generator.random((problems, k)) < chance[:, None]
        _write_samples(tree, run["run"], name, tree.correct[run["run"], name], generator)
    if run["method"] == "base":
        return
    log = _train_log(run, ability, steps)
    write_parquet(tree.results / "runs" / run["run"] / "train_log.parquet", log)
    write_json(tree.results / "runs" / run["run"] / "run.json", _record(tree, run, parameters, log))


def _write_samples(
    tree: Tree, run: str, name: str, correct: np.ndarray, generator: np.random.Generator
) -> None:
    problems, k = correct.shape
    index = np.arange(problems * k)
    ids = [f"{name}-{problem:04d}" for problem in index // k]
    texts = [
        HOSTILE[row % len(HOSTILE)]
        if row // k < 2
        else f"First I add the tens.\nThe answer is \\boxed{{{row}}}."
        for row in index
    ]
    texts[2 * k] = "Let me think about this. " * 400 + "\\boxed{12}"
    n_tokens = np.clip(generator.lognormal(2.8, 0.4, len(index)).astype(int), 4, 40)
    write_parquet(
        tree.results / "samples" / run / f"{name}.parquet",
        pd.DataFrame(
            {
                "problem_id": ids,
                "sample_index": index % k,
                "seed": generator.integers(0, 2**62, len(index)),
                "text": texts,
                "n_tokens": n_tokens,
                "finish_reason": np.where(n_tokens >= 40, "length", "stop"),
                "seconds": 0.01,
            }
        ),
    )
    unanswered = ~correct.reshape(-1) & (generator.random(len(index)) < 0.1)
    write_parquet(
        tree.results / "grades" / run / f"{name}.parquet",
        pd.DataFrame(
            {
                "problem_id": ids,
                "sample_index": index % k,
                "extracted": [
                    None if none else str(row) for row, none in zip(index, unanswered, strict=True)
                ],
                "correct": correct.reshape(-1),
                "lenient": correct.reshape(-1) | unanswered,
                "status": np.where(unanswered, "no_answer", "ok"),
                "verifier_version": "1",
            }
        ),
    )


def _train_log(run: dict, ability: float, steps: int) -> pd.DataFrame:
    generator = _generator("train", run["run"])
    step = np.arange(1, steps + 1)
    reward = 1 / (1 + np.exp(0.3 - (ability + 0.6) * (1 - np.exp(-step / (0.3 * steps))))) - 0.05
    reward = reward + generator.normal(0, 0.035, steps)
    return pd.DataFrame(
        {
            "step": step,
            "reward/mean": reward,
            "reward/correct": np.clip(reward + 0.02, 0, 1),
            "completion/length_mean": 14 - 3 * step / steps + generator.normal(0, 0.5, steps),
            "groups/informative_fraction": np.clip(
                0.8 - 0.4 * reward + generator.normal(0, 0.05, steps), 0, 1
            ),
            "sync/noise_to_signal": np.where(step > 1, 0.9 / np.sqrt(step), np.nan),
            "rollout/mismatch_kl": 1e-3 * generator.random(steps),
        }
    )


def _record(tree: Tree, run: dict, parameters: int, log: pd.DataFrame) -> dict:
    config = {"method": run["method"], "learning_rate": 0.003, "rank": 8}
    seconds = 40 + 20 * _generator("seconds", run["run"]).random()
    data = sorted((tree.resources / "data").glob("*.parquet"))
    return {
        "run_info": {
            **run, "study": tree.study, "config": config, "config_sha256": content_hash(config),
            "status": "finished", "seconds": seconds, "device_seconds": seconds, "attempts": 1,
        },
        "train_info": {
            "trainable_parameters": parameters, "total_parameters": 741_376 + parameters, "steps": len(log),
            "reward_first": float(log["reward/mean"].iloc[0]),
            "reward_last": float(log["reward/mean"].iloc[-1]),
            "peak_memory_bytes": 612_000_000,
        },
        "meta_info": {
            "git_commit": "4f1c0de" + "0" * 33, "git_dirty": False,
            "packages": {"torch": "2.13.0", "transformers": "5.20.0", "peft": "0.21.2"},
            "model_sha256": content_hash(run["model"]), "data_sha256": sha256_of(data[0]),
            "hardware": {"machine": "x86_64", "processor": "two cores", "cpu_count": 2, "accelerator": None},
        },
    }  # fmt: skip


def _write_csv(path: Path, columns: str, rows: list[dict]) -> None:
    write_text(path, pd.DataFrame(rows, columns=columns.split()).to_csv(index=False))
