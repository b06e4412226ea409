"""Everything the report reads, checked once; nothing here computes a result."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import BaseModel, ValidationError

from rlvr.config.resolved import BASE, StudyManifest, Variant, read_config
from rlvr.errors import UserError
from rlvr.files import read_json, read_parquet

Model = TypeVar("Model", bound=BaseModel)

OVERALL = "overall"
UNCONTAMINATED = "overall_uncontaminated"
SAMPLE_WEIGHTED = "overall_sample_weighted"

SUMMARY_TEXT = ["study", "model", "method", "preset", "setting", "benchmark", "metric"]
SUMMARY_NUMBERS = ["train_seeds", "value", "se", "ci_low", "ci_high", "n_problems", "n_samples"]
SUMMARY_NUMBERS += ["trainable_parameters", "device_seconds"]
COMPARISON_TEXT = ["study", "model", "method", "preset", "setting", "baseline", "benchmark"]
COMPARISON_NUMBERS = ["difference", "se", "ci_low", "ci_high", "p_value", "p_holm"]
COMPARISON_NUMBERS += ["minimum_detectable", "n_problems", "train_seeds"]
COMPARISON_NUMBERS += ["probability_of_improvement", "improvement_ci_low", "improvement_ci_high"]
BUDGET_TEXT = ["study", "model", "method", "preset", "setting", "benchmark"]
BUDGET_NUMBERS = ["budget", "value", "se", "ci_low", "ci_high", "n_problems", "n_samples"]
OVERLAP_NUMBERS = ["problems", "seen"]
TRAINING_CURVES: list[tuple[str, str, float | None]] = [  # title, column of the log, largest possible value
    ("Mean reward", "reward/mean", None),
    ("Completion length (tokens)", "completion/length_mean", None),
    ("Share of groups with mixed rewards", "groups/informative_fraction", 1.0),
    ("Weight sync: noise over update", "sync/noise_to_signal", None),
    ("KL of the sampling to the trained policy (nats per token)", "rollout/mismatch_kl", None),
]
TRAIN_LOG_COLUMNS = ["step", *(column for _, column, _ in TRAINING_CURVES)]


class RunInfo(BaseModel):
    """What was run, and what it cost over all attempts."""

    config_sha256: str
    status: str
    seconds: float
    device_seconds: float
    attempts: int


class TrainInfo(BaseModel):
    """What came of the training."""

    trainable_parameters: int
    total_parameters: int
    steps: int
    reward_first: float
    reward_last: float
    peak_memory_bytes: int


class MetaInfo(BaseModel):
    """Which code, packages, model, data and machine made the run."""

    git_commit: str | None
    git_dirty: bool | None
    packages: dict[str, str]
    model_sha256: str
    data_sha256: str
    hardware: dict[str, Any]


class RunRecord(BaseModel):
    """The parts of a ``run.json`` that the report prints."""

    run_info: RunInfo
    train_info: TrainInfo
    meta_info: MetaInfo


@dataclass(frozen=True)
class Overlap:
    """How many problems of a benchmark stand in the training data as well."""

    problems: int
    seen: int


class PretrainingStep(BaseModel):
    """One point of the supervised pretraining of a built-in model."""

    step: int
    loss: float
    accuracy: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Inputs:
    """One study, as far as it has been run."""

    study: StudyManifest
    study_manifest: Path
    results: Path
    resources: Path
    summary: pd.DataFrame
    comparisons: pd.DataFrame
    budget: pd.DataFrame
    overlap: dict[str, Overlap]  # by data set; empty where it has not been counted
    records: dict[str, RunRecord]  # by run; a run that has not finished is absent
    train_logs: dict[str, pd.DataFrame]  # by run
    pretraining: dict[str, list[PretrainingStep]]  # by model

    def label(self, variant: Variant) -> str:
        """The method, with the preset or the setting where the study has more than one of them.

        A row that repeats a mix-up of the released code says what was really trained.
        """
        return self._labels[variant]

    def conditions(self, variant: Variant) -> str:
        """The preset and the setting where the study has more than one of them."""
        trained = [other for other in self.study.variants if other.method != BASE]
        presets = len({other.preset for other in trained}) > 1
        settings = len({other.setting for other in trained}) > 1
        return " · ".join([variant.preset] * presets + [variant.setting] * settings)

    @cached_property
    def names(self) -> dict[Variant, str]:
        """The method of each variant, and what was really trained where that is another."""
        names = {}
        for run in self.study.runs:
            really = f" (really {run.trains_as})" if run.trains_as else ""
            names[run.variant] = f"{BASE} (untrained)" if run.method == BASE else run.method + really
        return names

    @cached_property
    def _labels(self) -> dict[Variant, str]:
        return {
            variant: " · ".join(
                part for part in (name, variant.method != BASE and self.conditions(variant)) if part
            )
            for variant, name in self.names.items()
        }

    @cached_property
    def planned_seeds(self) -> Counter[Variant]:
        """How many training seeds were planned, by variant."""
        return Counter(run.variant for run in self.study.runs)

    @cached_property
    def contaminated(self) -> bool:
        """Whether a benchmark has problems that the models have seen in training."""
        return bool(self.summary["metric"].str.endswith("/contaminated").any())


def read_inputs(study_manifest: Path, results: Path, resources: Path) -> Inputs:
    """Read and check all that one report needs.

    Args:
        study_manifest: the resolved study, ``results/<study>/configs/study.json``.
        results: the folder ``results/<study>``.
        resources: the folder that holds ``data/`` and ``models/``.

    Raises:
        UserError: a file that must be there is missing, damaged, or speaks of a run that the study lacks.
    """
    study = read_config(study_manifest, StudyManifest)
    runs = results / "runs"
    records = {
        run.run: _validated(RunRecord, read_json(path), path)
        for run in study.runs
        if (path := runs / run.run / "run.json").exists()
    }
    train_logs = {
        run.run: read_parquet(path, TRAIN_LOG_COLUMNS).sort_values("step")
        for run in study.runs
        if (path := runs / run.run / "train_log.parquet").exists()
    }
    summary = _read_table(results / "tables" / "summary.csv", SUMMARY_TEXT, SUMMARY_NUMBERS)
    comparisons = _read_table(results / "tables" / "comparisons.csv", COMPARISON_TEXT, COMPARISON_NUMBERS)
    budget = _read_table(results / "tables" / "budget.csv", BUDGET_TEXT, BUDGET_NUMBERS)
    tables = {"summary.csv": summary, "comparisons.csv": comparisons, "budget.csv": budget}
    for name, frame in tables.items():
        _check_variants(results / "tables" / name, frame, study, study_manifest)
    return Inputs(
        study,
        study_manifest,
        results,
        resources,
        summary,
        comparisons,
        budget,
        _read_overlap(results / "tables" / "overlap.csv"),
        records,
        train_logs,
        _read_pretraining(study.models, resources),
    )


def is_accuracy(metric: str) -> bool:
    """Whether a metric is avg@k; the mean over benchmarks that differ in k is called ``avg``."""
    return re.fullmatch(r"avg(@\d+)?", metric) is not None


def pass_at_k(metric: str) -> int | None:
    """The k of a metric ``pass@k``, None for any other metric."""
    match = re.fullmatch(r"pass@(\d+)", metric)
    return int(match[1]) if match else None


def rows_of(frame: pd.DataFrame, variant: Variant) -> pd.DataFrame:
    """The rows of a table that belong to one variant."""
    return frame[
        (frame["model"] == variant.model)
        & (frame["method"] == variant.method)
        & (frame["preset"] == variant.preset)
        & (frame["setting"] == variant.setting)
    ]


def _validated(kind: type[Model], value: Any, path: Path) -> Model:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: {key}: {first['msg']}; delete the file to rebuild it") from None


def _read_table(path: Path, text: list[str], numbers: list[str]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{path}: file not found; make it with `rlvr aggregate`") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable CSV file ({error}); delete it to rebuild it") from None
    for column in text + numbers:
        if column not in frame.columns:
            raise UserError(f"{path}: column {column!r} is missing; delete the file to rebuild it")
    for column in numbers:
        numeric = pd.to_numeric(frame[column], errors="coerce").astype(float)
        wrong = numeric.isna() & ~frame[column].str.lower().isin(["", "nan"])
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise UserError(
                f"{path}, line {row + 2}: {column} is {frame[column].iloc[row]!r}, not a number; "
                "delete the file to rebuild it"
            )
        frame[column] = numeric
    return frame


def _read_overlap(path: Path) -> dict[str, Overlap]:
    if not path.exists():
        return {}
    frame = _read_table(path, ["dataset"], OVERLAP_NUMBERS)
    if frame[OVERLAP_NUMBERS].isna().any(axis=None):
        raise UserError(f"{path}: a count is empty; delete the file to rebuild it")
    columns = (frame["dataset"], frame["problems"].astype(int), frame["seen"].astype(int))
    return {dataset: Overlap(problems, seen) for dataset, problems, seen in zip(*columns, strict=True)}


def _check_variants(path: Path, frame: pd.DataFrame, study: StudyManifest, study_manifest: Path) -> None:
    planned = set(study.variants)
    names = frame[["model", "method", "preset", "setting"]].itertuples(index=False)
    for line, name in enumerate(names, start=2):
        if Variant(*name) not in planned:
            raise UserError(
                f"{path}, line {line}: {' '.join(name)} is not a run of {study_manifest}; "
                "delete the table to rebuild it for this study"
            )


def _read_pretraining(models: list[str], resources: Path) -> dict[str, list[PretrainingStep]]:
    curves = {}
    for model in models:
        path = resources / "models" / model / "pretraining.json"
        if path.exists():
            curves[model] = [_validated(PretrainingStep, point, path) for point in read_json(path)]
    return curves
