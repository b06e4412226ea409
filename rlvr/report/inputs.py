"""All that the report reads, checked once; nothing here computes a result."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from rlvr.artifacts import (
    AuditRow,
    BudgetRow,
    ClaimRecord,
    ComparisonRow,
    ContaminationRow,
    FailedRun,
    ForgettingRow,
    LeaderRow,
    LearningRow,
    RateRow,
    Row,
    RunRecord,
    SpectrumRow,
    StudyFolder,
    SummaryRow,
    read_records,
    read_rows,
    read_run,
    read_train_log,
)
from rlvr.config.claims import PAPER
from rlvr.config.loading import parse
from rlvr.config.resolved import BASE, GenerateConfig, RunEntry, StudyManifest, Variant, read_config
from rlvr.config.values import Settings
from rlvr.errors import UserError
from rlvr.files import read_json


class PretrainingStep(Settings):
    """One point of the supervised pretraining of a built-in model."""

    step: int
    loss: float
    accuracy: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """One study, as far as it has been run.

    Attributes:
        study: the grid and the benchmarks.
        study_manifest: the file they come from.
        folder: the files of the study.
        resources: the folder that holds ``data/`` and ``models/``.
        summary: `SummaryRow`, one row per variant, benchmark and metric.
        comparisons: `ComparisonRow`, one row per variant, baseline and benchmark.
        leader: `LeaderRow`, one row per trained variant but the best one of its model.
        forgetting: `ForgettingRow`; empty where the study measures none.
        learning: `LearningRow`; empty where nothing was trained.
        budget: `BudgetRow`, one row per variant, benchmark and token budget.
        contamination: by data set; empty where it has not been computed.
        records: by run; a run that failed or has not finished is absent.
        failed: by run; the runs that failed.
        train_logs: by run, those of failed runs included.
        pretraining: by model; only built-in models have one.
        spectra: `SpectrumRow`; empty where the study has not measured them.
        rates: `RateRow`, the trials of a study that chooses learning rates; empty for others.
        audit: `AuditRow`; empty where `config/audit.yaml` does not name the study.
        generation: how the completions of each benchmark are sampled; absent where that is not resolved.
        claims: the answers to the claims of the paper; empty where they have not been given.
        hypotheses: the answers to the claims of our own that name the study.
    """

    study: StudyManifest
    study_manifest: Path
    folder: StudyFolder
    resources: Path
    summary: pd.DataFrame
    comparisons: pd.DataFrame
    leader: pd.DataFrame
    forgetting: pd.DataFrame
    learning: pd.DataFrame
    budget: pd.DataFrame
    contamination: Mapping[str, ContaminationRow]
    records: Mapping[str, RunRecord]
    failed: Mapping[str, FailedRun]
    train_logs: Mapping[str, pd.DataFrame]
    pretraining: Mapping[str, list[PretrainingStep]]
    spectra: pd.DataFrame
    rates: pd.DataFrame
    audit: pd.DataFrame
    generation: list[GenerateConfig]
    claims: list[ClaimRecord]
    hypotheses: list[ClaimRecord]

    def data(self, dataset: str) -> Path:
        """Return the prepared problems of a data set."""
        return self.resources / "data" / f"{dataset}.parquet"

    def label(self, variant: Variant) -> str:
        """Return the method, with its preset and its setting where the study has more than one of them.

        For example ``lora · rank8``. Names the trained method too where it is another.
        """
        return self._labels[variant]

    def key(self, variant: Variant) -> str:
        """Return the name of a variant in links and in the data of the page: ``dora``, ``lora.rank8``."""
        parts = [variant.model] * self.several_models + [variant.method]
        conditions = "" if variant.method == BASE else self.conditions(variant)
        return ".".join([*parts, *filter(None, conditions.split(" · "))])

    def conditions(self, variant: Variant) -> str:
        """Return the preset and the setting where the study has more than one of them."""
        presets = len({other.preset for other in self.trained}) > 1
        settings = len({other.setting for other in self.trained}) > 1
        return " · ".join([variant.preset] * presets + [variant.setting] * settings)

    def trained_of(self, model: str) -> list[Variant]:
        """Return the trained variants of one model."""
        return [variant for variant in self.trained if variant.model == model]

    def untrained(self, model: str) -> Variant:
        """Return the variant of the untrained model; the study need not have it."""
        return Variant(model, BASE, "-", "-")

    @cached_property
    def variants(self) -> list[Variant]:
        """The rows of all tables: the order of the study, the variants of one method side by side."""
        first: dict[tuple[str, str], int] = {}
        for variant in self.study.variants:
            first.setdefault((variant.model, variant.method), len(first))
        return sorted(self.study.variants, key=lambda variant: first[variant.model, variant.method])

    @cached_property
    def trained(self) -> list[Variant]:
        """All variants but the untrained models."""
        return [variant for variant in self.variants if variant.method != BASE]

    @cached_property
    def several_models(self) -> bool:
        """Whether tables and headings must name the model."""
        return len(self.study.models) > 1

    @cached_property
    def names(self) -> dict[Variant, str]:
        """The method of each variant, and the method that was trained under its name where they differ."""
        return {run.variant: _name(run) for run in self.study.runs}

    @cached_property
    def _labels(self) -> dict[Variant, str]:
        conditions = {variant: self.conditions(variant) for variant in self.trained}
        return {
            variant: " · ".join(filter(None, [name, conditions.get(variant)]))
            for variant, name in self.names.items()
        }

    @cached_property
    def planned_seeds(self) -> Counter[Variant]:
        """Number of planned training seeds, by variant."""
        return Counter(run.variant for run in self.study.runs)

    def absence(self, variant: Variant) -> str:
        """Return why a variant has no numbers: ``failed`` or ``not run``."""
        failed = any(run.run in self.failed for run in self.study.runs_of(variant))
        return "failed" if failed else "not run"

    @cached_property
    def ended(self) -> dict[str, RunRecord | FailedRun]:
        """The records of all runs that have ended, in the order of the study."""
        found: dict[str, RunRecord | FailedRun] = {**self.records, **self.failed}
        return {run.run: found[run.run] for run in self.study.runs if run.run in found}

    @cached_property
    def contaminated(self) -> bool:
        """Whether a benchmark has problems that are in the training data."""
        return bool(self.summary["metric"].str.endswith("/contaminated").any())


def read_inputs(study_manifest: Path, results: Path, resources: Path) -> Inputs:
    """Read and check all that one report needs.

    Args:
        study_manifest: the resolved study, ``results/STUDY/configs/study.json``.
        results: the folder ``results/STUDY``.
        resources: the folder that holds ``data/`` and ``models/``.

    Raises:
        UserError: a required file is missing, a file is damaged, or a table has a run that the study lacks.
    """
    study = read_config(study_manifest, StudyManifest)
    folder = StudyFolder(results)
    runs = [run.run for run in study.runs]
    records = {run: read_run(folder.run(run).record) for run in runs if folder.run(run).record.exists()}

    def table(name: str, kind: type[Row]) -> pd.DataFrame:
        frame = read_rows(folder.table(name), kind)
        _check_variants(folder.table(name), frame, study, study_manifest)
        return frame

    def optional(path: Path, kind: type[Row]) -> pd.DataFrame:
        return read_rows(path, kind) if path.exists() else pd.DataFrame(columns=kind.columns())

    answers = read_records(folder.claims, ClaimRecord) if folder.claims.exists() else []
    return Inputs(
        study=study,
        study_manifest=study_manifest,
        folder=folder,
        resources=resources,
        summary=table("summary", SummaryRow),
        comparisons=table("comparisons", ComparisonRow),
        leader=table("leader", LeaderRow),
        forgetting=optional(folder.table("forgetting"), ForgettingRow),
        learning=optional(folder.table("learning"), LearningRow),
        budget=table("budget", BudgetRow),
        contamination=_read_contamination(folder.table("contamination")),
        records={run: record for run, record in records.items() if isinstance(record, RunRecord)},
        failed={run: record for run, record in records.items() if isinstance(record, FailedRun)},
        train_logs={
            run: read_train_log(folder.run(run).train_log)
            for run in runs
            if folder.run(run).train_log.exists()
        },
        pretraining=_read_pretraining(study.models, resources),
        spectra=optional(folder.spectra, SpectrumRow),
        rates=optional(folder.table("rates"), RateRow),
        audit=optional(folder.table("audit"), AuditRow),
        generation=[
            read_config(path, GenerateConfig)
            for entry in study.benchmarks
            if (path := folder.config(f"generate/{entry.benchmark}")).exists()
        ],
        claims=[record for record in answers if record.source == PAPER],
        hypotheses=[record for record in answers if record.source != PAPER],
    )


def pretraining_path(resources: Path, model: str) -> Path:
    """Return the pretraining curve of a built-in model."""
    return resources / "models" / model / "pretraining.json"


def _name(run: RunEntry) -> str:
    if run.method == BASE:
        return f"{BASE} (untrained)"
    return f"{run.method} (really {run.trains_as})" if run.trains_as else run.method


def _read_contamination(path: Path) -> dict[str, ContaminationRow]:
    if not path.exists():
        return {}
    rows = read_rows(path, ContaminationRow).to_dict("records")
    return {row["dataset"]: ContaminationRow.model_validate(row) for row in rows}


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
    paths = {model: pretraining_path(resources, model) for model in models}
    return {
        model: [parse(PretrainingStep, point, str(path)) for point in read_json(path)]
        for model, path in paths.items()
        if path.exists()
    }
