"""LoRA+: B learns faster than A."""

from typing import TYPE_CHECKING, Annotated, cast

from pydantic import Field

from rlvr.config.training import Training
from rlvr.methods.catalogue.lora import Lora, LoraParameters
from rlvr.methods.registry import register

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from torch import nn


class LoraPlusParameters(LoraParameters):
    """LoRA's settings and the ratio of the learning rates."""

    ratio: Annotated[float, Field(ge=1)] = 16.0
    """Learning rate of B over that of A."""


@register
class LoraPlus(Lora):
    """LoRA with eta_B = ratio x eta_A; the run's learning rate is A's."""

    name = "lora_plus"
    category = "Initialization"
    citation = "Hayou et al., LoRA+: Efficient Low Rank Adaptation of Large Models, arXiv 2402.12354"
    formula = "W = W0 + (alpha/r) B A, learning rate of B = ratio x that of A"
    parameters: LoraPlusParameters

    @property
    def rate_factors(self) -> frozenset[float]:
        """1 for A and the ratio for B."""
        return frozenset({1.0, self.parameters.ratio})

    def optimizer(self, model: "nn.Module", training: Training) -> "torch.optim.Optimizer":
        """Return AdamW with a group for A and one for B; a scheduler scales both alike."""
        from peft.optimizers import create_loraplus_optimizer
        from torch.optim import AdamW

        return create_loraplus_optimizer(
            cast("PeftModel", model),
            AdamW,
            lr=training.learning_rate,
            loraplus_lr_ratio=self.parameters.ratio,
            loraplus_weight_decay=training.weight_decay,
            betas=training.betas,
        )
