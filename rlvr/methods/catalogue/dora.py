"""DoRA: magnitude and direction of each weight are trained separately."""

from typing import TYPE_CHECKING

from rlvr.methods.base.shapes import total_outputs
from rlvr.methods.catalogue.lora import Lora
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import Tensor, nn
    from transformers import PretrainedConfig


@register
class Dora(Lora):
    """W = m (W0 + s B A) / ||W0 + s B A||, the norm taken over each output row (DoRA, Eq. 5)."""

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

    def expected_parameters(self, model_config: "PretrainedConfig") -> int:
        """Return LoRA's count and one magnitude per output row."""
        rows = total_outputs(model_config, self.parameters.target_modules)
        return super().expected_parameters(model_config) + rows

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return None: rescaling the rows makes an update of full rank."""
        return None
