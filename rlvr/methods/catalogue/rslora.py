"""rsLoRA: LoRA with a scale that keeps large ranks learning."""

from typing import TYPE_CHECKING

from rlvr.methods.catalogue.lora import Lora
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import LoraConfig


@register
class RsLora(Lora):
    """LoRA scaled by alpha / sqrt(r) instead of alpha / r."""

    name = "rslora"
    category = "Initialization"
    citation = (
        "Kalajdzievski, A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA, arXiv 2312.03732"
    )
    formula = "W = W0 + (alpha/sqrt(r)) B A"

    def peft_config(self) -> "LoraConfig":
        """Return LoRA's configuration with the other scale."""
        config = super().peft_config()
        config.use_rslora = True
        return config
