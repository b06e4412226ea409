"""MiLoRA+: LoRA that reads the input along the minor singular directions of the base."""

from typing import TYPE_CHECKING, ClassVar, cast

from rlvr.methods.base.requirements import AT_MOST_SMALLER_SIDE
from rlvr.methods.catalogue.lora import Lora
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer
    from torch import nn
    from transformers import PreTrainedModel


@register
class MiloraPlus(Lora):
    """LoRA whose A starts as the r smallest right singular vectors of W0, and B as zero."""

    name = "milora_plus"
    category = "Initialization"
    citation = "Released code of arXiv 2512.23165 (`milora_plus`), after MiLoRA, arXiv 2406.09044"
    formula = "W = W0 + (alpha/r) B A, A = V_min^T and B = 0 at the start, W0 = U S V^T"
    requirements: ClassVar = {"rank": AT_MOST_SMALLER_SIDE}

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject LoRA and set A; the base is not changed."""
        import torch

        policy = super().wrap(model, total_steps, seed)
        for _, layer in self.adapted_layers(policy):
            tuner = cast("LoraLayer", layer)
            weight = cast("nn.Linear", tuner.get_base_layer()).weight.detach().float()
            minor = torch.linalg.svd(weight, full_matrices=False).Vh[-self.parameters.rank :]
            cast("nn.Linear", tuner.lora_A["default"]).weight.data.copy_(minor)
        return policy
