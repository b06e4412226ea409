"""The weights of a policy as a plain model would hold them, and as an export holds them.

Merged weights are computed out of place in float32, one layer at a time: no second model is held, and the
policy is not changed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from rlvr.errors import UserError
from rlvr.methods.base.peft_layers import merged_copy, tuner_layers

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


def exported_weights(base: PreTrainedModel, directory: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights of an exported run on its base model, as :func:`merged_weights` does.

    Reads what a user would download, a PEFT adapter or whole weights, so that the evaluation measures it.
    ``base`` is changed (the adapter is injected into it).

    Raises:
        UserError: the folder holds no export, or not all weights of the model.
    """
    if not (directory / "adapter_config.json").exists():
        yield from _whole_weights(base, directory)
        return
    from peft import PeftModel

    for name, layer in tuner_layers(PeftModel.from_pretrained(base, str(directory))):
        for weight_name, weight in merged_copy(layer).items():
            yield f"{name}.{weight_name}", weight


def _whole_weights(base: PreTrainedModel, directory: Path) -> Iterator[tuple[str, Tensor]]:
    missing = {name for name, _ in base.named_parameters()}
    for shard in sorted(directory.glob("*.safetensors")):
        weights = load_file(shard)
        missing -= weights.keys()
        yield from weights.items()
    if missing:
        raise UserError(
            f"{directory}: not an exported run: there is no adapter_config.json, and weight {min(missing)!r} "
            "is in no safetensors file; export the run again"
        )
