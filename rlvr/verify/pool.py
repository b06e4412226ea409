"""The verifier: decides what it can at once, and the rest in worker processes that it can kill.

Signals bound nothing here: math-verify's alarms fail off the main thread, cancel other alarms, and do not
interrupt big-integer arithmetic. So the wall clock of the parent is the bound, and it works from any thread
and from asyncio.
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
from rlvr.verify.equivalence.normalize import compact, normalize
from rlvr.verify.equivalence.numerals import numerals_agree
from rlvr.verify.equivalence.precheck import LONGEST_ANSWER, refusal
from rlvr.verify.extract import extract_answer
from rlvr.verify.graders.registry import RELEASED_GRADERS
from rlvr.verify.verdict import VERIFIER_VERSION, GraderName, Item, Status, Verdict

DEFAULT_MEMORY_BYTES = 2**30
START_SECONDS = 120.0
_KILL_MARGIN = 0.05
_CACHE_SIZE = 200_000

_Question = tuple[str, tuple[str, ...]]
"""An extracted answer and the golds that would make it right."""
_Decision = tuple[bool, Status, str | None]
"""Correct, status, and the answer that was extracted."""


class WorkerLost(Exception):
    """A worker process ended while it was asked something."""


class Worker:
    """One worker process; starts at once, is waited for only when it is first asked."""

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
        """Wait for the imports of the process.

        Raises:
            RuntimeError: the process cannot start; its own message is on stderr.
        """
        if self._ready:
            return
        try:
            self._read_line(START_SECONDS)
        except (WorkerLost, TimeoutError) as error:
            self.kill()
            raise RuntimeError("a verifier worker did not start; its own message is above") from error
        self._ready = True

    def ask(self, golds: Sequence[str], answer: str) -> dict[str, str | None]:
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
        reply: dict[str, str | None] = json.loads(self._read_line(self.deadline - _KILL_MARGIN))
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
        """End the process whatever it does, and collect it."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.process.wait()


def grader_version(grader: GraderName) -> str:
    """Return the rules of a grader and the library beneath them, as every grade names them."""
    return VERIFIER_VERSION if grader == "rlvr" else RELEASED_GRADERS[grader].version(grader)


class Verifier:
    """Judges completions; safe to share between threads. Use it as a context manager.

    Workers start when the first answer needs one: plain numbers and literally equal answers never do.

    Args:
        workers: worker processes that may run at the same time.
        deadline: seconds of wall time that one comparison may take before its worker is killed.
        memory_bytes: address space of one worker; a comparison that wants more is an error.
        grader: whose rules judge; ours, or one of `rlvr.verify.graders.registry`.
    """

    def __init__(
        self,
        workers: int = 1,
        deadline: float = 2.0,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        grader: GraderName = "rlvr",
    ) -> None:
        if workers < 1 or deadline <= _KILL_MARGIN:
            raise ValueError(f"need at least one worker and a deadline above {_KILL_MARGIN} s")
        self._deadline = deadline
        self._memory_bytes = memory_bytes
        self._grader = grader
        self._released = None if grader == "rlvr" else RELEASED_GRADERS[grader]
        self._slots: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._slots.put(None)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="verifier")
        self._workers: set[Worker] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._decisions: dict[_Question, _Decision] = {}

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
        waiting: dict[_Question, list[int]] = {}
        for index, item in enumerate(items):
            start = time.perf_counter()
            question = self._question(item)
            decision: _Decision | None = (False, "no_answer", None)
            if question is not None:
                decision = self._decisions.get(question) or self._decided_at_once(question)
                if decision is None:
                    waiting.setdefault(question, []).append(index)
            seconds = time.perf_counter() - start
            verdicts.append(Verdict(*decision, seconds) if decision else None)
        for question, (decision, seconds) in zip(
            waiting, self._threads.map(self._decided_by_worker, waiting), strict=True
        ):
            for index in waiting[question]:
                verdicts[index] = Verdict(*decision, seconds)
            self._remember(question, decision)
        return [verdict for verdict in verdicts if verdict is not None]

    def _question(self, item: Item) -> _Question | None:
        if self._released:
            answer = self._released.extract(item)
            return None if answer is None else (answer, (item.gold,))
        answer = extract_answer(item.text, item.answer_format, item.finish_reason)
        return None if answer is None else (answer, (item.gold, *item.alternates))

    def _decided_at_once(self, question: _Question) -> _Decision | None:
        return None if self._released else _decided_at_once(question)

    def _remember(self, question: _Question, decision: _Decision) -> None:
        if self._released and self._released.takes_whole_text:
            return  # whole texts would fill the memory, and no two are equal
        with self._lock:
            if len(self._decisions) >= _CACHE_SIZE:
                del self._decisions[next(iter(self._decisions))]
            self._decisions[question] = decision

    def _decided_by_worker(self, question: _Question) -> tuple[_Decision, float]:
        answer, golds = question
        shown = None if self._released and self._released.takes_whole_text else answer
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
                decision = (False, "timeout" if isinstance(failure, TimeoutError) else "error", shown)
                seconds = time.perf_counter() - start
                next_worker = self._replaced(worker)
            return decision, seconds
        finally:
            self._slots.put(next_worker)

    def _started(self) -> Worker:
        with self._lock:
            if self._closed:
                raise RuntimeError("the verifier is closed")
            worker = Worker(self._memory_bytes, self._deadline, self._grader)
            self._workers.add(worker)
            return worker

    def _replaced(self, worker: Worker) -> Worker:
        """Kill a worker and start the next one, which imports while others work."""
        worker.kill()
        with self._lock:
            self._workers.discard(worker)
        return self._started()


def _decided_at_once(question: _Question) -> _Decision | None:
    """Decide plain numbers, literally equal answers and refused ones; None for all that needs algebra."""
    answer, golds = question
    agreements = [numerals_agree(gold, answer) for gold in golds]
    if None in agreements and True not in agreements:
        if len(answer) > LONGEST_ANSWER:
            return False, "error", answer
        plain, plain_golds = normalize(answer), [normalize(gold) for gold in golds]
        agreements = [compact(gold) == compact(plain) or numerals_agree(gold, plain) for gold in plain_golds]
        if None in agreements and True not in agreements:
            return (False, "error", answer) if refusal(plain) else None
    return True in agreements, "ok", answer


def _decision_from(reply: dict[str, str | None], answer: str | None) -> _Decision:
    """Return what a worker's reply means; it names the answer where the library extracted it."""
    extracted = reply.get("extracted", answer)
    if "error" in reply:
        return False, "error", extracted
    if reply["outcome"] == "unparsed_gold":
        return False, "unparsed_gold", extracted
    if reply["outcome"] == "no_answer":
        return False, "no_answer", extracted
    return reply["outcome"] == "equal", "ok", extracted
