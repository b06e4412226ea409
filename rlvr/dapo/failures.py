"""A failure is a result: it is recorded in the folder of its run, and the study goes on without that run.

Recorded at once are failures that another attempt would only repeat (:class:`~rlvr.errors.RunFailure`); any
other error only where no attempt is left and one process trains, and one of the file system, which is none of
the run's, never. A process that is killed records nothing.
"""

import errno
import json
import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from rlvr.artifacts import FailedRun, Failure, MetaInfo, RunFolder, read_run
from rlvr.config.resolved import TrainConfig, read_config
from rlvr.dapo.ranks import Ranks, RanksDiffer
from rlvr.dapo.results import run_info, write_failed
from rlvr.dapo.setup import Run, input_hashes
from rlvr.environment import current_environment
from rlvr.errors import FailedStatus, RunFailure, TryAgain, UserError
from rlvr.files import content_hash
from rlvr.locks import Lock

LAST_LINES = 20
"""Lines of the log that the record of a failure keeps."""
ATTEMPTS = "attempts.jsonl"
"""File in the folder of the checkpoints: the holder of the lock in every attempt, one line each."""

logger = logging.getLogger(__name__)


@dataclass
class Attempt:
    """One attempt to train a run."""

    config_path: Path
    model: Path
    data: Path
    output: Path
    """Folder of the run."""
    log: Path | None
    """Log file; without it, failures are raised and not recorded."""
    attempts_left: int
    """Attempts that may follow this one."""
    number: int = 1
    """Of this attempt, from 1."""
    run: Run | None = None
    """The run, once it is set up."""
    started: float = field(default_factory=time.monotonic)
    """On the monotonic clock."""

    def begin(self, folder: Path, lock: Lock) -> None:
        """Count this attempt among those of the checkpoints in ``folder``."""
        with open(folder / ATTEMPTS, "a+", encoding="ascii") as file:
            file.write(json.dumps(asdict(lock.holder)) + "\n")
            file.seek(0)
            self.number = len(file.readlines())

    @contextmanager
    def failures_recorded(self, ranks: Ranks) -> Iterator[None]:
        """Record a failure of the block that is final, and end the block without an error.

        Of several ranks, rank 0 records a :class:`~rlvr.errors.RunFailure` that all of them meet. One that
        another rank meets, perhaps alone, is raised there, and so is any other error.
        """
        last_lines = _LastLines()
        package = logging.getLogger("rlvr")
        package.addHandler(last_lines)
        try:
            yield
        except TryAgain:
            raise
        except Exception as error:
            last = self.attempts_left == 0 and ranks.size == 1 and not _of_the_file_system(error)
            final = last or isinstance(error, RunFailure)
            if self.log is None or not final or not ranks.leads:
                raise
            if not isinstance(error, UserError):
                logger.exception("attempt %d", self.number)
            self._record(self.log, error, list(last_lines.lines))
        finally:
            package.removeHandler(last_lines)

    def _record(self, log_file: Path, error: Exception, last_lines: list[str]) -> None:
        config, run = read_config(self.config_path, TrainConfig), self.run
        status: FailedStatus = error.status if isinstance(error, RunFailure) else "crashed"
        log = run.log if run else []
        rewards = [row["reward/mean"] for row in log if row["reward/mean"] == row["reward/mean"]]
        seconds = run.seconds if run else time.monotonic() - self.started
        record = FailedRun(
            run_info=run_info(config, status, seconds, run.devices if run else 1, self.number),
            failure=Failure(
                reason=_reason(error).removeprefix(f"{config.run}: "),
                steps=len(log),
                reward_first=rewards[0] if rewards else None,
                reward_last=rewards[-1] if rewards else None,
                log=str(log_file),
                last_lines=last_lines,
            ),
            meta_info=MetaInfo(
                **dict(run.environment if run else current_environment()),
                earlier_git_commits=run.earlier_commits if run else [],
                **input_hashes(self.model, self.data),
            ),
        )
        write_failed(self.output, record, log)
        logger.error("%s: %s after %d steps: %s", config.run, status, len(log), record.failure.reason)
        logger.warning("recorded in %s; delete that file to train again", RunFolder(self.output).record)

    def earlier_failure(self) -> RunFailure | None:
        """Return the failure that an earlier attempt with the same inputs has recorded, if there is one."""
        path = RunFolder(self.output).record
        record = read_run(path) if path.exists() else None
        if not isinstance(record, FailedRun):
            return None
        config, info, meta = read_config(self.config_path, TrainConfig), record.run_info, record.meta_info
        inputs = {"model_sha256": meta.model_sha256, "data_sha256": meta.data_sha256}
        if info.config_sha256 != content_hash(config.model_dump()) or inputs != input_hashes(
            self.model, self.data
        ):
            return None
        status: FailedStatus = info.status  # type: ignore[assignment]
        return RunFailure(
            status,
            f"{config.run}: {status} after {record.failure.steps} steps in an earlier attempt: "
            f"{record.failure.reason}\nrecorded in {path}; delete that file to train again",
        )


def _of_the_file_system(error: BaseException | None) -> bool:
    """Tell whether a file could not be read or written, by an error or by what it explains.

    safetensors says so by an error of its own.
    """
    full = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT)]
    return error is not None and (
        isinstance(error, OSError)
        or any(text in str(error) for text in full)
        or _of_the_file_system(error.__cause__ or error.__context__)
    )


def _of_memory(error: BaseException | None) -> bool:
    """Tell whether memory was lacking, of which another job may have taken a part."""
    return error is not None and (
        isinstance(error, (MemoryError, torch.OutOfMemoryError))
        or _of_memory(error.__cause__ or error.__context__)
    )


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


@contextmanager
def refusals() -> Iterator[None]:
    """Make an error of the run itself, such as a method that does not fit the model, a final one.

    That a file is missing or cannot be read, that memory is lacking, or that ranks differ, is none.
    """
    try:
        yield
    except (TryAgain, RunFailure, RanksDiffer):
        raise
    except UserError as error:
        if _of_the_file_system(error) or _of_memory(error):
            raise
        raise RunFailure("refused", str(error)) from error


class _LastLines(logging.Handler):
    """Keeps the last lines that the package logs, without the folder of the machine that they were run in."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=LAST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record).replace(f"{Path.cwd()}{os.sep}", "")
        self.lines.extend(text.splitlines())
