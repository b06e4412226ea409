"""Checkpoints: whatever happens to a file of the newest one, the one before it is used."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rlvr.dapo.checkpoints import TrainingState, read_checkpoint, write_checkpoint
from rlvr.errors import UserError

FILES = ("trained.safetensors", "optimizer.safetensors", "state.json", "sha256.json")


def state(step: int) -> TrainingState:
    moments = {"step": torch.tensor(float(step)), "exp_avg": torch.randn(3), "exp_avg_sq": torch.rand(3)}
    return TrainingState(
        step=step,
        trained={"weight": torch.full((3,), float(step))},
        optimizer={"state": {0: moments, "named": moments}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        scheduler={"last_epoch": step},
        progress={"cursor": 7 * step},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for step in (1, 2):
        write_checkpoint(tmp_path, state(step))
    return tmp_path


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def cut(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def cut_by_a_byte(file: Path) -> None:
    """JSON may lack the line break at its end."""
    file.write_bytes(file.read_bytes().rstrip()[:-1])


def flipped(file: Path) -> None:
    """One bit of the last number, which every reader accepts."""
    content = bytearray(file.read_bytes())
    place = len(content) - 8
    content[place] ^= 1
    file.write_bytes(content)


def zeros(file: Path) -> None:
    """What a power failure leaves on some file systems: the size without the content."""
    file.write_bytes(bytes(file.stat().st_size))


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [emptied, cut, cut_by_a_byte, flipped, zeros, Path.unlink, a_folder])
def test_damage_of_any_file_falls_back(folder, name, damage, caplog):
    damage(folder / "step-000002" / name)
    found = read_checkpoint(folder)
    assert found is not None and found.step == 1
    assert found.trained["weight"].tolist() == [1.0] * 3
    assert f"{folder / 'step-000002'}: damaged" in caplog.text


def without_a_tensor(checkpoint: Path) -> None:
    file = checkpoint / "optimizer.safetensors"
    tensors = load_file(file)
    del tensors["0/exp_avg"]
    save_file(tensors, file)


def without_tensors(checkpoint: Path) -> None:
    save_file({}, checkpoint / "optimizer.safetensors")


def with_other_weights(checkpoint: Path) -> None:
    save_file({"other": torch.ones(3)}, checkpoint / "trained.safetensors")


def with_other_keys(checkpoint: Path) -> None:
    (checkpoint / "state.json").write_text(json.dumps({"step": 2, "scheduler": {}}))


def with_a_list(checkpoint: Path) -> None:
    (checkpoint / "state.json").write_text("[]")


def with_other_hashes(checkpoint: Path) -> None:
    (checkpoint / "sha256.json").write_text("[]")


@pytest.mark.parametrize(
    "damage",
    [without_a_tensor, without_tensors, with_other_weights, with_other_keys, with_a_list, with_other_hashes],
)
def test_readable_files_that_are_not_those_written_fall_back(folder, damage):
    damage(folder / "step-000002")
    found = read_checkpoint(folder)
    assert found is not None and found.step == 1


def test_an_emptied_checkpoint_falls_back_and_is_removed_by_the_next_one(folder):
    shutil.rmtree(folder / "step-000002")
    (folder / "step-000009").mkdir()
    found = read_checkpoint(folder)
    assert found is not None and found.step == 1
    write_checkpoint(folder, state(2))
    assert sorted(path.name for path in folder.iterdir()) == ["step-000001", "step-000002"]


def test_if_all_are_damaged_nothing_is_trained_from_the_start_in_silence(folder):
    for checkpoint in folder.iterdir():
        cut(checkpoint / "state.json")
    with pytest.raises(UserError, match="all checkpoints are damaged; delete the folder to train from the"):
        read_checkpoint(folder)


def test_what_was_written_is_read(folder):
    found, written = read_checkpoint(folder), state(2)
    assert found is not None
    assert (found.step, found.progress, found.scheduler) == (2, written.progress, written.scheduler)
    assert found.optimizer["state"].keys() == {0, "named"}
    assert found.optimizer["param_groups"] == written.optimizer["param_groups"]
