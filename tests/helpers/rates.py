"""A file of tuned rates as `rlvr write-rates` makes it, without the training runs."""

import shutil
from pathlib import Path

from rlvr.config.catalogue import catalogue_entries
from rlvr.config.rates import (
    TunedRate,
    TunedRates,
    TuningProtocol,
    conditions_of,
    entry_hash,
    rates_path,
    write_rates_file,
)
from rlvr.config.studies import load_study
from rlvr.planning.plan import load_plan, train_configs
from tests.helpers.paths import REPOSITORY


def config_with_rates(folder: Path) -> Path:
    """Return a copy of the shipped configuration in which every study that tunes has chosen its rates."""
    config = folder / "config"
    shutil.copytree(REPOSITORY / "config", config)
    for path in (config / "studies").glob("*.yaml"):
        study, _ = load_study(path)
        if study.tune and not rates_path(config, path.stem).exists():
            write_tuned_rates(config, path.stem, list(study.settings)[1])
    return config


def write_tuned_rates(config: Path, study: str, setting: str) -> Path:
    """Write the file of a study that tunes as if ``setting`` had won for all of its methods."""
    plan = load_plan(study, config)
    runs, seeds = list(train_configs(plan)), plan.study.train_seeds
    dataset = plan.study.evaluation.benchmarks["validation"].dataset
    names = [*(f"models/{model}" for model in plan.study.models), f"data/{plan.study.train_dataset}"]
    entries = catalogue_entries(config)
    rates = [
        TunedRate(
            model=run.model,
            method=run.method,
            preset=run.preset,
            learning_rate=run.training.learning_rate,
            tried=[other.training.learning_rate for other in runs if _same(run, other)],
            trials=len(plan.study.settings) * len(seeds),
            accuracy=0.75,
            conditions=conditions_of(run),
        )
        for run in runs
        if run.setting == setting and run.train_seed == seeds[0]
    ]
    protocol = TuningProtocol(
        study=study,
        table_sha256="5" * 64,
        dataset=dataset,
        problems=256,
        samples_per_problem=4,
        steps=plan.study.training.steps,
        train_seeds=seeds,
    )
    path = rates_path(config, study)
    hashes = {name: entry_hash(entries[name]) for name in [*names, f"data/{dataset}"]}
    write_rates_file(path, TunedRates(protocol=protocol, entries=hashes, conditions={}, rates=rates))
    return path


def _same(run, other) -> bool:
    """Tell whether two runs are trials of one choice with one training seed."""
    return all(
        getattr(run, key) == getattr(other, key) for key in ("model", "method", "preset", "train_seed")
    )
