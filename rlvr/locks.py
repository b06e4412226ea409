"""Exclusive locks on folders that several jobs, also of different machines, must not write at once.

A lock is a folder with one file, `holder.json`, which names host, process and Slurm job. It appears whole by
a rename, which fails where another lock is; that also holds on network file systems, where `flock` may be
local or absent. The holder sets the time of that file every :data:`BEAT_SECONDS`: its heartbeat. A holder is
dead if its process is gone (on the same machine), or if its heartbeat has stopped for :data:`STALE_SECONDS`
(on another one).
"""

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rlvr.errors import TryAgain, UserError
from rlvr.files import read_json, write_json

BEAT_SECONDS = 15.0
STALE_SECONDS = 180.0
READS = 5
"""Of a file before it counts as damaged: between a read and a look, one lock may end and another begin."""
_HOLDER = "holder.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    host: str = field(default_factory=socket.gethostname)
    process: int = field(default_factory=os.getpid)
    process_started: str | None = field(default_factory=lambda: _start_of(os.getpid()))
    """Start time as the system states it: a process id is given to other processes later."""
    machine: str = field(default_factory=lambda: _machine())
    """Where process ids can be compared."""
    job: str | None = field(default_factory=lambda: os.environ.get("SLURM_JOB_ID"))
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Of this lock alone."""

    def __str__(self) -> str:
        """Return the holder in words."""
        job = f" (Slurm job {self.job})" if self.job else ""
        return f"process {self.process} on {self.host}{job}, since {self.since}"


@dataclass(frozen=True)
class Heartbeat:
    """Who holds a lock, and when it last said so."""

    holder: Holder
    last_beat: float
    """In seconds since the epoch, by the clock of the file system."""


def heartbeat_of(path: Path) -> Heartbeat | None:
    """Return the heartbeat of the lock ``path``, without waiting for it to move; None if nothing holds it."""
    holder, beat = holder_of(path), _heartbeat(path)
    return None if holder is None or beat is None else Heartbeat(holder, beat)


class Lock:
    """A lock that this process holds."""

    def __init__(self, path: Path, holder: Holder) -> None:
        self.path, self.holder = path, holder
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise TryAgain if another process has taken the lock over, as after a suspension of this one."""
        found = holder_of(self.path)
        if found is None or found.token != self.holder.token:
            now = f"{found} holds it now" if found else "it is gone"
            raise TryAgain(f"{self.path}: lost the lock of {self.holder}; {now}")

    def release(self) -> None:
        """Give the lock back, unless another process has it."""
        self._released.set()
        self._thread.join()
        with contextlib.suppress(TryAgain):
            self.check()
            shutil.rmtree(self.path, ignore_errors=True)

    def _beat(self) -> None:
        while not self._released.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):  # a hiccup of the file system; :meth:`check` sees a loss
                os.utime(self.path / _HOLDER)


@contextmanager
def exclusive(path: Path) -> Iterator[Lock]:
    """Hold the lock ``path``; its folder is made, and removed at the end if nothing is left in it.

    Raises:
        TryAgain: another process holds the lock; the message names host, process and file.
    """
    lock = Lock(path, _acquired(path))
    try:
        yield lock
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _acquired(path: Path) -> Holder:
    holder = Holder()
    while not _placed(path, holder):
        found = holder_of(path)
        if found is None:
            continue  # released in the meantime
        if _lives(path, found):
            raise TryAgain(
                f"{path}: locked by {found}; wait for its end, or stop it (if there is no such process, "
                f"delete {path})"
            )
        logger.warning("%s: taking over the lock of %s, which no longer runs", path, found)
        _remove(path, found)
    return holder


def _placed(path: Path, holder: Holder) -> bool:
    """Put a lock in place, whole, and tell whether there was none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{holder.token}"
    try:
        temporary.mkdir()
        write_json(temporary / _HOLDER, asdict(holder))
        os.rename(temporary, path)
    except OSError as error:
        # There is a lock; or one that came and went has taken the folder, or this attempt, with it.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise
        return False
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for leftover in path.parent.glob(f".{path.name}.*"):  # of processes killed while they tried
        shutil.rmtree(leftover, ignore_errors=True)
    return True


def holder_of(path: Path) -> Holder | None:
    """Return the holder of a lock, an unknown one if the file is damaged; None if there is no lock."""
    for _ in range(READS):
        try:
            return Holder(**read_json(path / _HOLDER))
        except (UserError, TypeError):
            if not (path / _HOLDER).exists():
                return None
    return Holder("an unknown host", 0, None, "", None, "an unknown time", "")


def _remove(path: Path, dead: Holder) -> None:
    """Remove the lock of a dead holder, unless another process has just taken it over."""
    with contextlib.suppress(FileNotFoundError), _one_at_a_time(path.parent):
        now = holder_of(path)
        if now is None or now.token != dead.token:
            return
        aside = path.parent / f".{path.name}.{uuid.uuid4().hex}"
        os.rename(path, aside)
        found = holder_of(aside)
        if found is not None and found.token != dead.token:  # by a process on another machine
            with contextlib.suppress(OSError):
                os.rename(aside, path)
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Exclude other processes that take over a lock in this folder, as far as its file system has `flock`.

    Otherwise two that see the same dead holder could meet between the look at a lock and its removal.
    """
    opened = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


# --- is a holder alive? --------------------------------------------------------------------------


def _lives(path: Path, holder: Holder) -> bool:
    return _runs(holder) if holder.machine == _machine() else _beats(path, holder)


def _runs(holder: Holder) -> bool:
    """Tell whether the process of a holder on this machine still runs."""
    try:
        os.kill(holder.process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _start_of(holder.process) == holder.process_started


def _start_of(process: int) -> str | None:
    """Return when a process started, in units of the system; None if it has ended."""
    try:
        state, *rest = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        start = rest[18]  # field 22, in clock ticks after boot
    except FileNotFoundError:
        shown = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(process)], capture_output=True, text=True, check=False
        ).stdout
        state, _, start = shown.strip().partition(" ")
    return None if not state or state[0] in "ZX" else start.strip()


def _machine() -> str:
    """Return what distinguishes sets of process ids: the boot and the namespace, or else the host."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _beats(path: Path, holder: Holder) -> bool:
    """Watch the heartbeat of a holder on another machine until it moves, or has stopped for too long.

    Its age is by the clock of the file system, and it is watched for two beats in any case, so that a clock
    alone proves nothing.
    """
    first = _heartbeat(path)
    if first is None:
        return False
    age = _now(path.parent) - first
    wait = min(max(STALE_SECONDS - age, 2 * BEAT_SECONDS), STALE_SECONDS)
    logger.info("%s: locked by %s; watching its heartbeat for up to %.0f s", path, holder, wait)
    end = time.monotonic() + wait
    while time.monotonic() < end:
        time.sleep(min(1.0, BEAT_SECONDS))
        if (beat := _heartbeat(path)) != first:
            return beat is not None
    return False


def _heartbeat(path: Path) -> float | None:
    try:
        with open(path / _HOLDER, "rb") as file:  # opening it makes a network file system look again
            return os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None


def _now(folder: Path) -> float:
    with tempfile.TemporaryFile(dir=folder) as file:
        os.utime(file.fileno())
        return os.fstat(file.fileno()).st_mtime
