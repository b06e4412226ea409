"""Weight sync: sends the trained weights to the engine and checks that it serves them.

Weights are merged out of place (:mod:`rlvr.methods.weights`), so the policy's base weights are never changed:
there is nothing to restore and nothing can drift.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from rlvr.errors import UserError
from rlvr.methods import Method
from rlvr.methods.weights import low_rank_updates, merged_weights
from rlvr.rollout.engines.base import Engine


class WeightSync:
    """Sends a policy's weights to an engine and measures what is lost."""

    def __init__(
        self, method: Method, policy: nn.Module, engine: Engine, mode: Literal["merged", "adapter"]
    ) -> None:
        """Store the untrained weights; call before anything is trained or resumed."""
        self.method, self.policy, self.engine, self.mode = method, policy, engine, mode
        self.untrained = {
            f"{name}.{key}": tensor.cpu().clone() if _moves(method, layer, key) else tensor
            for name, layer in method.adapted_layers(policy)
            for key, tensor in method.base_weights(layer).items()
        }

    def __call__(self) -> dict[str, float]:
        """Send the current weights.

        Returns:
            ``sync/noise_to_signal``: ||served update - update|| / ||update|| over all weights (Frobenius), 0
            where nothing is lost and 1 where the engine still serves the untrained model; NaN
            before the first update. ``sync/update_norm``: ||update||.

        Raises:
            UserError: the engine holds other weights than it was sent.
        """
        noise, signal = self._merged() if self.mode == "merged" else self._adapter()
        ratio = math.sqrt(noise / signal) if signal else math.nan
        return {"sync/noise_to_signal": ratio, "sync/update_norm": math.sqrt(signal)}

    def _merged(self) -> tuple[float, float]:
        noise = signal = 0.0
        for name, weight in merged_weights(self.method, self.policy):
            self.engine.load_weights([(name, weight)])
            held = self.engine.held_weight(name)
            _require_equal(name, held, weight)
            update = weight - self.untrained[name].to(weight)
            noise += float((held.to(weight) - weight).square().sum())
            signal += float(update.square().sum())
        return noise, signal

    def _adapter(self) -> tuple[float, float]:
        noise = signal = 0.0
        for name, (down, up) in low_rank_updates(self.method, self.policy):
            self.engine.load_update(name, down, up)
            held_down, held_up = self.engine.held_update(name)
            _require_equal(name, held_down, down)
            _require_equal(name, held_up, up)
            update = up @ down
            noise += float((held_up.to(up) @ held_down.to(down) - update).square().sum())
            signal += float(update.square().sum())
        return noise, signal


def _moves(method: Method, layer: nn.Module, name: str) -> bool:
    """Tell whether a tensor of the base will change (full fine-tuning, or a fault): then a copy is kept."""
    own = dict(layer.named_parameters(recurse=False))
    return method.changes_base or (name in own and own[name].requires_grad)


def _require_equal(name: str, held: Tensor, sent: Tensor) -> None:
    if not torch.equal(held, sent.to(held)):
        raise UserError(
            f"after the sync the engine does not hold the weights of {name!r} that it was sent: it would "
            "sample from another policy than the one that is trained; this is a defect of the engine, not of "
            "the study"
        )
