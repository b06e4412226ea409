"""TinyLoRA: a handful of numbers, spread over the principal components of a layer."""

from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import PositiveInt

from rlvr.config.values import Fraction
from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.requirements import AT_MOST_SMALLER_SIDE
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import TinyLoraConfig
    from torch import Tensor, nn


class TinyLoraParameters(DropoutParameters):
    """Settings of TinyLoRA."""

    rank: PositiveInt = 2
    """Principal components r of each layer."""
    vector_length: PositiveInt = 64
    """Length u of a trained vector."""
    weight_tying: Fraction = 0.0
    """0: every layer has a vector of its own; 1: all share one."""


@register
class TinyLora(ExportedAsLora, PeftMethod):
    """W0 + B (sum_i v_i P_i) A, B A the r largest components of W0 and P random; v = 0 at the start."""

    name = "tinylora"
    category = "Efficiency"
    citation = "Morris et al., Learning to Reason in 13 Parameters, arXiv 2602.04118"
    formula = "W = W0 + B (sum_i v_i P_i) A, B A = the r largest singular components of W0, P_i random"
    requirements: ClassVar = {"rank": AT_MOST_SMALLER_SIDE}
    seed_field = "projection_seed"
    parameters: TinyLoraParameters

    def peft_config(self) -> "TinyLoraConfig":
        """Return the configuration."""
        from peft import TinyLoraConfig

        return TinyLoraConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            u=self.parameters.vector_length,
            weight_tying=self.parameters.weight_tying,
            tinylora_dropout=self.parameters.dropout,
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return u for each vector; tying leaves 1 - weight_tying vectors per layer, at least one in all."""
        layers = len(linear_layers(shape, self.parameters.target_modules))
        return self.parameters.vector_length * max(1, round(layers * (1 - self.parameters.weight_tying)))

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return A and B (sum_i v_i P_i)."""
        tuner = cast(Any, layer)
        mixed = tuner._compute_R("default").detach().float()
        return tuner.tinylora_A["default"].float(), tuner.tinylora_B["default"].float() @ mixed
