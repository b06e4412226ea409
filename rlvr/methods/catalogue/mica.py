"""MiCA: LoRA within the minor left singular vectors of the base."""

from typing import TYPE_CHECKING, ClassVar

from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.requirements import AT_MOST_SMALLER_SIDE
from rlvr.methods.base.shapes import ModelShape, total_inputs
from rlvr.methods.base.spec import Category
from rlvr.methods.catalogue.lora import Lora
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import LoraConfig


@register
class Mica(ExportedAsLora, Lora):
    """LoRA with B frozen, the r left singular vectors of W0 of least singular value; A = 0 at the start."""

    name = "mica"
    category: ClassVar[Category] = "Initialization"
    citation = (
        "Rüdiger and Raschka, MiCA Learns More Knowledge Than LoRA and Full Fine-Tuning, arXiv 2604.01694"
    )
    formula = "W = W0 + (alpha/r) U A, U = the last r left singular vectors of W0, frozen"
    requirements: ClassVar = {"rank": AT_MOST_SMALLER_SIDE}

    def peft_config(self) -> "LoraConfig":
        """Return LoRA's configuration with the initialisation that also freezes B."""
        config = super().peft_config()
        config.init_lora_weights = "mica"
        return config

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r x in, summed over the adapted layers."""
        return total_inputs(shape, self.parameters.target_modules) * self.parameters.rank
