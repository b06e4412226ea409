"""LoRA and its rank-1 form."""

from typing import TYPE_CHECKING, ClassVar, Literal, cast

from pydantic import PositiveFloat, PositiveInt

from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.shapes import ModelShape, total_sides
from rlvr.methods.base.spec import Category, PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import LoraConfig
    from peft.tuners.lora import LoraLayer
    from torch import Tensor, nn


class LoraParameters(DropoutParameters):
    """Settings of LoRA-like methods."""

    rank: PositiveInt = 32
    """Inner dimension r."""
    alpha: PositiveFloat = 64
    """The update is scaled by alpha / rank."""


class RankOneParameters(LoraParameters):
    """LoRA's settings with the rank fixed."""

    rank: Literal[1] = 1
    """Always one."""
    alpha: PositiveFloat = 2
    """The update is scaled by alpha."""


@register
class Lora(PeftMethod):
    """h = W0 x + (alpha / r) B A x, with A random and B = 0 (paper, Eq. 2)."""

    name = "lora"
    category: ClassVar[Category] = "Baseline"
    citation = "Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, arXiv 2106.09685"
    formula = "W = W0 + (alpha/r) B A"
    exact_lora = True
    parameters: LoraParameters

    def peft_config(self) -> "LoraConfig":
        """Return a plain LoRA configuration."""
        from peft import LoraConfig

        return LoraConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            lora_alpha=self.parameters.alpha,  # type: ignore[arg-type]  # PEFT takes any number
            lora_dropout=self.parameters.dropout,
            target_modules=list(self.parameters.target_modules),
        )

    def seeded_config(self, seed: int) -> "LoraConfig":
        """Return the configuration with the layer that adds the update as it multiplies."""
        from torch import nn

        from rlvr.methods.layers.fused_lora import FusedLoraLinear

        config = cast("LoraConfig", super().seeded_config(seed))
        config._register_custom_module({nn.Linear: FusedLoraLinear})
        return config

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r (in + out), summed over the adapted layers."""
        return total_sides(shape, self.parameters.target_modules) * self.parameters.rank

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return A and the scaled B."""
        tuner = cast("LoraLayer", layer)
        adapter = tuner.active_adapters[0]
        down, up = cast("nn.Linear", tuner.lora_A[adapter]), cast("nn.Linear", tuner.lora_B[adapter])
        return down.weight.detach(), (tuner.scaling[adapter] * up.weight).detach()


@register
class RankOneLora(Lora):
    """LoRA of rank 1 (paper, Tables 4 and 5)."""

    name = "rank1_lora"
    category = "Baseline"
    small_settings: ClassVar = {"rank": 1, "alpha": 2}
    parameters: RankOneParameters
