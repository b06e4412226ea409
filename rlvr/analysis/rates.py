"""Choose the learning rates of a study that tunes, and write them where other studies read them."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rlvr.analysis.inputs.runs import PlannedRun, planned_runs, run_row
from rlvr.analysis.inputs.scores import read_scores
from rlvr.analysis.tables.rates import Trial, choices, rate_rows, warnings
from rlvr.artifacts import ContaminatedProblem, RateRow, StudyFolder, read_rows, read_run, write_rows
from rlvr.config.catalogue import catalogue_entries
from rlvr.config.rates import (
    TunedRate,
    TunedRates,
    TuningProtocol,
    conditions_of,
    entry_hash,
    shared_part,
    write_rates_file,
)
from rlvr.config.resolved import BASE, StudyManifest, TrainConfig, read_config
from rlvr.errors import UserError
from rlvr.files import sha256_of

logger = logging.getLogger(__name__)


def choose_rates(manifest: Path, results: Path, contaminated: Path, output: Path) -> None:
    """Write the trials of a study that tunes, with the rate chosen for each method.

    Args:
        manifest: the study (`StudyManifest`).
        results: folder of the study, with ``samples/``, ``grades/`` and ``runs/``.
        contaminated: table of the validation problems that are similar to training or test problems
            (`ContaminatedProblem`); they do not count.
        output: CSV to write (`RateRow`), one row per trial.

    Raises:
        UserError: the study does not tune, a file is damaged, or no validation problem counts.
    """
    study, folder = _tuning_study(manifest), StudyFolder(results)
    similar = set(read_rows(contaminated, ContaminatedProblem)["problem_id"])
    trained = [run for run in planned_runs(study, folder) if run.entry.method != BASE]
    chosen = choices([_trial(study, folder, run, similar) for run in trained])
    for line in warnings(chosen):
        logger.warning(line)
    write_rows(output, RateRow, rate_rows(study.study, chosen))


def write_rates(manifest: Path, results: Path, config: Path, output: Path) -> None:
    """Write the chosen rates of a study as configuration, with what they were tuned with.

    Args:
        manifest: the study (`StudyManifest`).
        results: folder of the study, with ``tables/rates.csv`` and the records of its runs.
        config: folder of the configuration, for the entries of the catalogues.
        output: ``config/rates/NAME.yaml`` to write (`TunedRates`).

    Raises:
        UserError: the study does not tune, a file is damaged, or a method has no chosen rate.
    """
    study, folder = _tuning_study(manifest), StudyFolder(results)
    table = read_rows(folder.table("rates"), RateRow)
    chosen = _chosen_rows(study, folder, table)
    configs = [_config(folder, str(row["run"])) for row in chosen]
    conditions = [conditions_of(one) for one in configs]
    shared = shared_part(conditions)
    (benchmark,) = study.benchmarks
    protocol = TuningProtocol(
        study=study.study,
        table_sha256=sha256_of(folder.table("rates")),
        dataset=benchmark.dataset,
        problems=chosen[0]["n_problems"],
        samples_per_problem=benchmark.samples_per_problem,
        steps=configs[0].training.steps,
        train_seeds=sorted({run.train_seed for run in study.runs if run.train_seed is not None}),
    )
    entries, data = catalogue_entries(config), dict.fromkeys([study.train_dataset, benchmark.dataset])
    names = [*(f"models/{model}" for model in study.models), *(f"data/{name}" for name in data)]
    rates = [
        _tuned_rate(row, table, {key: value for key, value in own.items() if key not in shared})
        for row, own in zip(chosen, conditions, strict=True)
    ]
    write_rates_file(
        output,
        TunedRates(
            protocol=protocol,
            entries={name: entry_hash(entries[name]) for name in names},
            conditions=shared,
            rates=rates,
        ),
    )


def _tuning_study(manifest: Path) -> StudyManifest:
    study = read_config(manifest, StudyManifest)
    if not study.tunes:
        raise UserError(f"{manifest}: study {study.study!r} has no block `tune`, so it chooses no rates")
    return study


def _trial(study: StudyManifest, folder: StudyFolder, run: PlannedRun, similar: set[str]) -> Trial:
    """Return a run as a trial; problems in ``similar`` do not count."""
    entry, (benchmark,) = run.entry, study.benchmarks
    assert entry.train_seed is not None
    trial = Trial(
        variant=entry.variant,
        run=entry.run,
        train_seed=entry.train_seed,
        learning_rate=run.record.run_info.config.training.learning_rate if run.record else None,
        status=run_row(study, run).status,
    )
    if not run.measured:
        return trial
    scores = read_scores(folder, entry.run, benchmark)
    kept_N = np.array([problem not in similar for problem in scores.problem_ids])
    if not kept_N.any():
        raise UserError(
            f"{scores.grades_path}: all validation problems are similar to training or test problems "
            f"({folder.table('contaminated_problems')}); tune on other problems"
        )
    correct_NK = scores.correct[kept_N]
    return replace(
        trial, correct=int(correct_NK.sum()), n_problems=len(correct_NK), n_samples=correct_NK.size
    )


def _chosen_rows(study: StudyManifest, folder: StudyFolder, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a row of the chosen rate of every method, in the order of the study.

    Raises:
        UserError: a method has none.
    """
    key = ["model", "method", "preset"]
    first: Any = table[table["chosen"]].drop_duplicates(key)
    found = {tuple(row[name] for name in key): row for row in first.to_dict("records")}
    wanted = dict.fromkeys((run.model, run.method, run.preset) for run in study.runs if run.method != BASE)
    if lacking := [f"{method} ({preset}, {model})" for model, method, preset in wanted.keys() - found.keys()]:
        raise UserError(
            f"{folder.table('rates')}: no rate is chosen for {', '.join(sorted(lacking))}; the log of the "
            f"table says why (logs/{study.study}/choose-rates.log)"
        )
    return [found[method] for method in wanted]


def _config(folder: StudyFolder, run: str) -> TrainConfig:
    return read_run(folder.run(run).record).run_info.config


def _tuned_rate(row: dict[str, Any], table: pd.DataFrame, conditions: dict[str, Any]) -> TunedRate:
    """Return the chosen rate of a method; ``row`` is one of its chosen rows in the table."""
    key = ["model", "method", "preset"]
    trials = table[(table[key] == [row[name] for name in key]).all(axis=1)]
    return TunedRate(
        **{name: row[name] for name in (*key, "learning_rate", "edge")},
        tried=sorted({float(rate) for rate in trials["learning_rate"]}),
        trials=len(trials),
        accuracy=row["mean_accuracy"],
        conditions=conditions,
    )
