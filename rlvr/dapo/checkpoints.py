"""Training state on disk: safetensors and JSON, written whole, the last two kept.

A checkpoint is a folder ``CHECKPOINTS/FINGERPRINT/step-NNNNNN``. The fingerprint covers configuration, model
and data, so that a run with a changed setting starts from step 0 and never continues another run. A
checkpoint holds hashes of its files, so that any damage is found before anything is loaded.
"""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from rlvr.errors import UserError
from rlvr.files import read_json, replacing_folder, sha256_of, write_json

KEEP = 2
"""Checkpoints kept."""
_FILES = ("trained.safetensors", "optimizer.safetensors", "state.json")
_HASHES = "sha256.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingState:
    """Everything that the next step depends on; seeds are derived, so no generator state is needed."""

    step: int
    """Finished steps."""
    trained: dict[str, Tensor]
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]
    progress: dict[str, Any]
    """JSON: prompt cursor, loss scale, surplus groups, first steps, log, seconds, environment."""


def write_checkpoint(folder: Path, state: TrainingState) -> None:
    """Write ``state``, then delete all but the last :data:`KEEP` checkpoints.

    Later checkpoints go first: the run was continued from before them, because they are damaged.
    """
    damaged = [checkpoint for checkpoint in _checkpoints(folder) if checkpoint.name > _name(state.step)]
    for leftover in [*folder.glob(".step-*"), *damaged]:  # the former are of attempts that were killed
        shutil.rmtree(leftover)
    tensors, rest = _split_optimizer(state.optimizer)
    with replacing_folder(folder / _name(state.step)) as temporary:
        save_file(_owned(state.trained), temporary / "trained.safetensors")
        save_file(tensors, temporary / "optimizer.safetensors")
        write_json(
            temporary / "state.json",
            {"step": state.step, "optimizer": rest, "scheduler": state.scheduler, "progress": state.progress},
        )
        write_json(temporary / _HASHES, {name: sha256_of(temporary / name) for name in _FILES})
    for old in _checkpoints(folder)[:-KEEP]:
        shutil.rmtree(old)


def read_checkpoint(folder: Path) -> TrainingState | None:
    """Return the newest undamaged state in ``folder``, or None if there are no checkpoints.

    Raises:
        UserError: there are checkpoints, but all are damaged.
    """
    found = _checkpoints(folder)
    for checkpoint in reversed(found):
        if damage := _damage(checkpoint):
            logger.warning("%s: damaged (%s); trying the checkpoint before it", checkpoint, damage)
        else:
            return _read(checkpoint)
    if found:
        raise UserError(f"{folder}: all checkpoints are damaged; delete the folder to train from the start")
    return None


def _damage(checkpoint: Path) -> str | None:
    """Return what is wrong with a checkpoint, or None if all its files are as they were written."""
    try:
        hashes = read_json(checkpoint / _HASHES)
        for name in _FILES:
            if not isinstance(hashes, dict) or sha256_of(checkpoint / name) != hashes.get(name):
                return f"{name} is not as it was written"
    except (UserError, RecursionError, FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        return str(error)
    return None


def _read(checkpoint: Path) -> TrainingState:
    state = read_json(checkpoint / "state.json")
    return TrainingState(
        step=state["step"],
        trained=load_file(checkpoint / "trained.safetensors"),
        optimizer=_join_optimizer(load_file(checkpoint / "optimizer.safetensors"), state["optimizer"]),
        scheduler=state["scheduler"],
        progress=state["progress"],
    )


def _name(step: int) -> str:
    return f"step-{step:06d}"


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def _owned(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return copies that share no memory, as safetensors demands."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}


def _split_optimizer(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split an optimizer's state dict into tensors by name and the JSON remainder."""
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    for index, values in state["state"].items():
        for key, value in values.items():
            (tensors if isinstance(value, Tensor) else scalars)[f"{index}/{key}"] = value
    return _owned(tensors), {"scalars": scalars, "param_groups": state["param_groups"]}


def _join_optimizer(tensors: dict[str, Tensor], rest: dict[str, Any]) -> dict[str, Any]:
    state: dict[int | str, dict[str, Any]] = {}
    for name, value in {**tensors, **rest["scalars"]}.items():
        index, key = name.split("/", 1)
        # LoRA-FA's optimizer keeps its state under names, all others under positions.
        state.setdefault(int(index) if index.isdigit() else index, {})[key] = value
    return {"state": state, "param_groups": rest["param_groups"]}
