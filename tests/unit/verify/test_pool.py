"""Verdicts from worker processes: in time, within their memory, from any thread."""

import asyncio
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlvr.verify import pool
from rlvr.verify.graders import own
from rlvr.verify.pool import Verifier
from rlvr.verify.verdict import Item, Verdict

HANGING = r"\boxed{\dfrac{5^{\left(5^{\left(5^{\left(5^5\right)}\right)} - 4\right)} - 5}{16}}"
"""Math-Verify issue #65: hangs in C code, deaf to signals."""
ALGEBRA = Item(r"\boxed{(x+1)^2}", "x^2+2x+1")


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(workers=2) as shared:
        yield shared


def outcome(verdict: Verdict) -> tuple[bool, str]:
    return verdict.correct, verdict.status


def test_statuses(verifier: Verifier) -> None:
    items = [
        ALGEBRA,
        Item(r"\boxed{x}", "x^2"),
        Item("nothing", "5"),
        Item(r"\boxed{5}", r"\mho("),
        Item(r"\boxed{2^{10^{10}}}", "2"),
        Item(r"\boxed{\frac{1}{3}}", "0.33", alternates=(r"\frac{2}{6}",)),
    ]
    assert [outcome(verdict) for verdict in verifier.verify_many(items)] == [
        (True, "ok"),
        (False, "ok"),
        (False, "no_answer"),
        (False, "unparsed_gold"),
        (False, "error"),
        (True, "ok"),
    ]


def test_numbers_and_equal_texts_start_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_worker(*_: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr(pool, "Worker", no_worker)
    items = [
        Item("46", "46", answer_format="first-line-number"),
        Item("46.5", "46", answer_format="first-line-number"),
        Item(r"\boxed{1,234}", "01234"),
        Item(r"\boxed{" + "9" * 20_000 + "}", "7"),
        Item(r"\boxed{\frac{1}{2}}", r"\dfrac{1}{2}"),
        Item("no box", "7"),
    ]
    with Verifier() as verifier:
        assert [verdict.correct for verdict in verifier.verify_many(items)] == [
            True,
            False,
            True,
            False,
            True,
            False,
        ]
        with pytest.raises(AssertionError, match="started"):
            verifier.verify_many([ALGEBRA])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_changes_no_verdict(number: int) -> None:
    """A scheduler signals all processes of a job; the trainer then finishes its step, with its workers."""
    with Verifier(deadline=60) as verifier:
        assert outcome(verifier.verify_many([ALGEBRA])[0]) == (True, "ok")
        (worker,) = verifier._workers
        worker.process.send_signal(number)
        assert outcome(verifier.verify_many([Item(r"\boxed{(x+2)^2}", "x^2+4x+4")])[0]) == (True, "ok")
        assert verifier._workers == {worker}


def test_equal_questions_are_compared_once(verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    ask = pool.Worker.ask
    monkeypatch.setattr(
        pool.Worker, "ask", lambda worker, *question: asked.append(question) or ask(worker, *question)
    )
    item = Item(r"\boxed{\sin^2 t+\cos^2 t}", "1")
    first = verifier.verify_many([item, item])
    again = verifier.verify_many([item])
    assert [verdict.correct for verdict in (*first, *again)] == [True, True, True]
    assert len(asked) == 1


def test_hanging_worker_is_killed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "refusal", lambda answer: None)
    with Verifier(deadline=1.0) as verifier:
        verifier.verify_many([ALGEBRA])
        (worker,) = verifier._workers
        start = time.perf_counter()
        (verdict,) = verifier.verify_many([Item(HANGING, "7")])
        assert time.perf_counter() - start < 3
        assert outcome(verdict) == (False, "timeout")
        assert 0.8 < verdict.seconds <= 1.2
        assert worker.process.poll() is not None
        (replacement,) = verifier._workers
        assert replacement is not worker
        assert outcome(verifier.verify_many([Item(r"\boxed{y+y}", "2y")])[0]) == (True, "ok")
    assert replacement.process.poll() is not None


def test_memory_is_limited() -> None:
    with Verifier(memory_bytes=2**29) as verifier:
        assert verifier.verify_many([ALGEBRA])[0].correct
        (worker,) = verifier._workers
        assert resource.prlimit(worker.process.pid, resource.RLIMIT_AS) == (2**29, 2**29)
    with Verifier(memory_bytes=2**20) as verifier:
        assert outcome(verifier.verify_many([ALGEBRA])[0]) == (False, "error")


def test_dead_worker_is_an_error_and_is_replaced() -> None:
    with Verifier() as verifier:
        verifier.verify_many([ALGEBRA])
        (worker,) = verifier._workers
        worker.process.kill()
        worker.process.wait()
        assert verifier.verify_many([Item(r"\boxed{z+z}", "2z")])[0].status == "error"
        assert outcome(verifier.verify_many([Item(r"\boxed{y+y}", "2y")])[0]) == (True, "ok")


def test_worker_that_cannot_start_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Verifier() as verifier, pytest.raises(RuntimeError, match="did not start"):
        verifier.verify_many([ALGEBRA])


def test_works_from_threads(verifier: Verifier) -> None:
    verdicts: dict[int, Verdict] = {}

    def grade(index: int) -> None:
        (verdicts[index],) = verifier.verify_many([Item(rf"\boxed{{{index}x+x}}", f"{index + 1}x")])

    threads = [threading.Thread(target=grade, args=(index,)) for index in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome(verdicts[index]) for index in range(2, 8)] == [(True, "ok")] * 6


def test_works_from_asyncio(verifier: Verifier) -> None:
    async def grade() -> list[list[Verdict]]:
        on_the_loop = verifier.verify_many([Item(r"\boxed{u+u}", "2u")])
        beside_it = await asyncio.gather(
            *(
                asyncio.to_thread(verifier.verify_many, [Item(rf"\boxed{{{n}w-w}}", f"{n - 1}w")])
                for n in (3, 4, 5)
            )
        )
        return [on_the_loop, *beside_it]

    assert [outcome(verdict) for verdicts in asyncio.run(grade()) for verdict in verdicts] == [
        (True, "ok")
    ] * 4


def test_closed_verifier_says_so() -> None:
    verifier = Verifier()
    verifier.close()
    with pytest.raises(RuntimeError):
        verifier.verify_many([ALGEBRA])


TEX = r"""
\frac \sqrt \boxed { } ( ) [ ] ^ _ ! = < > , ; . : $ \$ % \\ \pm \sum_{k=1}^{9} \int \binom{4}{2}
\left \right \{ \} \text{and} x y e i \pi \infty 0 1 7 99 1e9 10^{10} \cup \in
\begin{pmatrix} \end{pmatrix} & \log \ldots ° \approx __import__('os')
"""
PIECES = st.sampled_from([*TEX.split(), " or "])


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.lists(PIECES, max_size=25).map("".join), st.text(max_size=60)))
def test_hostile_answers_get_a_verdict_in_time(verifier: Verifier, answer: str) -> None:
    start = time.perf_counter()
    (verdict,) = verifier.verify_many([Item(rf"\boxed{{{answer}}}", r"\frac{16}{3}")])
    assert verdict.seconds < 2.0
    assert time.perf_counter() - start < 60, "waiting for a worker to start has an end"
    assert not verdict.correct or verdict.status == "ok"


def test_nothing_is_executed(verifier: Verifier, tmp_path: Path) -> None:
    trace = tmp_path / "hacked"
    codes = [
        f"__import__('os').system('touch {trace}')",
        f"open('{trace}','w')",
        f"exec(\"open('{trace}','w')\")",
    ]
    for gold in ("0", "x"):
        for verdict in verifier.verify_many([Item(rf"\boxed{{{code}}}", gold) for code in codes]):
            assert not verdict.correct
    assert not trace.exists()
