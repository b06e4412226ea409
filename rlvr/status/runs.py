"""Find out how far the runs of a study are, from files that all machines see.

These are locks, logs, checkpoints and records. Nothing asks for processes, so that jobs on other machines
count as well. A run whose lock is older than its heartbeat allows is not running.
"""

import contextlib
import json
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from rlvr.artifacts import FailedRun, RunRecord, StudyFolder, read_run
from rlvr.config.loading import load_yaml
from rlvr.config.resolved import BASE
from rlvr.config.schema import Selection
from rlvr.errors import FailedStatus, UserError
from rlvr.files import read_json
from rlvr.locks import STALE_SECONDS, Heartbeat, heartbeat_of
from rlvr.planning.plan import Plan, study_manifest, train_configs
from rlvr.status.logs import last_line, log_progress

ENDED = {"finished", "exhausted", *get_args(FailedStatus)}
"""States after which nothing more happens by itself."""


@dataclass(frozen=True)
class Folders:
    """Where the workflow keeps the files of a study."""

    results: StudyFolder
    checkpoints: Path
    """``CHECKPOINTS/STUDY``."""
    logs: Path
    """``logs/STUDY``."""


def folders_of(plan: Plan, results: Path, checkpoints: Path | None, logs: Path) -> Folders:
    """Return the folders of a study below those of all studies; checkpoints by default as `config.yaml` says.

    Raises:
        UserError: `config.yaml` is missing or has an error.
    """
    root = checkpoints or Path(load_yaml(plan.config / "config.yaml", Selection).checkpoints)
    return Folders(StudyFolder(results / plan.name), root / plan.name, logs / plan.name)


@dataclass(frozen=True)
class RunStatus:
    """How far one run is; None: unknown, or there is none."""

    run: str
    state: str
    """`waiting`, `training`, `stopped` (the last attempt ended without a result), `trained`, `sampling`, or
    how the run ended (`status` in its record)."""
    host: str | None = None
    """Where it runs."""
    steps: int | None = None
    planned_steps: int | None = None
    reward: float | None = None
    seconds_left: float | None = None
    """Of training or sampling."""
    attempts: int = 0
    device_hours: float = 0.0
    """Of training, all attempts."""
    note: str = ""
    """Why it failed, or the last line of the log of a stopped attempt."""


def study_status(plan: Plan, folders: Folders, now: float | None = None) -> list[RunStatus]:
    """Return how far each run is, in the order of the study.

    Args:
        plan: the study.
        folders: its files.
        now: seconds since the epoch; None: now.
    """
    now = time.time() if now is None else now
    steps = {config.run: config.training.steps for config in train_configs(plan)}
    gpus = max(plan.study.compute.gpus or 0, 1)
    benchmarks = list(plan.study.evaluation.benchmarks)
    found = []
    for entry in study_manifest(plan).runs:
        status = RunStatus(entry.run, "waiting", planned_steps=steps.get(entry.run))
        if entry.method != BASE:
            status = _trained(status, folders, gpus, now)
        if entry.method == BASE or status.state in ("finished", "exhausted"):
            status = _evaluated(status, folders, benchmarks, now)
        found.append(status)
    return found


def statuses_as_json(statuses: list[RunStatus]) -> str:
    """Return a list with one object for each run."""
    return json.dumps([asdict(status) for status in statuses], indent=2)


def _trained(status: RunStatus, folders: Folders, gpus: int, now: float) -> RunStatus:
    """Return how far the training of a run is."""
    path = folders.results.run(status.run).record
    if path.exists():
        return _recorded(status, read_run(path))
    checkpoints = _newest(folders.checkpoints / status.run)
    if checkpoints is None:
        return status
    log, lock = folders.logs / "train" / f"{status.run}.log", heartbeat_of(checkpoints / "lock")
    status = replace(
        _from_checkpoint(status, checkpoints, gpus), attempts=_lines(checkpoints / "attempts.jsonl")
    )
    status = _from_log(status, log, now)
    if lock is None or now - lock.last_beat > STALE_SECONDS:
        return replace(status, state="stopped", seconds_left=None, note=last_line(log))
    hours = status.device_hours + _unsaved_seconds(checkpoints, lock, now) * gpus / 3600
    return replace(status, state="training", host=lock.holder.host, device_hours=hours)


def _recorded(status: RunStatus, record: RunRecord | FailedRun) -> RunStatus:
    info = record.run_info
    status = replace(
        status,
        state=info.status,
        planned_steps=info.config.training.steps,
        attempts=info.attempts,
        device_hours=info.device_seconds / 3600,
    )
    if isinstance(record, FailedRun):
        failure = record.failure
        note = failure.reason.splitlines()[0]
        return replace(status, steps=failure.steps, reward=failure.reward_last, note=note)
    return replace(status, steps=record.train_info.steps, reward=record.train_info.reward_last)


def _evaluated(status: RunStatus, folders: Folders, benchmarks: list[str], now: float) -> RunStatus:
    """Return how far the evaluation of a trained or untrained model is."""
    trained = status.state != "waiting"
    if all(folders.results.grades(status.run, name).exists() for name in benchmarks):
        return status if trained else replace(status, state="finished")
    lock = heartbeat_of(folders.checkpoints / "generate" / status.run / "lock")
    if lock is None or now - lock.last_beat > STALE_SECONDS:
        return replace(status, state="trained" if trained else "waiting")
    status = replace(status, state="sampling", host=lock.holder.host)
    progress = log_progress(folders.logs / "generate" / f"{status.run}.log", now)
    return replace(status, seconds_left=progress.seconds_left) if progress else status


def _from_checkpoint(status: RunStatus, folder: Path, gpus: int) -> RunStatus:
    """Add what the newest readable checkpoint says."""
    for checkpoint in sorted(folder.glob("step-*"), reverse=True):
        try:
            progress: dict[str, Any] = read_json(checkpoint / "state.json")["progress"]
        except (UserError, KeyError, TypeError):
            continue
        rewards = [row["reward/mean"] for row in progress["log"] if row["reward/mean"] is not None]
        hours = progress["seconds"] * gpus / 3600
        return replace(
            status, steps=len(progress["log"]), reward=rewards[-1] if rewards else None, device_hours=hours
        )
    return replace(status, steps=0)


def _unsaved_seconds(folder: Path, lock: Heartbeat, now: float) -> float:
    """Return how long a run has trained since its attempt began, or since the attempt's last checkpoint."""
    times = [_modified(path) for path in folder.glob("step-*/state.json")]
    with contextlib.suppress(ValueError):  # the file of the lock is damaged
        times.append(datetime.fromisoformat(lock.holder.since).timestamp())
    return max(now - max(times, default=now), 0.0)


def _modified(path: Path) -> float:
    """Return when a file was written; 0 if it has just been removed."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _from_log(status: RunStatus, log: Path, now: float) -> RunStatus:
    """Add what the log says, if it is ahead of the checkpoint."""
    progress = log_progress(log, now)
    if progress is None or progress.steps < (status.steps or 0):
        return status
    return replace(status, **progress._asdict())


def _newest(folder: Path) -> Path | None:
    """Return the checkpoints of the configuration that was trained last."""
    return max(
        (path for path in folder.glob("*") if path.is_dir()),
        key=lambda path: path.stat().st_mtime,
        default=None,
    )


def _lines(path: Path) -> int:
    return len(path.read_bytes().splitlines()) if path.exists() else 0
