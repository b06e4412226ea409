"""The jobs of a run of the workflow, by stage: how many are done, which run, and how long the rest takes."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import mean

from rlvr.status.logs import Progress, log_progress

STAGES = {
    "prepare": ("resolve_config", "resolve_entry", "prepare_data", "prepare_model"),
    "pretrain": ("pretrain_model",),
    "train": ("train_run",),
    "evaluate": ("generate_*",),
    "grade": ("grade_samples",),
    "tables": (
        *("find_contamination", "aggregate_study", "answer_claims", "audit_study", "measure_spectra"),
        *("choose_rates", "write_rates"),
    ),
    "report": ("render_report",),
    "check": ("check_runs",),
}
"""Stage -> patterns of its rules, in the order in which the stages are shown."""
CLOCK_SECONDS = 2.0
"""By which the clock of a file server may differ."""
OTHER = "other"
"""Stage of a rule that no pattern names."""


def stage_of(rule: str) -> str:
    """Return the stage of a rule."""
    return next(
        (name for name, rules in STAGES.items() if any(fnmatchcase(rule, pattern) for pattern in rules)),
        OTHER,
    )


@dataclass(frozen=True)
class Job:
    """A job that was given to the executor.

    Attributes:
        id: its number in this run of Snakemake.
        stage: its stage.
        title: what it does.
        log: its log; None: it has none.
        started: seconds since the epoch.
    """

    id: int
    stage: str
    title: str
    log: Path | None
    started: float

    def begun(self) -> bool:
        """Tell whether the job has written to its log since it was submitted; else it waits for a machine."""
        try:
            return self.log is None or self.log.stat().st_mtime >= self.started - CLOCK_SECONDS
        except OSError:
            return False

    def progress(self, now: float) -> Progress | None:
        """Return how far the job is by its log, which may begin with lines of an earlier attempt."""
        return log_progress(self.log, now) if self.log and self.begun() else None


@dataclass(frozen=True)
class StageRow:
    """How far one stage is.

    Attributes:
        seconds_left: of the whole stage; None: unknown, since no job of it has ended or said how far it is.
    """

    name: str
    done: int
    total: int
    failed: int
    running: int
    seconds_left: float | None

    @property
    def ended(self) -> bool:
        """Whether nothing of the stage is left to do."""
        return self.done == self.total


@dataclass
class Stages:
    """What has happened in one run of Snakemake, told by one thread and read by another.

    Attributes:
        planned: stage -> number of jobs.
        started: seconds since the epoch.
        running: jobs that were given to the executor and have not ended, by number.
        failed: jobs whose last attempt failed, by number.
    """

    planned: dict[str, int]
    started: float
    running: dict[int, Job] = field(default_factory=dict)
    failed: dict[int, Job] = field(default_factory=dict)
    _done: Counter[str] = field(default_factory=Counter)
    _seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _at_once: Counter[str] = field(default_factory=Counter)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def of_rules(cls, jobs: Mapping[str, int]) -> "Stages":
        """Return the stages of a plan: rule -> number of its jobs."""
        planned: Counter[str] = Counter()
        for rule, number in jobs.items():
            planned[stage_of(rule)] += number
        ordered = {name: planned[name] for name in (*STAGES, OTHER) if planned[name]}
        return cls(ordered, time.time())

    def start(self, job: Job) -> None:
        """Take note of a job, or of another attempt of one that failed."""
        with self._lock:
            self.failed.pop(job.id, None)
            self.running[job.id] = job
            at_once = sum(other.stage == job.stage for other in self.running.values())
            self._at_once[job.stage] = max(self._at_once[job.stage], at_once)

    def finish(self, number: int, now: float) -> Job | None:
        """Take note of the end of a job; None: the job is not of a stage."""
        with self._lock:
            job = self.running.pop(number, None)
            if job:
                self._done[job.stage] += 1
                self._seconds[job.stage].append(now - job.started)
            return job

    def fail(self, number: int) -> Job | None:
        """Take note of a failure; None: the job is not of a stage."""
        with self._lock:
            job = self.running.pop(number, None)
            if job:
                self.failed[number] = job
            return job

    def row(self, stage: str, progress: Mapping[int, Progress], now: float) -> StageRow:
        """Return how far a stage is.

        Args:
            stage: its name.
            progress: of the jobs that say so, by number.
            now: seconds since the epoch.
        """
        running = [job for job in list(self.running.values()) if job.stage == stage]
        failed = sum(job.stage == stage for job in list(self.failed.values()))
        waiting = self.planned[stage] - self._done[stage] - len(running) - failed
        known = {job.id: progress[job.id].seconds_left for job in running if job.id in progress}
        took = self._seconds[stage] + [now - self.running[number].started + known[number] for number in known]
        left = None
        if took and (running or waiting):
            usual = mean(took)
            rests = [known.get(job.id, max(usual - (now - job.started), 0.0)) for job in running]
            shared = (sum(rests) + waiting * usual) / max(self._at_once[stage], 1)
            left = max([shared, *rests])
        return StageRow(stage, self._done[stage], self.planned[stage], failed, len(running), left)

    def view(self, now: float) -> "View":
        """Return what to show."""
        running = list(self.running.values())
        progress = {job.id: found for job in running if (found := job.progress(now))}
        with self._lock:
            rows = [self.row(stage, progress, now) for stage in self.planned]
        jobs = sorted(running, key=lambda job: (job.id not in progress, job.started))
        begun = [(job, progress.get(job.id)) for job in jobs if job.begun()]
        return View(rows, begun, len(jobs) - len(begun), now - self.started)


@dataclass(frozen=True)
class View:
    """What is shown at one moment.

    Attributes:
        rows: the stages.
        jobs: the running jobs with what they say of their progress, those that say something first.
        submitted: number of jobs that wait for a machine.
        seconds: since the run began.
    """

    rows: list[StageRow]
    jobs: list[tuple[Job, Progress | None]]
    submitted: int
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """Time left of all stages of which it is known; None: of none."""
        known = [row.seconds_left for row in self.rows if row.seconds_left is not None]
        return sum(known) if known else None

    @property
    def all_known(self) -> bool:
        """Whether the time left is known of every stage that has not ended."""
        return all(row.ended or row.seconds_left is not None for row in self.rows)
