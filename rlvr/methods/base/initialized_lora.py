"""LoRA that starts from a part of the base weight and subtracts it from the base (PiSSA, MiLoRA, OLoRA).

Published code replaces the base by the rest, W0 - s B0 A0. Here the base is not changed, and the subtracted
part is a second, frozen adapter, so that

    W = W0 + s B A - s B0 A0 .

The function and the gradient are the same, but nothing is rounded on a bfloat16 base, the base needs no
restoring, a saved run holds A0 and B0 and is the same in any process, and the export is an ordinary LoRA of
rank 2 r on the original base.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, cast

from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.frozen_start import INITIAL, TRAINED, add_frozen_start, summed_factors
from rlvr.methods.base.requirements import AT_MOST_SMALLER_SIDE
from rlvr.methods.base.spec import Category
from rlvr.methods.catalogue.lora import Lora

if TYPE_CHECKING:
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer
    from torch import Tensor, nn
    from transformers import PreTrainedModel


class InitializedLora(ExportedAsLora, Lora):
    """LoRA that starts from B0 A0, a part of the base weight that the subclass chooses."""

    category: ClassVar[Category] = "Initialization"
    requirements: ClassVar = {"rank": AT_MOST_SMALLER_SIDE}

    @abstractmethod
    def initial_factors(self, weight: "Tensor", rank: int) -> "tuple[Tensor, Tensor]":
        """Return (A [r, in], B [out, r]) with B A the part of ``weight`` [out, in] to start from."""

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject the trained adapter and its frozen start with the opposite sign."""
        policy = cast("PeftModel", super().wrap(model, total_steps, seed))
        add_frozen_start(policy, self.with_settings(dropout=0.0).peft_config())
        return policy

    def start(self, policy: "nn.Module") -> None:
        """Set trained and frozen adapters to the chosen part of every base weight."""
        for _, layer in self.adapted_layers(policy):
            self._start(cast("LoraLayer", layer))

    def _start(self, layer: "LoraLayer") -> None:
        weight = cast("nn.Linear", layer.get_base_layer()).weight.detach().float()
        down, up = self.initial_factors(weight, self.parameters.rank)
        for adapter, sign in ((TRAINED, 1), (INITIAL, -1)):
            share = layer.scaling[adapter] ** -0.5
            cast("nn.Linear", layer.lora_A[adapter]).weight.data.copy_(share * down)
            cast("nn.Linear", layer.lora_B[adapter]).weight.data.copy_(sign * share * up)

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return the factors of rank 2 r on the original base."""
        tuner = cast("LoraLayer", layer)
        return summed_factors(_scaled_factors(tuner, adapter) for adapter in (TRAINED, INITIAL))


def singular_factors(weight: "Tensor", chosen: slice) -> "tuple[Tensor, Tensor]":
    """Return sqrt(S) V^T and U sqrt(S) of the chosen singular components, largest first, by an exact SVD."""
    import torch

    u, s, vh = torch.linalg.svd(weight, full_matrices=False)
    root = s[chosen].sqrt()
    return root[:, None] * vh[chosen], u[:, chosen] * root


def _scaled_factors(layer: "LoraLayer", adapter: str) -> "tuple[Tensor, Tensor]":
    down, up = cast("nn.Linear", layer.lora_A[adapter]), cast("nn.Linear", layer.lora_B[adapter])
    return down.weight, layer.scaling[adapter] * up.weight
