import json
from pathlib import Path
from typing import Any

import pytest

from rlvr.artifacts import RunRecord, read_record, write_record
from rlvr.errors import UserError
from tests.helpers.records import run_record, train_config


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_record(tmp_path / "run.json", run_record(train_config()))
    return tmp_path / "run.json"


def test_a_record_survives_its_file(path: Path) -> None:
    record = run_record(train_config(method="dora", faults=(), train_seed=7), device_seconds=1 / 3)
    write_record(path, record)
    assert read_record(path, RunRecord) == record


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (["train_info", "reward_last"], None, ["train_info.reward_last: this key is required"]),
        (["train_info", "reward_final"], 0.5, ["reward_final: unknown key", "'reward_first'"]),
        (["run_info", "device_seconds"], "a while", ["run_info.device_seconds", "number", "'a while'"]),
        (["run_info", "status"], "failed", ["run_info.status", "'finished'", "'failed'"]),
        (
            ["run_info", "config", "training", "steps"],
            0,
            ["run_info.config.training.steps", "(the value is 0)"],
        ),
        (["format_version"], 1, ["format version 1", "reads 2"]),
        (["format_version"], None, ["format version 1", "reads 2"]),
    ],
)
def test_a_faulty_field_is_named(path: Path, keys: list[str], value: Any, words: list[str]) -> None:
    """A value of None removes the field; a record without a version is of the first one."""
    record = json.loads(path.read_text())
    block = record
    for key in keys[:-1]:
        block = block[key]
    block[keys[-1]] = value
    if value is None:
        del block[keys[-1]]
    path.write_text(json.dumps(record))
    with pytest.raises(UserError) as caught:
        read_record(path, RunRecord)
    for word in [str(path), "delete the file to rebuild it", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", '"run"', "\x00"])
def test_a_damaged_record_is_refused(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(UserError, match=r"run\.json.*delete the file to rebuild it"):
        read_record(path, RunRecord)


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run\.json: file not found$"):
        read_record(tmp_path / "run.json", RunRecord)
