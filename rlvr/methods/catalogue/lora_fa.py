"""LoRA-FA: A is frozen at its random start, and the gradient of B is corrected for that."""

from typing import TYPE_CHECKING, cast

from rlvr.config.training import Training
from rlvr.errors import UserError
from rlvr.methods.base.shapes import ModelShape, total_outputs
from rlvr.methods.catalogue.lora import Lora, LoraParameters
from rlvr.methods.registry import register

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from torch import nn
    from transformers import PreTrainedModel


class LoraFaParameters(LoraParameters):
    """LoRA's settings, and whether the update is corrected."""

    projected_update: bool = True
    """Correct the gradient of B for the frozen A (LoRA-FA, Eq. 4); without it plain AdamW steps on B."""


@register
class LoraFa(Lora):
    """LoRA whose A is frozen; B steps along (r / alpha)^2 grad_B (A A^T)^-1."""

    name = "lora_fa"
    category = "Efficiency"
    citation = (
        "Zhang et al., LoRA-FA: Memory-efficient Low-rank Adaptation for Large Language Models Fine-tuning, "
        "arXiv 2308.03303"
    )
    formula = "W = W0 + (alpha/r) B A, A frozen, gradient of B times (r/alpha)^2 (A A^T)^-1"
    parameters: LoraFaParameters

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject LoRA and freeze every A."""
        policy = super().wrap(model, total_steps, seed)
        for name, parameter in policy.named_parameters():
            if ".lora_A." in name:
                parameter.requires_grad_(False)
        return policy

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r x out, summed over the adapted layers."""
        return total_outputs(shape, self.parameters.target_modules) * self.parameters.rank

    def optimizer(self, model: "nn.Module", training: Training) -> "torch.optim.Optimizer":
        """Return LoRA-FA's own optimizer as PEFT has it.

        Its betas are AdamW's defaults and its eps is 1e-6, not AdamW's 1e-8. Where the machine has bfloat16,
        it multiplies the gradient by (A A^T)^-1 under bfloat16 autocast, which rounds the corrected gradient.

        Raises:
            UserError: the study asks for other betas.
        """
        if not self.parameters.projected_update:
            return super().optimizer(model, training)
        if training.betas != (0.9, 0.999):
            raise UserError(
                f"training.betas: lora_fa has its own optimizer with (0.9, 0.999), not {training.betas}"
            )
        from peft.optimizers import create_lorafa_optimizer

        return create_lorafa_optimizer(
            cast("PeftModel", model),
            r=self.parameters.rank,
            lora_alpha=self.parameters.alpha,  # type: ignore[arg-type]  # PEFT takes any number
            lr=training.learning_rate,
            weight_decay=training.weight_decay,
        )
