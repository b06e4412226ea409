"""How far each run of a study has come: only what is complete enters the tables, and the rest is named."""

from dataclasses import dataclass
from typing import Any

from rlvr.artifacts import FailedRun, RunRecord, RunRow, StudyFolder, read_run
from rlvr.config.resolved import BASE, RunEntry, StudyManifest
from rlvr.errors import UserError


@dataclass(frozen=True)
class PlannedRun:
    """A run of the study and what there is of it."""

    entry: RunEntry
    record: RunRecord | FailedRun | None
    """None where it has not been trained; the untrained model has none."""
    evaluated: bool
    """Whether it has samples and grades on every benchmark, and scored references where they are due."""

    @property
    def trained(self) -> RunRecord | None:
        """The record of a run that did not fail."""
        return self.record if isinstance(self.record, RunRecord) else None

    @property
    def measured(self) -> bool:
        """Whether the tables hold this run."""
        return self.evaluated and (self.entry.method == BASE or self.trained is not None)


def planned_runs(study: StudyManifest, folder: StudyFolder) -> list[PlannedRun]:
    """Return all runs, in the order of the study.

    Raises:
        UserError: the record of a run is damaged.
    """
    return [_planned_run(entry, study, folder) for entry in study.runs]


def _planned_run(entry: RunEntry, study: StudyManifest, folder: StudyFolder) -> PlannedRun:
    record = folder.run(entry.run).record
    return PlannedRun(
        entry,
        record=read_run(record) if record.exists() else None,
        evaluated=all(
            path(entry.run, benchmark.benchmark).exists()
            for benchmark in study.benchmarks
            for path in (
                folder.samples,
                folder.grades,
                *([folder.references] if benchmark.forgetting else []),
            )
        ),
    )


def require_some(runs: list[PlannedRun], folder: StudyFolder) -> None:
    """Check that there is anything to make tables of.

    Raises:
        UserError: no run is complete.
    """
    if not any(run.measured for run in runs):
        raise UserError(f"{folder.root}: no run of the study has been trained and evaluated yet")


def run_row(study: StudyManifest, run: PlannedRun) -> RunRow:
    """Return the row of a run in ``runs.csv``."""
    entry, record = run.entry, run.record
    row = RunRow(
        study=study.study,
        model=entry.model,
        method=entry.method,
        preset=entry.preset,
        setting=entry.setting,
        run=entry.run,
        train_seed=entry.train_seed,
        status="finished" if run.evaluated else "not_evaluated",
        steps=None,
        planned_steps=None,
        reward_last=None,
        attempts=None,
        device_seconds=None,
        reason=None,
        learning_rate=None,
        rate_given_by=entry.rate_factor.given_by if entry.rate_factor else None,
        rate_trials=entry.rate_factor.trials if entry.rate_factor else None,
    )
    if entry.method == BASE:
        return row
    if record is None:
        return row.model_copy(update={"status": "not_trained"})
    info = record.run_info
    known: dict[str, Any] = {
        "planned_steps": info.config.training.steps,
        "attempts": info.attempts,
        "device_seconds": info.device_seconds,
        "learning_rate": info.config.training.learning_rate,
    }
    if isinstance(record, FailedRun):
        known |= record.failure.model_dump(include={"steps", "reward_last", "reason"}) | {
            "status": info.status
        }
    else:
        known |= record.train_info.model_dump(include={"steps", "reward_last"})
        known |= {"status": info.status} if run.evaluated else {}
    return row.model_copy(update=known)
