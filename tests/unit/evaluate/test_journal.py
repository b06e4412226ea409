"""The journal of a generation: nothing is lost by a kill, and nothing is taken that belongs to another."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from rlvr.artifacts import Sample, read_rows
from rlvr.errors import TryAgain, UserError
from rlvr.evaluate import generate as module
from rlvr.evaluate.generate import generate
from rlvr.evaluate.journal import Journal
from rlvr.files import write_json, write_parquet
from rlvr.locks import exclusive
from tests.helpers.generation import DETERMINED, config_file, generated
from tests.helpers.paths import REPOSITORY


def started(config: Path, tiny: Path, data: Path, folder: Path) -> subprocess.Popen[bytes]:
    command = ["generate", str(config), "--model", str(tiny), "--data", str(data)]
    command += ["--checkpoints", str(folder / "journals"), "-o", str(folder / "killed")]
    return subprocess.Popen(
        [sys.executable, "-m", "rlvr.cli", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=REPOSITORY,
    )


@pytest.mark.slow
def test_a_killed_generation_continues_and_equals_one_never_killed(tiny_folder, benchmark_file, tmp_path):
    size = {"samples_per_problem": 40, "batch_size": 2}
    config = config_file(tmp_path, **size)
    process = started(config, tiny_folder, benchmark_file, tmp_path)
    end = time.monotonic() + 240
    while not (journals := list((tmp_path / "journals").glob("*.jsonl"))) and time.monotonic() < end:
        assert process.poll() is None, process.communicate()[0].decode()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (journal,) = journals
    kept = journal.read_bytes().count(b"\n")
    assert 0 < kept < 14 * 40, "the kill must come before the end"
    assert not (tmp_path / "killed" / "sums.parquet").exists()
    with open(journal, "ab") as file:
        file.write(b'{"problem_id": "p13", "sam')  # as if the kill had come within a write
    before = [json.loads(line) for line in journal.read_bytes().splitlines()[:kept]]

    resumed = started(config, tiny_folder, benchmark_file, tmp_path)
    shown = resumed.communicate(timeout=240)[0].decode()
    assert resumed.returncode == 0, shown
    assert f"continuing: {kept} of 560 samples are in" in shown
    after = read_rows(tmp_path / "killed" / "sums.parquet", Sample)
    never_killed = generated(tiny_folder, benchmark_file, tmp_path, **{**size, "batch_size": 64})
    pd.testing.assert_frame_equal(after[DETERMINED], never_killed[DETERMINED])
    times = after.set_index(["problem_id", "sample_index"])["seconds"]
    assert all(times[row["problem_id"], row["sample_index"]] == row["seconds"] for row in before)
    assert not (tmp_path / "journals").exists()


@pytest.fixture
def half_done(tiny_folder, benchmark_file, tmp_path, monkeypatch) -> Path:
    """The journal of a generation that broke after some batches."""
    appended = []
    append = Journal.append

    def breaks(journal: Journal, samples: list[Sample]) -> None:
        append(journal, samples)
        appended.append(samples)
        if len(appended) == 2:
            raise OSError("no space left")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(Journal, "append", breaks)
        generated(tiny_folder, benchmark_file, tmp_path)
    (journal,) = (tmp_path / "journals").glob("*.jsonl")
    return journal


def test_another_batch_size_continues_and_another_seed_starts_from_nothing(
    half_done, tiny_folder, benchmark_file, tmp_path, caplog
):
    caplog.set_level("INFO")
    generated(tiny_folder, benchmark_file, tmp_path, seed=4)
    assert "continuing" not in caplog.text
    assert half_done.exists(), "the journal of other settings is kept"
    generated(tiny_folder, benchmark_file, tmp_path, batch_size=64)
    assert f"continuing: 32 of 70 samples are in {half_done}" in caplog.messages
    assert not half_done.exists()


def test_other_data_or_another_model_starts_from_nothing(
    half_done, tiny_folder, benchmark_file, tmp_path, caplog
):
    caplog.set_level("INFO")
    problems = pd.read_parquet(benchmark_file)
    write_parquet(benchmark_file, problems.assign(problem="1+1"))
    generated(tiny_folder, benchmark_file, tmp_path)
    write_parquet(benchmark_file, problems)
    other_model = tmp_path / "model"
    other_model.mkdir()
    for file in tiny_folder.iterdir():
        (other_model / file.name).write_bytes(file.read_bytes())
    write_json(other_model / "provenance.json", {"sha256": "another"})
    generated(other_model, benchmark_file, tmp_path)
    assert "continuing" not in caplog.text


def test_the_samples_of_a_finished_journal_are_written_without_loading_the_model(
    tiny_folder, benchmark_file, tmp_path, monkeypatch
):
    wanted = generated(tiny_folder, benchmark_file, tmp_path, "first")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "remove", lambda journal: None)
        generated(tiny_folder, benchmark_file, tmp_path)
        patch.setattr(module, "make_engine", None)
        again = generated(tiny_folder, benchmark_file, tmp_path, "again")
    pd.testing.assert_frame_equal(again[DETERMINED], wanted[DETERMINED])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: [lines[0], b"{", *lines[2:]], "line 2: not JSON"),
        (lambda lines: [lines[0], b"\x00\xff", *lines[2:]], "line 2: not JSON"),
        (lambda lines: [lines[0], b"[]", *lines[2:]], "line 2: "),
        (lambda lines: [lines[0].replace(b'"seed": ', b'"seed": 1'), *lines[1:]], "line 1: .* has seed"),
        (
            lambda lines: [lines[0].replace(b'"p0"', b'"p99"'), *lines[1:]],
            "line 1: .*'p99'.*not part of this benchmark",
        ),
        (lambda lines: [lines[0].replace(b'"text"', b'"txt"'), *lines[1:]], "line 1: txt: unknown key"),
    ],
)
def test_other_damage_names_file_and_line(half_done, tiny_folder, benchmark_file, tmp_path, damage, message):
    lines = half_done.read_bytes().splitlines()
    half_done.write_bytes(b"".join(line + b"\n" for line in damage(lines)))
    with pytest.raises(UserError, match=message) as error:
        generated(tiny_folder, benchmark_file, tmp_path)
    assert half_done.name in str(error.value)
    assert "delete" in str(error.value)


def test_a_repeated_sample_is_removed_from_the_journal(
    half_done, tiny_folder, benchmark_file, tmp_path, caplog
):
    """Two writers before there was a lock: both lines are whole, and only their times differ."""
    lines = half_done.read_bytes().splitlines(keepends=True)
    again = [json.dumps({**json.loads(line), "seconds": 99.0}).encode() + b"\n" for line in lines[3:7]]
    half_done.write_bytes(b"".join([*lines, *again]))
    seen = []
    append = Journal.append
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "append", lambda *call: (seen.append(half_done.read_bytes()), append(*call)))
        samples = generated(tiny_folder, benchmark_file, tmp_path)
    assert seen[0] == b"".join(lines), "repaired before anything is added"
    assert "removing 4 repeated samples" in caplog.text
    assert len(samples) == 70 and (samples["seconds"] != 99).all()


def test_a_second_generator_of_the_same_samples_is_told_who_has_them(tiny_folder, benchmark_file, tmp_path):
    with (
        exclusive(tmp_path / "journals" / "lock"),
        pytest.raises(TryAgain, match=f"process {os.getpid()} on"),
    ):
        generated(tiny_folder, benchmark_file, tmp_path)
    generated(tiny_folder, benchmark_file, tmp_path)


def test_a_generation_stops_at_its_time_budget_and_continues(tiny_folder, benchmark_file, tmp_path):
    config = config_file(tmp_path)
    places = ([config], tiny_folder, [benchmark_file], None, tmp_path / "journals", tmp_path / "samples")
    stops = 0
    while True:
        try:
            generate(*places, max_minutes=0)
            break
        except TryAgain as stop:
            stops += 1
            assert f"stopped by --max-minutes 0 with {16 * stops} of 70 samples done" in str(stop)
    assert stops == 4, "one batch of 16 at each attempt; the last one ends the work"
    usual = generated(tiny_folder, benchmark_file, tmp_path)
    stopped = read_rows(tmp_path / "samples" / "sums.parquet", Sample)
    pd.testing.assert_frame_equal(stopped[DETERMINED], usual[DETERMINED])
