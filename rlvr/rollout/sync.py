"""Weight sync: the engine gets what is trained, and proves that it serves it.

Merged weights are computed out of place in float32, one layer at a time, so no second model is held, and the
policy's base weights are never touched: there is nothing to restore and nothing that drifts.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from rlvr.errors import UserError
from rlvr.methods import MethodSpec
from rlvr.methods.base.peft_layers import merged_copy, tuner_layers
from rlvr.rollout.engines.base import Engine

Weights = Iterable[tuple[str, Tensor]]


class WeightSync:
    """Brings a policy's weights to an engine and measures what arrives."""

    def __init__(
        self, spec: MethodSpec, policy: nn.Module, engine: Engine, mode: Literal["merged", "adapter"]
    ) -> None:
        """Remember the untrained weights; call before anything is trained or resumed."""
        self.spec, self.policy, self.engine, self.mode = spec, policy, engine, mode
        self.untrained = {
            f"{name}.{key}": tensor.cpu().clone() if _moves(spec, layer, key) else tensor
            for name, layer in spec.adapted_layers(policy)
            for key, tensor in spec.base_weights(layer).items()
        }

    def __call__(self) -> dict[str, float]:
        """Send the current weights.

        Returns:
            ``sync/noise_to_signal``: ||served update - update|| / ||update|| over all weights (Frobenius), 0
            where nothing is lost on the way and 1 where the engine still serves the untrained model; NaN
            before the first update. ``sync/update_norm``: ||update||.

        Raises:
            UserError: the engine holds other weights than it was sent.
        """
        noise, signal = self._merged() if self.mode == "merged" else self._adapter()
        ratio = math.sqrt(noise / signal) if signal else math.nan
        return {"sync/noise_to_signal": ratio, "sync/update_norm": math.sqrt(signal)}

    def _merged(self) -> tuple[float, float]:
        noise = signal = 0.0
        for name, weight in merged_weights(self.spec, self.policy):
            self.engine.load_weights([(name, weight)])
            held = self.engine.held_weight(name)
            _require_equal(name, held, weight)
            update = weight - self.untrained[name].to(weight)
            noise += float((held.to(weight) - weight).square().sum())
            signal += float(update.square().sum())
        return noise, signal

    def _adapter(self) -> tuple[float, float]:
        noise = signal = 0.0
        for name, (down, up) in low_rank_updates(self.spec, self.policy):
            self.engine.load_update(name, down, up)
            held_down, held_up = self.engine.held_update(name)
            _require_equal(name, held_down, down)
            _require_equal(name, held_up, up)
            update = up @ down
            noise += float((held_up.to(up) @ held_down.to(down) - update).square().sum())
            signal += float(update.square().sum())
        return noise, signal


def merged_weights(spec: MethodSpec, policy: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield ``(name in the plain model, float32 weight)`` for everything that training may have moved."""
    for name, layer in spec.adapted_layers(policy):
        for weight_name, weight in spec.merged(layer).items():
            yield f"{name}.{weight_name}", weight


def low_rank_updates(spec: MethodSpec, policy: nn.Module) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Yield ``(layer name in the plain model, (A [r, in], B [out, r]))`` with update B A, without loss.

    Raises:
        UserError: the method has no such form.
    """
    for name, layer in spec.adapted_layers(policy):
        factors = spec.to_lora(layer)
        if factors is None:
            raise UserError(f"method {spec.name!r} has no exact low-rank form; use training.sync: merged")
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


def _moves(spec: MethodSpec, layer: nn.Module, name: str) -> bool:
    """Tell whether a tensor of the base will change (full fine-tuning, or a fault): then a copy is kept."""
    own = dict(layer.named_parameters(recurse=False))
    return spec.changes_base or (name in own and own[name].requires_grad)


def _require_equal(name: str, held: Tensor, sent: Tensor) -> None:
    if not torch.equal(held, sent.to(held)):
        raise UserError(
            f"after the sync the engine does not hold the weights of {name!r} that it was sent: it would "
            "sample from another policy than the one that is trained; a fault of the engine, not of the study"
        )


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
