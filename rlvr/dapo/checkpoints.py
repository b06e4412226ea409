"""Training state on disk: safetensors and JSON, written whole, the last two kept.

A checkpoint lives in ``<folder>/<fingerprint>/step-NNNNNN``. The fingerprint covers the resolved cell, the
model and the data: a changed setting starts afresh beside the old state instead of continuing it.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlvr.errors import UserError
from rlvr.files import read_json, write_json

KEEP = 2


@dataclass(frozen=True)
class TrainingState:
    """Everything that the next step depends on; random numbers are derived, so there is no generator."""

    step: int
    """Steps done."""
    trained: dict[str, Tensor]
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]
    progress: dict[str, Any]
    """JSON: prompt cursor, surplus groups, log rows, seconds, attempts."""


def save_checkpoint(folder: Path, state: TrainingState) -> None:
    """Write ``state``, then delete all but the last checkpoints."""
    for leftover in folder.glob(".writing-*"):
        shutil.rmtree(leftover)
    temporary = folder / f".writing-{os.getpid()}"
    temporary.mkdir(parents=True)
    save_file(_owned(state.trained), temporary / "trained.safetensors")
    tensors, rest = _split_optimizer(state.optimizer)
    save_file(tensors, temporary / "optimizer.safetensors")
    write_json(
        temporary / "state.json",
        {"step": state.step, "optimizer": rest, "scheduler": state.scheduler, "progress": state.progress},
    )
    final = folder / f"step-{state.step:06d}"
    shutil.rmtree(final, ignore_errors=True)
    os.replace(temporary, final)
    for old in _checkpoints(folder)[:-KEEP]:
        shutil.rmtree(old)


def load_checkpoint(folder: Path) -> TrainingState | None:
    """Return the newest state in ``folder`` that can be read, or None where there is none at all.

    Raises:
        UserError: there are checkpoints and all of them are damaged.
    """
    found = _checkpoints(folder)
    for checkpoint in reversed(found):
        try:
            return _read(checkpoint)
        except (UserError, SafetensorError, KeyError) as error:
            print(f"{checkpoint}: damaged ({error}); trying the one before")
    if found:
        raise UserError(f"{folder}: all checkpoints are damaged; delete the folder to train from the start")
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
