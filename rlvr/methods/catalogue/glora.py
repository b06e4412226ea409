"""GLoRA: weights and biases are scaled and shifted together."""

from typing import TYPE_CHECKING

from pydantic import PositiveInt

from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import GloraConfig


class GloraParameters(TargetedParameters):
    """Settings of GLoRA."""

    rank: PositiveInt = 8
    """Inner dimension r of A, B and C."""


@register
class Glora(PeftMethod):
    """Low-rank A, B and C, numbers d and e; the bias only where the base has one."""

    name = "glora"
    category = "Structural"
    citation = (
        "Chavan et al., One-for-All: Generalized LoRA for Parameter-Efficient Fine-tuning, arXiv 2306.07967"
    )
    formula = "W = W0 + W0 * A + B entry by entry, b = b0 + d b0 + e + W0 C"
    parameters: GloraParameters

    def peft_config(self) -> "GloraConfig":
        """Return PEFT's default: A, B and C of low rank, d and e numbers."""
        from peft import GloraConfig

        return GloraConfig(
            task_type="CAUSAL_LM", r=self.parameters.rank, target_modules=list(self.parameters.target_modules)
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return 2 r (in + out), and r (in + 1) + 2 where there is a bias, summed over the adapted layers."""
        rank = self.parameters.rank
        return sum(
            2 * rank * (inputs + outputs) + (rank * (inputs + 1) + 2) * shape.linear[name].bias
            for name, (inputs, outputs) in linear_layers(shape, self.parameters.target_modules).items()
        )
