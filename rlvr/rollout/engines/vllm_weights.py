"""Weights on their way to vLLM, and as vLLM holds them.

vLLM fuses weights (query, key and value; gate and up), pads the vocabulary, and on a CPU packs matrices into
a form that no code can read. A packed matrix shows in what it computes: the product with the identity is the
matrix itself, to the last bit, since every sum has one term that is not zero.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from torch import Tensor, nn

from rlvr.errors import UserError
from rlvr.models.folder import tensor_headers, weight_files


class BaseWeights:
    """The weights of a model folder, rounded to the precision of an engine; read when they are needed.

    Args:
        folder: prepared model folder.
        names: those of the model's parameters.
        dtype: precision to which weights are rounded.

    Raises:
        UserError: the folder stores the parameters under other names.
    """

    def __init__(self, folder: Path, names: list[str], dtype: torch.dtype) -> None:
        headers = {
            name: (file, header) for file in weight_files(folder) for name, header in tensor_headers(file)
        }
        if other := [name for name in names if name not in headers]:
            raise UserError(
                f"{folder}: the parameter {other[0]!r} is stored under another name, so that vLLM could not "
                "be sent its update; use engine: transformers for models of this family"
            )
        self.dtype = dtype
        self.files = {name: headers[name][0] for name in names}
        self.shapes = {name: tuple(headers[name][1]["shape"]) for name in names}
        self.groups: dict[str, list[str]] = {}
        for name in names:
            self.groups.setdefault(group_of(name), []).append(name)

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        """Yield every weight under its name."""
        for name in self.files:
            yield name, self[name]

    def __getitem__(self, name: str) -> Tensor:
        with safe_open(self.files[name], "pt") as file:
            return cast(Tensor, file.get_tensor(name)).to(self.dtype)

    def replaced(self, weights: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
        """Yield all weights, the given ones in place of the folder's, a decoder layer at a time.

        Raises:
            UserError: a given weight is not one of the model, or arrives after the rest of its layer.
        """
        left = dict(self.groups)
        for group, members in groupby(weights, key=lambda weight: group_of(weight[0])):
            given = dict(members)
            names = left.pop(group, [])
            if unknown := [name for name in given if name not in names]:
                raise UserError(
                    f"the served model has no weight {unknown[0]!r} that is still to be sent; the weights "
                    "belong to another model, or are in another order"
                )
            for name in names:
                yield name, given[name] if name in given else self[name]
        for names in left.values():
            for name in names:
                yield name, self[name]


def group_of(name: str) -> str:
    """Return what is sent together with a weight: its decoder layer, outside of them its module.

    Whatever an engine fuses into one tensor is in one decoder layer.
    """
    parts = name.split(".")
    number = next((place for place, part in enumerate(parts) if part.isdigit()), len(parts) - 2)
    return ".".join(parts[: number + 1])


def repack_tied_head(model: nn.Module) -> None:
    """Repack the output layer: `reload_weights` forgets it where it shares the embedding's weight."""
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead

    for module in model.modules():
        if isinstance(module, ParallelLMHead):
            module.quant_method.process_weights_after_loading(module)


class HeldWeights:
    """Reads weights as vLLM holds them.

    Args:
        shapes: shapes of all weights of the plain model.
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.shapes = shapes
        self.unpacked: tuple[nn.Module, Tensor] | None = None

    def forget(self) -> None:
        """Drop the matrix that was unpacked last; call before weights change."""
        self.unpacked = None

    def __call__(self, model: nn.Module, name: str) -> Tensor:
        """Return a weight by its name in the plain model.

        Raises:
            UserError: vLLM has no tensor that is this weight or its fusion with others.
        """
        layer, _, kind = name.rpartition(".")
        module, parts = _served(model, layer)
        before = parts[: parts.index(layer)]
        start = sum(self.shapes[f"{part}.{kind}"][0] for part in before)
        tensor = getattr(module, kind, None)
        if not isinstance(tensor, Tensor):
            raise UserError(
                f"vLLM keeps the weight {name!r} in a form in which it cannot be checked; use engine: "
                "transformers for models of this family"
            )
        if not tensor.numel():
            tensor = self._unpacked(module)
        return tensor.detach()[start : start + self.shapes[name][0]].clone()

    def _unpacked(self, module: Any) -> Tensor:
        """Return the matrix [out, in] of a layer that keeps it packed."""
        if self.unpacked is None or self.unpacked[0] is not module:
            identity = torch.eye(module.input_size, dtype=module.weight.dtype)
            self.unpacked = module, module.quant_method.apply(module, identity, None).T
        return self.unpacked[1]


def _served(model: Any, layer: str) -> tuple[Any, list[str]]:
    """Return vLLM's module for a layer of the plain model, and all layers that it fuses, in order."""
    modules = dict(model.named_modules())
    if layer in modules:
        return _plain(modules[layer]), [layer]
    parent, _, own = layer.rpartition(".")
    for fused, parts in getattr(model, "packed_modules_mapping", {}).items():
        if own in parts and f"{parent}.{fused}" in modules:
            return _plain(modules[f"{parent}.{fused}"]), [f"{parent}.{part}" for part in parts]
    return None, [layer]


def _plain(module: Any) -> Any:
    """Return a layer without vLLM's wrapper for adapters."""
    return getattr(module, "base_layer", module)


def held_factors(model: Any, layer: str, rank: int) -> tuple[Tensor, Tensor]:
    """Return A and B of a layer's low-rank update as vLLM holds them.

    Raises:
        UserError: vLLM has no place for an update of the layer.
    """
    modules = dict(model.named_modules())
    parent, _, own = layer.rpartition(".")
    places = [(layer, 0)]
    for fused, parts in getattr(model, "packed_modules_mapping", {}).items():
        if own in parts:
            places.append((f"{parent}.{fused}", parts.index(own)))
    for place, index in places:
        if hasattr(modules.get(place), "lora_a_stacked"):
            down, up = modules[place].lora_a_stacked[index], modules[place].lora_b_stacked[index]
            return down[0, 0, :rank].clone(), up[0, 0, :, :rank].clone()
    raise UserError(f"vLLM cannot serve an update of {layer!r}; use training.sync: merged")
