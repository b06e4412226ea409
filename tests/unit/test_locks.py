"""Locks: one holder at a time, and the lock of a dead holder is taken over, on this machine and on others."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from rlvr import locks
from rlvr.errors import TryAgain, UserError
from rlvr.locks import exclusive


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "lock"


def in_a_child(job) -> int:
    """Run a job in another process and return its id once it says that it holds the lock."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            job(lambda: os.write(write, b"x"))
        finally:
            os._exit(0)
    assert os.read(read, 1) == b"x"
    return child


def holder_that_lives(path: Path) -> int:
    def job(ready):
        with exclusive(path):
            ready()
            time.sleep(120)

    return in_a_child(job)


def ended(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def edit(path: Path, **changes) -> None:
    """Change what the lock says of its holder."""
    file = path / "holder.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_lock_leaves_nothing_behind(path):
    with exclusive(path) as lock:
        lock.check()
        assert [file.name for file in path.parent.iterdir()] == ["lock"]
    assert not path.parent.exists()
    path.parent.mkdir()
    (path.parent / "kept").touch()
    with exclusive(path):
        pass
    assert [file.name for file in path.parent.iterdir()] == ["kept"]


def test_a_second_process_is_told_host_process_job_and_file(path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    child = holder_that_lives(path)
    host = locks.socket.gethostname()
    with pytest.raises(TryAgain) as error, exclusive(path):
        pass
    ended(child)
    assert str(error.value).startswith(f"{path}: locked by process {child} on {host} (Slurm job 4711), since")


def test_the_same_process_cannot_hold_a_lock_twice(path):
    with exclusive(path), pytest.raises(TryAgain), exclusive(path):
        pass


def test_the_lock_of_a_killed_process_is_taken_over(path, caplog):
    ended(holder_that_lives(path))
    with exclusive(path) as lock:
        lock.check()
    assert "which no longer runs" in caplog.text


def test_a_process_that_nobody_has_waited_for_is_dead(path):
    child = holder_that_lives(path)
    os.kill(child, signal.SIGKILL)
    while Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    with exclusive(path):
        pass
    os.waitpid(child, 0)


def test_a_process_id_that_was_given_again_is_no_holder(path):
    child = holder_that_lives(path)
    edit(path, process_started="1")
    with exclusive(path):
        pass
    ended(child)


@pytest.fixture
def fast(monkeypatch):
    """Heartbeats and waits short enough for a test."""
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(locks, "STALE_SECONDS", 1.0)


def test_a_holder_on_another_machine_lives_while_its_heart_beats(path, fast):
    child = holder_that_lives(path)
    edit(path, host="node7", machine="other")
    time.sleep(2)  # longer than the bound: the process still beats
    with pytest.raises(TryAgain, match="on node7"), exclusive(path):
        pass
    ended(child)


@pytest.mark.parametrize("age", [0, 100, -100])
def test_a_holder_on_another_machine_is_dead_when_its_heart_has_stopped(path, fast, age):
    """At whatever time by the clock of that machine."""
    ended(holder_that_lives(path))
    edit(path, host="node7", machine="other")
    beat = time.time() - age
    os.utime(path / "holder.json", (beat, beat))
    start = time.monotonic()
    with exclusive(path):
        assert time.monotonic() - start >= 2 * locks.BEAT_SECONDS


@pytest.mark.parametrize("skew", [-3600, 3600])
def test_a_holder_on_another_machine_may_have_another_clock(path, fast, skew):
    ended(holder_that_lives(path))
    edit(path, host="node7", machine="other")
    ends = threading.Event()

    def beat():
        while not ends.wait(0.1):
            os.utime(path / "holder.json", (time.time() + skew, time.time() + skew))

    heart = threading.Thread(target=beat)
    heart.start()
    try:
        with pytest.raises(TryAgain, match="on node7"), exclusive(path):
            pass
    finally:
        ends.set()
        heart.join()


def test_a_damaged_lock_is_stale_when_nobody_touches_it(path, fast):
    ended(holder_that_lives(path))
    (path / "holder.json").write_bytes(b"{")
    with exclusive(path):
        pass
    path.mkdir(parents=True)  # of a release that was killed between its two steps
    with exclusive(path):
        pass


def test_a_holder_that_was_suspended_notices_that_it_has_lost_its_lock(path):
    with exclusive(path) as lock:
        edit(path, token="of another process")
        with pytest.raises(TryAgain, match="lost the lock"):
            lock.check()
    assert path.exists(), "the lock of the other process stays"
    lock = locks.Lock(path.parent / "gone", locks.Holder())
    with pytest.raises(TryAgain, match="it is gone"):
        lock.check()
    lock.release()


def test_taking_over_never_removes_the_lock_of_a_living_process(path):
    """Two processes see the same dead holder, and the other one was faster."""
    ended(holder_that_lives(path))
    dead = locks.holder_of(path)
    with exclusive(path) as lock:
        locks._remove(path, dead)
        lock.check()


def test_taking_over_never_removes_a_lock_that_is_about_to_begin(path):
    """A dead holder's lock is gone already, and the folder of the next one has no file yet."""
    ended(holder_that_lives(path))
    dead = locks.holder_of(path)
    (path / "holder.json").unlink()
    locks._remove(path, dead)
    assert path.exists()


def test_a_file_that_vanishes_under_a_read_is_not_damaged(path, monkeypatch):
    """Between the read and the look at what failed, one lock ended and another began."""
    read, failures = locks.read_json, iter([UserError("no such file")])

    def read_late(file):
        for error in failures:
            raise error
        return read(file)

    with exclusive(path) as lock:
        monkeypatch.setattr(locks, "read_json", read_late)
        assert locks.holder_of(path) == lock.holder


def test_of_many_processes_exactly_one_holds_the_lock_at_a_time(path, tmp_path):
    ended(holder_that_lives(path))  # the race includes the takeover
    inside = tmp_path / "inside"
    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0:
            code = 1
            for _ in range(200):
                try:
                    with exclusive(path):
                        inside.mkdir()  # fails if another process is here
                        time.sleep(0.002)
                        inside.rmdir()
                    code = 0
                except TryAgain:
                    time.sleep(0.001)
                except FileExistsError:
                    os._exit(2)
            os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * 8
    assert not list(tmp_path.glob("run/*"))
