"""The verifier: decides what it can at once, and the rest in worker processes that it can kill.

Alarm signals are no limit: math-verify's alarms fail outside the main thread, cancel other alarms, and do not
interrupt big-integer arithmetic. The limit is the wall clock of the parent, which works from any thread and
from asyncio.
"""

import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import rlvr
from rlvr.config.choices import Grader as GraderName
from rlvr.config.choices import Status
from rlvr.verify.graders.base import Decision, Grader, Question, Reply
from rlvr.verify.graders.registry import GRADERS
from rlvr.verify.verdict import Item, Verdict

DEFAULT_MEMORY_BYTES = 2**30
START_SECONDS = 120.0
_KILL_MARGIN = 0.05
_CACHE_SIZE = 200_000


class WorkerLost(Exception):
    """A worker process ended before it replied."""


class Worker:
    """One worker process; it starts at once, and only the first question waits for it."""

    def __init__(self, memory_bytes: int, deadline: float, grader: GraderName = "rlvr") -> None:
        package_root = str(Path(rlvr.__file__).resolve().parent.parent)
        search_path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rlvr.verify.worker", str(memory_bytes), str(deadline), grader],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": search_path},
        )
        self.deadline = deadline
        self._ready = False
        self._received = b""

    def wait_until_ready(self) -> None:
        """Wait until the process has imported its libraries.

        Raises:
            RuntimeError: the process does not start; its own message is on stderr.
        """
        if self._ready:
            return
        try:
            self._read_line(START_SECONDS)
        except (WorkerLost, TimeoutError) as error:
            self.kill()
            raise RuntimeError("a verifier worker did not start; its own message is above") from error
        self._ready = True

    def ask(self, golds: Sequence[str], answer: str) -> Reply:
        """Return the worker's reply.

        Raises:
            TimeoutError: no reply within the deadline.
            WorkerLost: the process ended.
        """
        request = json.dumps({"golds": list(golds), "answer": answer}) + "\n"
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(request.encode("ascii"))
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WorkerLost from None
        reply: Reply = json.loads(self._read_line(self.deadline - _KILL_MARGIN))
        return reply

    def _read_line(self, seconds: float) -> bytes:
        assert self.process.stdout is not None
        end = time.monotonic() + seconds
        pipe = self.process.stdout.fileno()
        while b"\n" not in self._received:
            readable, _, _ = select.select([pipe], [], [], max(0.0, end - time.monotonic()))
            if not readable:
                raise TimeoutError
            chunk = os.read(pipe, 65536)
            if not chunk:
                raise WorkerLost
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        return line

    def kill(self) -> None:
        """Kill the process and wait for its end."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.process.wait()


class Verifier:
    """Grades completions; safe to share between threads. Use it as a context manager.

    Workers start when the first answer needs one; plain numbers and equal texts never do.

    Args:
        workers: maximum number of worker processes.
        deadline: seconds of wall time for one comparison; then its worker is killed.
        memory_bytes: address space of one worker; a comparison that needs more is an error.
        grader: grader to use, or its name (`rlvr.verify.graders.registry`).
    """

    def __init__(
        self,
        workers: int = 1,
        deadline: float = 2.0,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        grader: GraderName | Grader = "rlvr",
    ) -> None:
        if workers < 1 or deadline <= _KILL_MARGIN:
            raise ValueError(f"need at least one worker and a deadline above {_KILL_MARGIN} s")
        self._deadline = deadline
        self._memory_bytes = memory_bytes
        self._grader = grader if isinstance(grader, Grader) else GRADERS[grader]
        self._slots: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._slots.put(None)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="verifier")
        self._workers: set[Worker] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._decisions: dict[Question, Decision] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all worker processes."""
        with self._lock:
            self._closed = True
            workers, self._workers = self._workers, set()
        for worker in workers:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)

    def verify_many(self, items: Sequence[Item]) -> list[Verdict]:
        """Return the verdict of each item, in order. Equal questions are compared once."""
        verdicts: list[Verdict | None] = []
        waiting: dict[Question, list[int]] = {}
        for index, item in enumerate(items):
            start = time.perf_counter()
            question = self._grader.question(item)
            decision: Decision | None = Decision(False, "no_answer", None)
            if question is not None:
                decision = self._decisions.get(question) or self._grader.decided_at_once(question)
                if decision is None:
                    waiting.setdefault(question, []).append(index)
            seconds = time.perf_counter() - start
            verdicts.append(Verdict(*decision, seconds) if decision else None)
        for question, (decision, seconds) in zip(
            waiting, self._threads.map(self._decided_by_worker, waiting), strict=True
        ):
            for index in waiting[question]:
                verdicts[index] = Verdict(*decision, seconds)
            self._store(question, decision)
        return [verdict for verdict in verdicts if verdict is not None]

    def _store(self, question: Question, decision: Decision) -> None:
        if not self._grader.extracts:
            return  # whole completions would fill the memory, and no two are equal
        with self._lock:
            if len(self._decisions) >= _CACHE_SIZE:
                del self._decisions[next(iter(self._decisions))]
            self._decisions[question] = decision

    def _decided_by_worker(self, question: Question) -> tuple[Decision, float]:
        """Return the decision and the seconds that it took."""
        answer, golds = question.answer, question.golds
        shown = answer if self._grader.extracts else None
        worker = self._slots.get()
        next_worker: Worker | None = None
        try:
            worker = worker or self._started()
            worker.wait_until_ready()
            start = time.perf_counter()
            try:
                decision = _decision_from(worker.ask(golds, answer), shown)
                seconds = time.perf_counter() - start
                next_worker = worker
            except (TimeoutError, WorkerLost) as failure:
                status: Status = "timeout" if isinstance(failure, TimeoutError) else "error"
                decision = Decision(False, status, shown)
                seconds = time.perf_counter() - start
                next_worker = self._replaced(worker)
            return decision, seconds
        finally:
            self._slots.put(next_worker)

    def _started(self) -> Worker:
        with self._lock:
            if self._closed:
                raise RuntimeError("the verifier is closed")
            worker = Worker(self._memory_bytes, self._deadline, self._grader.name)
            self._workers.add(worker)
            return worker

    def _replaced(self, worker: Worker) -> Worker:
        """Kill a worker and start another, which imports its libraries while others compare."""
        worker.kill()
        with self._lock:
            self._workers.discard(worker)
        return self._started()


def _decision_from(reply: Reply, answer: str | None) -> Decision:
    """Return what a worker's reply means; it names the answer where the library extracted it."""
    extracted = reply.get("extracted", answer)
    if "error" in reply:
        return Decision(False, "error", extracted)
    if reply["outcome"] == "unparsed_gold":
        return Decision(False, "unparsed_gold", extracted)
    if reply["outcome"] == "no_answer":
        return Decision(False, "no_answer", extracted)
    return Decision(reply["outcome"] == "equal", "ok", extracted)
