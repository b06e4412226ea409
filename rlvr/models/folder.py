"""Which files of a Hugging Face folder are its model; every other file is left behind.

Only headers of weight files are read, so 7 billion parameters are checked in seconds.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from rlvr.errors import UserError
from rlvr.files import read_json

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
"""Weights in one file, or the index of several."""

ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
"""Files of an adapter, which Transformers would load on top of a model without a word."""

SIDE_FILES = ["*.json", "*.model", "*.txt", "*.jinja"]
"""Configuration and tokenizer; no code."""

TEXTS = ["README.md", "LICENSE*", "NOTICE*"]
"""Model card and licence, which an export repeats."""

DOWNLOADED = [*SIDE_FILES, *TEXTS, "*.safetensors"]
NOT_DOWNLOADED = ["*/*", "consolidated*.safetensors"]
"""Other forms of the same weights would double the download."""

WANTED = "config.json, *.safetensors, tokenizer.json and tokenizer_config.json"
"""The files of a model, for messages."""

RECORDS = ("provenance.json", "pretraining.json")
"""What a preparation writes beside a model."""


def model_files(folder: Path) -> list[Path]:
    """Return the files to copy: weights that are loaded, configuration, tokenizer, card and licence.

    Raises:
        UserError: as :func:`weight_files`.
    """
    weights = weight_files(folder)
    index = [folder / INDEX] if (folder / INDEX).exists() and weights != [folder / WEIGHTS] else []
    return [*weights, *index, folder / "config.json", *companion_files(folder), *_matching(folder, TEXTS)]


def companion_files(folder: Path) -> list[Path]:
    """Return what a model of the same architecture and tokenizer needs besides weights and `config.json`."""
    left_out = {"config.json", *RECORDS, *(file.name for file in _matching(folder, TEXTS))}
    files = _matching(folder, SIDE_FILES)
    return [file for file in files if file.name not in left_out and ".index." not in file.name]


def licence_files(folder: Path) -> list[Path]:
    """Return the licence of a model and its notices."""
    return _matching(folder, TEXTS[1:])


def _matching(folder: Path, patterns: list[str]) -> list[Path]:
    found = {file for pattern in patterns for file in folder.glob(pattern) if file.is_file()}
    return sorted(found)


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files that Transformers loads, each complete, with the tensors that the index names.

    Raises:
        UserError: weights are missing, damaged or pickled, or it is not clear which ones are meant.
    """
    if leftover := [name for name in ADAPTER if (folder / name).exists()]:
        raise UserError(
            f"{folder}: {leftover[0]} beside a model: Transformers would load this adapter on top of the "
            "weights. If they contain the adapter already, or should be without it, copy the folder without "
            f"{' and '.join(ADAPTER)}; else merge it first (`merge_and_unload`). "
            "Then name the new folder in models.yaml: `source: local`, `path: FOLDER`."
        )
    index, single = folder / INDEX, folder / WEIGHTS
    if not index.exists():
        if not single.exists():
            raise UserError(f"{folder}: no weights {_what_is_there(folder)}")
        _names(single)
        return [single]
    shards = _weight_map(index)
    if single.exists() and set(shards.values()) != {WEIGHTS}:
        raise UserError(
            f"{folder}: both {WEIGHTS} and {INDEX}, which names other files; one of them is left over from "
            "an earlier save: remove it"
        )
    for file in sorted(set(shards.values())):
        absent = {tensor for tensor, shard in shards.items() if shard == file} - _names(folder / file)
        if absent:
            raise UserError(
                f"{index}: names tensor {min(absent)!r} in {file}, which does not hold it ({len(absent)} "
                "such tensors); index and weights are of different saves, download both again"
            )
    return [folder / file for file in sorted(set(shards.values()))]


def _weight_map(index: Path) -> dict[str, str]:
    try:
        weight_map = dict(read_json(index)["weight_map"])
    except (KeyError, TypeError, ValueError):
        weight_map = {}
    if not weight_map or not all(isinstance(file, str) for file in weight_map.values()):
        raise UserError(f"{index}: no `weight_map`; download it again")
    return weight_map


def _names(file: Path) -> set[str]:
    try:
        with safe_open(file, framework="pt") as tensors:  # compares the length of the file with its header
            return set(tensors.keys())
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file}: missing, truncated or corrupt ({error}); download it again") from None


def _what_is_there(folder: Path) -> str:
    """Say which weights a folder has in place of those that are read."""
    others = sorted(file.name for file in folder.glob("*.safetensors"))
    if others:
        indices = sorted(file.name for file in folder.glob("*.index*.json"))
        found = f"{others[0]} and {indices[0]}" if indices else others[0]
        return (
            f"(neither {WEIGHTS} nor {INDEX} is there, but {found}); name a single file {WEIGHTS}, or the "
            f"index of several files {INDEX}"
        )
    return f"({WEIGHTS} is missing); pickled weights are not read, convert them with `model.save_pretrained`"


def tensor_headers(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of every tensor of a safetensors file with its ``dtype`` and ``shape``.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header: dict[str, dict] = json.loads(stream.read(length))
    except (OSError, ValueError, MemoryError, OverflowError) as error:
        raise UserError(f"{file}: damaged ({error}); download or prepare the model again") from None
    yield from ((name, tensor) for name, tensor in header.items() if name != "__metadata__")
