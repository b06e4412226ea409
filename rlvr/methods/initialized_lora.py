"""LoRA that starts from a part of the base weight and takes that part out of the base (PiSSA, MiLoRA, OLoRA).

Published code replaces the base by what is left, W0 - s B0 A0. Here the base stays as it is and the part
taken out is a second, frozen adapter, so that

    W = W0 + s B A - s B0 A0 .

It is the same function and the same gradient. But nothing is rounded when the base is in bfloat16, the base
needs no restoring, a saved run holds A0 and B0 and so means the same in any process, and what users download
is an ordinary LoRA of rank 2 r on the original base.
"""

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rlvr.methods.catalogue.lora import Lora
from rlvr.methods.spec import Category

if TYPE_CHECKING:
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer, LoraModel
    from torch import Tensor, nn
    from transformers import PreTrainedModel

TRAINED, INITIAL = "default", "initial"


class InitializedLora(Lora):
    """LoRA with B0 A0 taken from the base; a subclass says which part of a weight that is."""

    category: ClassVar[Category] = "Initialization"

    @abstractmethod
    def initial_factors(self, weight: "Tensor", rank: int) -> "tuple[Tensor, Tensor]":
        """Return (A [r, in], B [out, r]), B A being the part of ``weight`` [out, in] to start from."""

    def wrap(self, model: "PreTrainedModel", parameters: Any, total_steps: int) -> "nn.Module":
        """Inject the trained adapter and, with opposite sign and frozen, what it starts from."""
        policy = cast("PeftModel", super().wrap(model, parameters, total_steps))
        frozen = self.peft_config(parameters)
        frozen.lora_dropout = 0.0
        policy.add_adapter(INITIAL, frozen)
        for _, layer in self.adapted_layers(policy):
            self._start(cast("LoraLayer", layer), parameters.rank)
        cast("LoraModel", policy.base_model).set_adapter([TRAINED, INITIAL])
        for name, parameter in policy.named_parameters():
            if f".{INITIAL}." in name:
                parameter.requires_grad_(False)
        return policy

    def _start(self, layer: "LoraLayer", rank: int) -> None:
        weight = cast("nn.Linear", layer.get_base_layer()).weight.detach().float()
        down, up = self.initial_factors(weight, rank)
        for adapter, sign in ((TRAINED, 1), (INITIAL, -1)):
            share = layer.scaling[adapter] ** -0.5
            cast("nn.Linear", layer.lora_A[adapter]).weight.data.copy_(share * down)
            cast("nn.Linear", layer.lora_B[adapter]).weight.data.copy_(sign * share * up)

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return the factors of rank 2 r on the original base."""
        import torch

        downs, ups = zip(*_scaled_factors(cast("LoraLayer", layer)), strict=True)
        return torch.cat(downs), torch.cat(ups, dim=1)

    def export(self, model: "nn.Module", directory: Path) -> None:
        """Write a plain LoRA of rank 2 r, which needs no initialisation to be repeated when it is loaded."""
        from rlvr.methods.peft_layers import write_lora

        factors = {name: self.to_lora(layer) for name, layer in self.adapted_layers(model)}
        write_lora(cast("dict[str, tuple[Tensor, Tensor]]", factors), directory)


def _scaled_factors(layer: "LoraLayer") -> "Iterator[tuple[Tensor, Tensor]]":
    for adapter in (TRAINED, INITIAL):
        down, up = cast("nn.Linear", layer.lora_A[adapter]), cast("nn.Linear", layer.lora_B[adapter])
        yield down.weight.detach(), (layer.scaling[adapter] * up.weight).detach()
