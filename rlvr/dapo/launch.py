"""Start the ranks of a run on this machine and watch over them; no torch is imported here.

`torchrun` would do the same with two differences that a run here cannot do with: on a request to stop it ends
its processes within half a minute, in the middle of a step, and whatever happens its exit code is 1. Here the
request is passed on through a pipe, so that all ranks stop after the same step, and the exit code is that of
`rlvr train` in one process. A rank that ends early ends the others; if this process dies, so do the ranks.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO

from rlvr.errors import EXIT_TRY_AGAIN, UserError
from rlvr.stopping import SIGNALS, StopRequest

LAUNCHED = "RLVR_LAUNCHED"
"""Set in the environment of a rank whose standard input is the launcher's pipe."""
COMMAND = (sys.executable, "-m", "rlvr.cli")
GRACE_SECONDS = 15.0
"""For ranks to end by themselves after one of them has."""

logger = logging.getLogger(__name__)


def launch(arguments: Sequence[str], ranks: int) -> int:
    """Run `rlvr` with these arguments in several processes that train together; return the exit code.

    It is 0 if rank 0, which writes the results, has finished; else the code of a rank that failed; or 75 if
    all were stopped, or one was killed, so that the same command continues.
    """
    port = _free_port()
    processes = [_started(arguments, rank, ranks, port) for rank in range(ranks)]
    try:
        with _passing_signals_on(processes):
            codes = _ended(processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return _exit_code(codes, ranks)


def _started(arguments: Sequence[str], rank: int, ranks: int, port: int) -> "subprocess.Popen[bytes]":
    threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE if rank else None,
        start_new_session=True,  # Ctrl-C reaches the launcher alone
        env={
            **os.environ,
            **{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks)},
            **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
            "OMP_NUM_THREADS": str(max(1, threads // ranks)),
            LAUNCHED: "1",
        },
    )
    if process.stderr:
        threading.Thread(target=_copy, args=(process.stderr, f"rank {rank}: "), daemon=True).start()
    return process


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _copy(lines: IO[bytes], prefix: str) -> None:
    """Write what a rank says to stderr, line by line."""
    for line in lines:
        sys.stderr.write(prefix + line.decode(errors="replace"))
        sys.stderr.flush()


@contextmanager
def _passing_signals_on(processes: "Sequence[subprocess.Popen[bytes]]") -> Iterator[None]:
    """Tell the ranks of the first signal, and kill them at the second."""
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for process in processes:
            if len(received) > 1:
                process.kill()
            elif process.stdin:
                with contextlib.suppress(OSError):
                    process.stdin.write(bytes([number]))
                    process.stdin.flush()

    before = {number: signal.signal(number, receive) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ended(processes: "Sequence[subprocess.Popen[bytes]]") -> dict[int, int]:
    """Wait for all ranks, after an early end only for a while; return the exit codes of those that ended."""
    deadline: float | None = None
    while True:
        codes = {rank: code for rank, process in enumerate(processes) if (code := process.poll()) is not None}
        if len(codes) == len(processes) or (deadline is not None and time.monotonic() >= deadline):
            return codes
        if deadline is None and any(codes.values()):
            deadline = time.monotonic() + GRACE_SECONDS
        time.sleep(0.1)


def _exit_code(codes: dict[int, int], ranks: int) -> int:
    """Return one exit code for all ranks; a negative code is the signal that killed a rank."""
    if codes.get(0) == 0:
        return 0
    failed = {rank: code for rank, code in codes.items() if code not in (0, EXIT_TRY_AGAIN)}
    for rank, code in failed.items():
        if code > 0:
            logger.error("rank %d of %d failed (exit code %d); its message is above", rank, ranks, code)
            return code
    for rank, code in failed.items():
        logger.warning(
            "rank %d of %d was killed (%s), which ends the others; the same command continues from the last "
            "checkpoint",
            rank,
            ranks,
            signal.Signals(-code).name,
        )
    return EXIT_TRY_AGAIN


# --- in a rank -----------------------------------------------------------------------------------


def is_rank(ranks: int) -> bool:
    """Tell whether this process is one of so many ranks that have been started.

    Raises:
        UserError: it is one of another number.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world not in (1, ranks):
        raise UserError(
            f"--ranks {ranks} in one of {world} processes (WORLD_SIZE in the environment, set by torchrun "
            "or a cluster); leave out --ranks, or unset WORLD_SIZE"
        )
    return world > 1


def follow_launcher(stop: StopRequest) -> None:
    """In a rank that :func:`launch` started: take requests to stop from it alone, and end when it ends.

    A cluster sends a signal to every process of a job; that of the launcher counts.
    """
    if LAUNCHED not in os.environ:
        return
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)

    def listen() -> None:
        while received := os.read(0, 1):
            stop.receive(received[0], None)
        os._exit(EXIT_TRY_AGAIN)

    threading.Thread(target=listen, name="launcher", daemon=True).start()
