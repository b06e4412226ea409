"""`rlvr status` sees what runs where, from files alone."""

import io
import json
import os
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from rlvr.artifacts import write_record
from rlvr.files import write_json, write_text
from rlvr.locks import STALE_SECONDS, Holder
from rlvr.planning.plan import Plan, load_plan
from rlvr.status.runs import Folders, RunStatus, folders_of, statuses_as_json, study_status
from rlvr.status.show import duration, page, show_status
from tests.helpers.paths import REPOSITORY
from tests.helpers.records import failed_run, run_record, train_config

NOW = 1_800_000_000.0
FULL, LORA, DORA = (f"tiny--{method}--recommended--main--s0" for method in ("full", "lora", "dora"))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan("demo", REPOSITORY / "config")


@pytest.fixture
def folders(plan: Plan, tmp_path: Path) -> Folders:
    return folders_of(plan, tmp_path / "results", tmp_path / "checkpoints", tmp_path / "logs")


def look(plan: Plan, folders: Folders) -> dict[str, RunStatus]:
    return {status.run: status for status in study_status(plan, folders, NOW)}


def lock(folder: Path, beat_age: float, held_for: float = 3600) -> None:
    """The lock of a process on another machine."""
    since = datetime.fromtimestamp(NOW - held_for, UTC).isoformat(timespec="seconds")
    path = folder / "lock" / "holder.json"
    write_json(path, asdict(replace(Holder(), host="node7", since=since)))
    os.utime(path, (NOW - beat_age, NOW - beat_age))


def log(path: Path, *lines: str, age: float = 0) -> None:
    write_text(path, "\n".join(lines) + "\n")
    os.utime(path, (NOW - age, NOW - age))


def in_training(folders: Folders, beat_age: float) -> None:
    folder = folders.checkpoints / LORA / "0123456789abcdef"
    lock(folder, beat_age)
    write_text(folder / "attempts.jsonl", "{}\n{}\n")
    row = {"reward/mean": 0.25}
    progress = {"log": [row] * 20, "seconds": 1800.0}
    write_json(folder / "step-000020" / "state.json", {"progress": progress})
    log(
        folders.logs / "train" / f"{LORA}.log",
        f"{LORA}: 27/60  reward 0.52  length 4  1.2 s/step  40 s left",
        "warning: something",
        age=10,
    )


def test_before_anything_has_run_all_are_waiting(plan: Plan, folders: Folders) -> None:
    found = look(plan, folders)
    assert set(found) == {
        "tiny--base",
        *(f"tiny--{m.choice.method}--recommended--main--s0" for m in plan.methods),
    }
    assert {status.state for status in found.values()} == {"waiting"}


def test_a_run_on_another_machine(plan: Plan, folders: Folders) -> None:
    in_training(folders, beat_age=20)
    status = look(plan, folders)[LORA]
    assert (status.state, status.host, status.attempts) == ("training", "node7", 2)
    assert (status.steps, status.planned_steps, status.reward) == (27, 60, 0.52), "the log is ahead"
    assert status.seconds_left == 30, "the log is 10 s old"
    assert status.device_hours == pytest.approx(1.5), "half an hour before this attempt, an hour in it"


def test_time_that_a_checkpoint_counts_is_not_counted_twice(plan: Plan, folders: Folders) -> None:
    in_training(folders, beat_age=20)
    state = folders.checkpoints / LORA / "0123456789abcdef/step-000020/state.json"
    os.utime(state, (NOW - 900, NOW - 900))
    assert look(plan, folders)[LORA].device_hours == pytest.approx(0.75), "a quarter of an hour since it"
    write_text(folders.checkpoints / LORA / "0123456789abcdef/lock/holder.json", "{")
    os.utime(state.parents[1] / "lock/holder.json", (NOW - 20, NOW - 20))
    assert look(plan, folders)[LORA].device_hours == pytest.approx(0.75), "nothing says when it began"


def test_a_run_whose_heartbeat_has_stopped_is_not_running(plan: Plan, folders: Folders) -> None:
    in_training(folders, beat_age=STALE_SECONDS + 1)
    status = look(plan, folders)[LORA]
    assert (status.state, status.host, status.seconds_left) == ("stopped", None, None)
    assert status.note == "warning: something"


def test_a_log_of_an_attempt_behind_the_checkpoint_is_not_believed(plan: Plan, folders: Folders) -> None:
    in_training(folders, beat_age=0)
    log(folders.logs / "train" / f"{LORA}.log", f"{LORA}: 3/60  reward 0.10  length 4  1.2 s/step  70 s left")
    status = look(plan, folders)[LORA]
    assert (status.steps, status.reward) == (20, 0.25)


def test_ended_runs(plan: Plan, folders: Folders) -> None:
    write_record(folders.results.run(FULL).record, run_record(train_config(), device_seconds=7200.0))
    write_record(folders.results.run(DORA).record, failed_run(train_config()))
    write_record(folders.results.run(LORA).record, run_record(train_config()))
    for benchmark in plan.study.evaluation.benchmarks:
        write_text(folders.results.grades(FULL, benchmark), "")
    lock(folders.checkpoints / "generate" / LORA, beat_age=0)
    log(folders.logs / "generate" / f"{LORA}.log", f"{LORA} on sums: 1600/3200  50 s left")
    found = look(plan, folders)
    assert (found[FULL].state, found[FULL].device_hours) == ("finished", 2.0)
    assert (found[DORA].state, found[DORA].steps, found[DORA].reward) == ("diverged", 7, -1)
    assert found[DORA].note.startswith("the reward collapsed")
    assert (found[LORA].state, found[LORA].host, found[LORA].seconds_left) == ("sampling", "node7", 50)
    assert [row["run"] for row in json.loads(statuses_as_json([*found.values()]))] == list(found)


def test_the_table_has_a_row_for_each_run_and_the_totals() -> None:
    statuses = [
        RunStatus("a", "training", "node7", 27, 60, 0.52, 4000, 2, 1.5),
        RunStatus(
            "b", "diverged", steps=7, planned_steps=60, reward=-1, attempts=1, note="the reward [b]fell"
        ),
    ]
    console = Console(file=io.StringIO(), width=120)
    console.print(page(statuses))
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert "a training on node7 27 of 60 0.52 1 h 07 min 2 1.50" in lines
    assert "2 runs: 1 training, 1 diverged; 1.50 device hours" in lines
    assert "b: the reward [b]fell" in lines


@pytest.mark.parametrize(("seconds", "text"), [(42.4, "42 s"), (185, "3 min"), (7500, "2 h 05 min")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_piped_it_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    show_status(lambda: [RunStatus("a-run-of-a-long-name" * 3, "waiting")])
    printed = capsys.readouterr().out
    assert "a-run-of-a-long-name" * 3 in printed and "\x1b" not in printed
