"""The weights of a policy as a plain model would hold them, and as an export holds them.

Merged weights are computed out of place in float32, one layer at a time: no second model is held, and the
policy is not changed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel

from rlvr.errors import UserError
from rlvr.files import read_json, write_json
from rlvr.methods.base.peft_layers import load_adapter, merged_copy, tuner_layers
from rlvr.methods.layers.adapted import AdaptedLinear

if TYPE_CHECKING:
    from rlvr.methods.base.spec import Method


def merged_weights(method: "Method", policy: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield ``(name in the plain model, float32 weight)`` for everything that training may have moved."""
    for name, layer in method.adapted_layers(policy):
        for weight_name, weight in method.merged(layer).items():
            yield f"{name}.{weight_name}", weight


def low_rank_updates(method: "Method", policy: nn.Module) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Yield ``(layer name in the plain model, (A [r, in], B [out, r]))`` with update B A, without loss.

    Raises:
        UserError: the method has no such form.
    """
    for name, layer in method.adapted_layers(policy):
        factors = method.to_lora(layer)
        if factors is None:
            raise UserError(f"method {method.name!r} has no exact low-rank form; use training.sync: merged")
        yield name, factors


def largest_rank(method: "Method", policy: nn.Module) -> int:
    """Return the largest rank among the low-rank updates.

    Raises:
        UserError: see :func:`low_rank_updates`.
    """
    return max(down.shape[0] for _, (down, _) in low_rank_updates(method, policy))


def write_whole(
    method: "Method", policy: nn.Module, directory: Path, dtype: torch.dtype | None = None
) -> None:
    """Write the plain model that a policy is, in the Hugging Face layout: weights and `config.json`.

    Adapted layers are merged in float32; everything else that a plain model holds, persistent buffers too, is
    written as it is. ``dtype`` rounds all of them to one precision. `config.json` names the widest precision
    among the weights, so that loading them rounds nothing.

    Raises:
        UserError: a weight is beyond the range of ``dtype``.
    """
    from peft import PeftModel

    base = policy.get_base_model() if isinstance(policy, PeftModel) else policy
    model = cast(PreTrainedModel, base)
    tied: dict[str, str] = getattr(model, "all_tied_weights_keys", None) or {}
    plain = {name: tensor for name, tensor in _plain_state(method, policy, model) if name not in tied}
    weights = {
        name: _rounded(name, tensor, dtype) if dtype and tensor.is_floating_point() else tensor
        for name, tensor in (plain | dict(merged_weights(method, policy))).items()
    }
    present = {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()}
    widest = max(present, key=lambda precision: precision.itemsize)
    kept, model.generation_config = model.generation_config, GenerationConfig()
    try:  # not the base's generation config: published ones are refused on saving (transformers#29988)
        model.save_pretrained(str(directory), state_dict=weights)
    finally:
        model.generation_config = kept
    (directory / "generation_config.json").unlink(missing_ok=True)
    path = directory / "config.json"
    write_json(path, {**read_json(path), "dtype": str(widest).removeprefix("torch.")})


def _plain_state(method: "Method", policy: nn.Module, model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors that a plain model holds, by its names; those of adapted layers are not merged."""
    layers = dict(method.adapted_layers(policy))
    replaced = {name: base for name, layer in layers.items() if (base := _base_layer(layer)) is not layer}
    inside = tuple(f"{name}." for name in replaced)
    yield from ((name, tensor) for name, tensor in model.state_dict().items() if not name.startswith(inside))
    for layer_name, base in replaced.items():
        for name, tensor in base.state_dict().items():
            yield f"{layer_name}.{name}", tensor


def _base_layer(layer: nn.Module) -> nn.Module:
    """Return the module in whose place an adapted layer stands; it stands for itself if none was replaced."""
    if isinstance(layer, BaseTunerLayer):
        return layer.get_base_layer()
    return layer.base_layer if isinstance(layer, AdaptedLinear) else layer


def _rounded(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Round a tensor to a precision; refuse one with finite values that become infinite in it."""
    rounded = tensor.to(dtype)
    if not torch.equal(rounded.isfinite(), tensor.isfinite()):
        precision, largest = str(dtype).removeprefix("torch."), float(tensor[tensor.isfinite()].abs().max())
        raise UserError(
            f"{name}: its largest value {largest:.4g} is beyond {precision} (at most "
            f"{torch.finfo(dtype).max:.4g}); export with --dtype bfloat16 or float32"
        )
    return rounded


def update_signature(method: "Method", policy: nn.Module) -> Tensor:
    """Return numbers that differ between two policies whose updates differ, [merged tensors], on the CPU.

    For every tensor W that the method changes, u^T (W - W0) v with fixed u and v, over the Frobenius norm of
    all W0 together: about the size of the update, relative, and another number for another update of the same
    size. Empty for a method that merges in place, since computing it would change its base.
    """
    if method.changes_base:
        return torch.zeros(0)
    numbers, square = [], 0.0
    with torch.no_grad():
        for _, layer in method.adapted_layers(policy):
            merged = method.merged(layer)
            for name, base in method.base_weights(layer).items():
                numbers.append(float(_contracted(merged[name] - base.float())))
                square += float(base.float().square().sum())
    return torch.tensor(numbers) / max(square, 1e-30) ** 0.5


def _contracted(tensor: Tensor) -> Tensor:
    """Return the sum of all entries, each times a fixed number between -1 and 1 for every index."""
    for size in reversed(tensor.shape):
        tensor = tensor @ torch.cos(1 + torch.arange(size, dtype=torch.float64).square()).to(tensor)
    return tensor


def exported_weights(base: PreTrainedModel, directory: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights of an exported run on its base model, as :func:`merged_weights` does.

    Reads what a user would download, a PEFT adapter or whole weights, so that the evaluation measures it.
    ``base`` is changed (the adapter is injected into it).

    Raises:
        UserError: the folder holds no export, or not all weights of the model.
    """
    if not (directory / "adapter_config.json").exists():
        yield from _whole_weights(directory)
        return
    for name, layer in tuner_layers(load_adapter(base, directory)):
        for weight_name, weight in merged_copy(layer).items():
            yield f"{name}.{weight_name}", weight


def load_exported(base: PreTrainedModel, directory: Path) -> None:
    """Turn ``base`` into an exported run as its users load it: whole weights, or PEFT's adapter, not merged.

    Raises:
        UserError: the folder holds no export, or not all weights of the model.
    """
    if (directory / "adapter_config.json").exists():
        load_adapter(base, directory)
        return
    own = dict(base.named_parameters())
    for name, weight in _whole_weights(directory):
        own[name].data.copy_(weight)


def _whole_weights(directory: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights of a whole model by their names in it; some families have others in their files."""
    from rlvr.models.load import load_model

    try:
        model = load_model(directory, "float32")
    except UserError as error:
        raise UserError(
            f"{directory}: not an exported run: there is no adapter_config.json, and as a whole model it "
            f"cannot be read ({error}); export the run again"
        ) from None
    for name, parameter in model.named_parameters():
        yield name, parameter.detach()
