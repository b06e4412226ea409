"""The results of a study, simulated from a seed: problems, samples and training.

All files are written through `rlvr.artifacts` and the tables by `rlvr aggregate`, so that every file has the
real format and agrees with every other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rlvr.analysis.aggregate import aggregate
from rlvr.artifacts import (
    TRAIN_LOG,
    ContaminatedProblem,
    ContaminationRow,
    Grade,
    RunRecord,
    Sample,
    StudyFolder,
    read_run,
    read_train_log,
    write_record,
    write_rows,
    write_train_log,
)
from rlvr.artifacts.placeholders import write_no_rows
from rlvr.config.resolved import (
    BASE,
    BenchmarkEntry,
    GenerateConfig,
    RateFactor,
    RunEntry,
    StudyManifest,
)
from rlvr.config.training import Prompt, Sampling, Training
from rlvr.files import content_hash, write_json, write_parquet
from rlvr.report import build_report
from tests.helpers.analysis_tree import AGGREGATED
from tests.helpers.records import failed_run, run_record, train_config

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


RANK_8 = {"rank": 8, "alpha": 16.0, "dropout": 0.05, "target_modules": ["q_proj", "v_proj"]}
LORAS = RateFactor(value=1, given_by="preset")
RATE_FACTORS = {
    "base": None,
    "full": RateFactor(value=0.1, given_by="preset"),
    "pissa": RateFactor(value=0.3, given_by="study"),
    "vera": RateFactor(value=10, given_by="preset"),
}
"""Method -> factor of its learning rate; `LORAS` for the others."""

Benchmarks = Mapping[str, tuple[int, int]]
"""Name -> problems, samples per problem."""


@dataclass
class Tree:
    """Paths of the study, and what was simulated.

    Attributes:
        correct: by run and benchmark, whether each sample is correct, shape [problems, samples].
    """

    root: Path
    study: str
    correct: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        """The results of the study."""
        return self.root / "results" / self.study

    @property
    def folder(self) -> StudyFolder:
        """The files in it."""
        return StudyFolder(self.results)

    @property
    def manifest(self) -> Path:
        """The resolved study."""
        return self.folder.manifest

    @property
    def resources(self) -> Path:
        """Data and models."""
        return self.root / "resources"


def write_tree(
    root: Path,
    *,
    methods: tuple[str, ...] = tuple(METHODS),
    models: tuple[str, ...] = ("tiny",),
    benchmarks: Benchmarks | None = None,
    train_seeds: int = 1,
    not_run: tuple[str, ...] = (),
    steps: int = 60,
    study: str = "demo",
    presets: tuple[str, ...] = ("recommended",),
    settings: Mapping[str, tuple[str, ...] | None] | None = None,
    contaminated: int = 3,
) -> Tree:
    """Write a tree.

    Args:
        root: folder for ``results/`` and ``resources/``.
        methods: the untrained model is ``base``.
        models: names of the models.
        benchmarks: names to (problems, samples per problem).
        train_seeds: training seeds per method.
        not_run: methods that are planned but have not been run.
        steps: training steps.
        study: name of the study.
        presets: of every trained method.
        settings: names to the methods that are trained in them; None is all of them. Default: ``main``, all.
        contaminated: number of problems of the second benchmark that are in the training data.
    """
    benchmarks = benchmarks or {"sums": (160, 8), "products": (90, 4)}
    tree = Tree(root, study)
    runs = [
        _run(model, method, preset, setting, seed)
        for model in models
        for method in methods
        for preset in (presets if method != BASE else ("-",))
        for setting in (_settings_of(method, settings or {"main": None}) if method != BASE else ["-"])
        for seed in (range(train_seeds) if method != BASE else [None])
    ]
    done = [run for run in runs if run.method not in not_run]
    for name, (problems, _) in benchmarks.items():
        _write_data(tree, name, problems)
    for model in models:
        write_json(tree.resources / "models" / model / "pretraining.json", _pretraining())
    for run in done:
        _write_run(tree, run, benchmarks, steps)
    counts = {name: contaminated * (index == 1) for index, name in enumerate(benchmarks)}
    _write_contamination(tree, benchmarks, counts)
    for name, (_, k) in benchmarks.items():
        write_record(tree.folder.config(f"generate/{name}"), _generation(tree, name, k))
    _write_manifest(tree, runs, benchmarks)
    write_tables(tree)
    return tree


def write_tables(tree: Tree) -> None:
    """Write the tables of what there is."""
    outputs = {name: tree.folder.table(name) for name in AGGREGATED}
    aggregate(tree.manifest, tree.results, tree.folder.table("contaminated_problems"), **outputs)


def fail(tree: Tree, run: str) -> None:
    """Make a run one that failed in its seventh step, and write the tables again."""
    files = tree.folder.run(run)
    config = read_run(files.record).run_info.config
    write_record(files.record, failed_run(config))
    write_train_log(files.train_log, read_train_log(files.train_log).head(7).to_dict("records"))
    for path in tree.folder.samples_of(run).iterdir():
        write_no_rows(path, Sample, "diverged")
        write_no_rows(tree.folder.grades(run, path.stem), Grade, "diverged")
    write_tables(tree)


def _settings_of(method: str, settings: Mapping[str, tuple[str, ...] | None]) -> list[str]:
    return [name for name, methods in settings.items() if methods is None or method in methods]


def _run(model: str, method: str, preset: str, setting: str, seed: int | None) -> RunEntry:
    name = f"{model}--base" if method == BASE else f"{model}--{method}--{preset}--{setting}--s{seed}"
    labels = {"run": name, "model": model, "method": method, "preset": preset, "setting": setting}
    return RunEntry(**labels, train_seed=seed, rate_factor=RATE_FACTORS.get(method, LORAS))


def _write_manifest(tree: Tree, runs: list[RunEntry], benchmarks: Benchmarks) -> None:
    entries = [
        BenchmarkEntry(benchmark=name, dataset=f"{name}-test", samples_per_problem=k, title=name.capitalize())
        for name, (_, k) in benchmarks.items()
    ]
    manifest = StudyManifest(
        study=tree.study,
        title="Which method should one train with? <Demo & check>",
        description="The experiment in miniature, on two-digit arithmetic.",
        train_dataset="sums-train",
        runs=runs,
        benchmarks=entries,
    )
    write_record(tree.manifest, manifest)


def _generation(tree: Tree, name: str, k: int) -> GenerateConfig:
    return GenerateConfig(
        study=tree.study, benchmark=name, dataset=f"{name}-test", samples_per_problem=k,
        sampling=Sampling(temperature=0.6, top_p=0.95, max_new_tokens=40), prompt=Prompt(), batch_size=64,
        dtype="bfloat16", seed=0, shared_seed=False,
    )  # fmt: skip


def _write_contamination(tree: Tree, benchmarks: Benchmarks, contaminated: dict[str, int]) -> None:
    counts = [
        {"dataset": f"{name}-test", "problems": problems, "contaminated": contaminated[name]}
        for name, (problems, _) in benchmarks.items()
    ]
    write_rows(tree.folder.table("contamination"), ContaminationRow, counts)
    named = [
        {
            "dataset": f"{name}-test",
            "problem_id": f"{name}-{index:04d}",
            "train_id": f"train-{index}",
            "similarity": 0.97,
            "same_answer": True,
        }
        for name in benchmarks
        for index in range(contaminated[name])
    ]
    write_rows(tree.folder.table("contaminated_problems"), ContaminatedProblem, named)


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


def _write_run(tree: Tree, run: RunEntry, benchmarks: Benchmarks, steps: int) -> None:
    ability, parameters = (METHODS | MORE_METHODS)[run.method]
    if run.setting.startswith("rank"):
        rank = int(run.setting.removeprefix("rank"))
        ability, parameters = ability - 0.4 / rank, parameters * rank // 8
    for name, (problems, k) in benchmarks.items():
        difficulty = _generator("difficulty", run.model, name).normal(0.3, 1.6, problems)
        generator = _generator("samples", run.run, name)
        luck = generator.normal(0, 0.25, problems)
        chance = 1 / (1 + np.exp(difficulty - ability - luck))
        correct = generator.random((problems, k)) < chance[:, None]
        tree.correct[run.run, name] = correct
        _write_samples(tree, run.run, name, correct, generator)
    if run.train_seed is not None:
        log = _train_log(run, ability, steps)
        write_train_log(tree.folder.run(run.run).train_log, log)
        write_record(tree.folder.run(run.run).record, _record(tree, run, parameters, log))


def _write_samples(
    tree: Tree, run: str, name: str, correct: np.ndarray, generator: np.random.Generator
) -> None:
    problems, k = correct.shape
    index = np.arange(problems * k)
    key = {"problem_id": [f"{name}-{problem:04d}" for problem in index // k], "sample_index": index % k}
    texts = [
        HOSTILE[row % len(HOSTILE)]
        if row // k < 2
        else f"First I add the tens.\nThe answer is \\boxed{{{row}}}."
        for row in index
    ]
    texts[2 * k] = "Let me think about this. " * 400 + "\\boxed{12}"
    n_tokens = np.clip(generator.lognormal(2.8, 0.4, len(index)).astype(int), 4, 40)
    samples = {
        **key,
        "seed": generator.integers(0, 2**62, len(index)),
        "text": texts,
        "n_tokens": n_tokens,
        "finish_reason": np.where(n_tokens >= 40, "length", "stop"),
        "seconds": 0.01,
    }
    write_rows(tree.folder.samples(run, name), Sample, pd.DataFrame(samples))
    unanswered = ~correct.reshape(-1) & (generator.random(len(index)) < 0.1)
    grades = {
        **key,
        "extracted": [None if none else str(row) for row, none in zip(index, unanswered, strict=True)],
        "correct": correct.reshape(-1),
        "lenient": correct.reshape(-1) | unanswered,
        "status": np.where(unanswered, "no_answer", "ok"),
        "verifier_version": "1",
    }
    write_rows(tree.folder.grades(run, name), Grade, pd.DataFrame(grades))


def _train_log(run: RunEntry, ability: float, steps: int) -> list[dict[Any, Any]]:
    generator = _generator("train", run.run)
    step = np.arange(1, steps + 1)
    reward = 1 / (1 + np.exp(0.3 - (ability + 0.6) * (1 - np.exp(-step / (0.3 * steps))))) - 0.05
    reward = reward + generator.normal(0, 0.035, steps)
    simulated = {
        "step": step,
        "reward/mean": reward,
        "reward/correct": np.clip(reward + 0.02, 0, 1),
        "completion/length_mean": 14 - 3 * step / steps + generator.normal(0, 0.5, steps),
        "groups/informative_fraction": np.clip(0.8 - 0.4 * reward + generator.normal(0, 0.05, steps), 0, 1),
        "sync/noise_to_signal": np.where(step > 1, 0.9 / np.sqrt(step), np.nan),
        "rollout/mismatch_kl": 1e-3 * generator.random(steps),
    }
    columns = dict.fromkeys(TRAIN_LOG, 0.0)
    columns |= {"groups/filled_fraction": 1.0} if "groups/filled_fraction" in columns else {}
    return pd.DataFrame({**columns, **simulated}).to_dict("records")


def _record(tree: Tree, run: RunEntry, parameters: int, log: list[dict[Any, Any]]) -> RunRecord:
    config = train_config(
        study=tree.study,
        **run.model_dump(exclude={"trains_as", "rate_factor"}),
        parameters={} if run.method == "full" else RANK_8,
        answer_format="boxed",
        training=Training(
            steps=60, prompts_per_step=16, group_size=8,
            learning_rate=0.003 * (run.rate_factor or LORAS).value,
            sampling=Sampling(max_new_tokens=40),
        ),
    )  # fmt: skip
    return run_record(
        config,
        device_seconds=40 + 20 * _generator("seconds", run.run).random(),
        trainable_parameters=parameters,
        total_parameters=741_376 + parameters,
        steps=len(log),
        reward_first=log[0]["reward/mean"],
        reward_last=log[-1]["reward/mean"],
    )


def build(tree: Tree) -> str:
    """Build the page and return its text."""
    output = tree.root / "reports" / f"{tree.study}.html"
    build_report(tree.manifest, tree.results, tree.resources, output)
    return output.read_text(encoding="utf-8")


def edit(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Change a CSV file past the checks of ``write_rows``."""
    change(pd.read_csv(path, keep_default_na=False)).to_csv(path, index=False)
