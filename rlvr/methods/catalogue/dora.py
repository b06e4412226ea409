"""DoRA: magnitude and direction of each weight are trained separately."""

from typing import TYPE_CHECKING, Any, cast

from rlvr.methods.base.shapes import ModelShape, total_outputs
from rlvr.methods.catalogue.lora import Lora
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import Tensor, nn
    from transformers import PreTrainedModel


@register
class Dora(Lora):
    """W = m (W0 + s B A) / ||W0 + s B A||, the norm taken over each output row (DoRA, Eq. 5).

    m starts as ||W0|| in float32. PEFT computes it in the precision of the base, in bfloat16 with errors up
    to 2^-8 per row: the untrained policy is then not the base, and the errors act as dither when updates are
    merged into bfloat16 (the fault `bf16_magnitude`).
    """

    name = "dora"
    category = "Structural"
    citation = "Liu et al., DoRA: Weight-Decomposed Low-Rank Adaptation, arXiv 2402.09353"
    formula = "W = m (W0 + (alpha/r) B A) / ||W0 + (alpha/r) B A||, norm of each output row"
    exact_lora = False

    def peft_config(self) -> "LoraConfig":
        """Return LoRA's configuration with the magnitude vector switched on."""
        config = super().peft_config()
        config.use_dora = True
        return config

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject the adapter with its magnitudes in float32."""
        policy = super().wrap(model, total_steps, seed)
        self.start_magnitudes(policy)
        return policy

    def start_magnitudes(self, policy: "nn.Module") -> None:
        """Set every m to ||W0||, so that the untrained policy is the base exactly."""
        import torch

        for _, layer in self.adapted_layers(policy):
            tuner = cast(Any, layer)
            weight = tuner.get_base_layer().weight.detach().float()
            for magnitude in tuner.lora_magnitude_vector.parameters():
                magnitude.data = torch.linalg.norm(weight, dim=1).to(magnitude.device)

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return LoRA's count and one magnitude per output row."""
        rows = total_outputs(shape, self.parameters.target_modules)
        return super().expected_parameters(shape) + rows

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return None: rescaling the rows makes an update of full rank."""
        return None
