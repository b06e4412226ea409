"""A failure that is final is recorded as a result, and every job that follows passes it on."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from safetensors import SafetensorError

from rlvr.artifacts import FailedRun, Grade, Sample, StudyFolder, read_rows, read_run, read_train_log
from rlvr.artifacts.placeholders import why_no_model, why_no_rows, why_no_tensors
from rlvr.config.resolved import GenerateConfig, GradeConfig
from rlvr.dapo.train import train
from rlvr.data.problems import write_problems
from rlvr.errors import RunFailure, TryAgain, UserError
from rlvr.evaluate.generate import generate
from rlvr.evaluate.grade import grade
from rlvr.files import write_json
from rlvr.methods.export import export
from tests.helpers.records import train_config

TRAINING = {
    **{"steps": 7, "prompts_per_step": 2, "group_size": 3, "learning_rate": 1e-3, "checkpoint_every": 2},
    **{"sampling": {"max_new_tokens": 5}, "dynamic_sampling": {"max_rounds": 1}},
}
LORA = {"rank": 4, "alpha": 8}
UNKNOWN = {**LORA, "target_modules": ["nowhere"]}


@dataclass
class Job:
    """The training job of one run, as the workflow calls it."""

    root: Path
    model: Path

    @property
    def folder(self) -> StudyFolder:
        return StudyFolder(self.root / "results")

    @property
    def data(self) -> Path:
        return self.root / "data.parquet"

    @property
    def config(self) -> Path:
        return self.root / "config.json"

    def train(self, reward=None, parameters=LORA, recorded=True, **limits) -> None:
        config = train_config(run="r", parameters=parameters, training=TRAINING)
        write_json(self.config, config.model_dump(mode="json"))
        log = self.root / "r.log" if recorded else None
        output = self.folder.run("r").root
        train(self.config, self.model, self.data, self.root / "c", output, reward, failure_log=log, **limits)

    def record(self) -> FailedRun:
        record = read_run(self.folder.run("r").record)
        assert isinstance(record, FailedRun)
        return record


@pytest.fixture
def job(tmp_path: Path, tiny_folder: Path) -> Job:
    rows = [{"id": f"p{i}", "problem": f"{i}+{i}", "answer": str(2 * i), "origin": "test"} for i in range(9)]
    write_problems(tmp_path / "data.parquet", pd.DataFrame(rows), {"entry": {"source": "test"}})
    return Job(tmp_path, tiny_folder)


def failing_from(call: int, then):
    """One completion of three is correct, until a call of the reward."""
    calls = iter(range(10_000))

    def reward(problems, completions):
        return then(problems) if next(calls) >= call else [float(i % 3 == 0) for i in range(len(problems))]

    return reward


def broken(problems):
    raise RuntimeError("a bug")


def test_a_refused_run_is_recorded_and_passed_on(job: Job) -> None:
    job.train(parameters=UNKNOWN)
    record, files = job.record(), job.folder.run("r")
    assert record.run_info.status == "refused" and "nowhere" in record.failure.reason
    assert (record.failure.steps, record.failure.reward_last) == (0, None)
    assert len(read_train_log(files.train_log)) == 0
    export(job.config, job.model, files.trained, files.adapter)
    shared = {"study": "demo", "benchmark": "b", "dataset": "data", "samples_per_problem": 2}
    sampling = {"sampling": {"max_new_tokens": 4}, "prompt": {}, "batch_size": 8, "seed": 0}
    to_generate = GenerateConfig(**shared, **sampling, dtype="float32", shared_seed=False)
    to_grade = GradeConfig(**shared, answer_format="boxed", grader="rlvr")
    for name, config in {"generate": to_generate, "grade": to_grade}.items():
        write_json(job.root / f"{name}.json", config.model_dump(mode="json"))
    generate(
        [job.root / "generate.json"],
        job.model,
        [job.data],
        files.adapter,
        job.root,
        job.folder.samples_of("r"),
    )
    samples, grades = job.folder.samples("r", "b"), job.folder.grades("r", "b")
    grade(job.root / "grade.json", samples, job.data, grades)
    assert len(read_rows(samples, Sample)) == len(read_rows(grades, Grade)) == 0
    reasons = {why_no_tensors(files.trained), why_no_model(files.adapter), why_no_rows(grades)}
    assert len(reasons) == 1 and reasons.pop().startswith("r: refused after 0 steps: ")


def test_a_recorded_failure_is_repeated_until_the_record_is_deleted_or_the_run_changed(job: Job) -> None:
    job.train(parameters=UNKNOWN)
    with pytest.raises(RunFailure, match=r"refused after 0 steps in an earlier attempt: .*nowhere") as error:
        job.train(parameters=UNKNOWN)
    assert "delete that file to train again" in str(error.value)
    job.folder.run("r").record.unlink()
    job.train(parameters=UNKNOWN)
    assert job.record().run_info.attempts == 2
    job.train(failing_from(99, broken))
    assert not isinstance(read_run(job.folder.run("r").record), FailedRun)


def test_a_diverged_run_keeps_its_log(
    job: Job, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(job.root)
    caplog.set_level("INFO", "rlvr")
    job.train(failing_from(1, lambda problems: [0.0] * len(problems)))
    record = job.record()
    assert record.run_info.status == "diverged" and "the reward collapsed" in record.failure.reason
    assert record.failure.steps == len(read_train_log(job.folder.run("r").train_log)) == 6
    assert (record.failure.reward_first, record.failure.reward_last) == (pytest.approx(1 / 3), 0)
    said = "\n".join(record.failure.last_lines)
    assert record.failure.log.endswith("r.log") and "no checkpoint in " in said
    assert str(job.root) not in said, "the record names no folder of the machine"
    assert "r: diverged after 6 steps" in caplog.text, "the log says why the job ends"


def test_without_a_log_to_name_a_failure_is_raised(job: Job) -> None:
    with pytest.raises(RunFailure, match="nowhere"):
        job.train(parameters=UNKNOWN, recorded=False)
    assert not job.folder.run("r").record.exists()


def test_any_other_error_is_a_result_only_when_no_attempt_is_left(job: Job) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        job.train(failing_from(3, broken), attempts_left=1)
    assert not job.folder.run("r").record.exists()
    job.train(failing_from(0, broken), attempts_left=0)
    record = job.record()
    assert (record.run_info.status, record.failure.reason) == ("crashed", "RuntimeError: a bug")
    assert (record.run_info.attempts, record.failure.steps) == (2, 2)
    assert record.failure.last_lines[-1] == "RuntimeError: a bug", "the traceback is kept"


def full(problems):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_for_safetensors(problems):
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize("error", [full, full_for_safetensors])
def test_a_full_disk_is_no_failure_of_the_run(job: Job, error) -> None:
    with pytest.raises((OSError, SafetensorError), match="No space left"):
        job.train(failing_from(0, error), attempts_left=0)
    assert not job.folder.run("r").record.exists()


def test_a_file_that_cannot_be_read_is_no_failure_of_the_run(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_):
        try:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        except OSError as error:
            raise UserError(f"the model cannot be loaded ({error})") from None

    monkeypatch.setattr("rlvr.dapo.setup.load_model", unreadable)
    with pytest.raises(UserError, match="cannot be loaded"):
        job.train(attempts_left=0)
    assert not job.folder.run("r").record.exists()


def test_a_lack_of_memory_is_not_refused_while_attempts_are_left(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another job may have taken it."""

    def no_memory(*_):
        try:
            raise MemoryError("0.1 of 2 GiB free")
        except MemoryError as error:
            raise UserError(f"no memory for the cache ({error})") from None

    monkeypatch.setattr("rlvr.dapo.setup.load_model", no_memory)
    with pytest.raises(UserError, match="no memory") as error:
        job.train(attempts_left=1)
    assert not isinstance(error.value, RunFailure)
    assert not job.folder.run("r").record.exists()


def test_a_stopped_run_is_never_a_failure(job: Job) -> None:
    with pytest.raises(TryAgain):
        job.train(failing_from(99, broken), attempts_left=0, max_minutes=0)
    assert not job.folder.run("r").record.exists()
