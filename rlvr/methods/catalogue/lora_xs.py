"""LoRA-XS: only a small square matrix between two frozen factors of each weight is trained."""

from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import PositiveFloat, PositiveInt

from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.layer_method import LayerMethod
from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import AT_MOST_SMALLER_SIDE
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rlvr.methods.layers.lora_xs import CoreLinear


class LoraXsParameters(TargetedParameters):
    """Settings of LoRA-XS."""

    rank: PositiveInt = 64
    """Singular components r of each weight; r x r numbers are trained."""
    alpha: PositiveFloat = 64
    """The update is scaled by alpha / rank."""


@register
class LoraXs(ExportedAsLora, LayerMethod):
    """W0 + s B R A with A and B frozen, from the SVD of W0, and R trained (LoRA-XS, section 3).

    The authors draw R from N(0, 1e-10); here it starts at zero, so that the untrained policy is the base.
    """

    name = "lora_xs"
    category = "Efficiency"
    citation = (
        "Bałazy et al., LoRA-XS: Low-Rank Adaptation with Extremely Small Number of Parameters, "
        "arXiv 2405.17604"
    )
    formula = "W = W0 + (alpha/r) B R A, B A = the r largest singular components of W0, frozen, R [r, r]"
    requirements: ClassVar = {"rank": AT_MOST_SMALLER_SIDE}
    parameters: LoraXsParameters

    def make_layer(self, linear: "nn.Linear", total_steps: int) -> "CoreLinear":
        """Return a layer that trains R."""
        from rlvr.methods.layers.lora_xs import CoreLinear

        return CoreLinear(linear, self.parameters.rank, self.parameters.alpha / self.parameters.rank)

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r x r for every adapted layer."""
        return len(linear_layers(shape, self.parameters.target_modules)) * self.parameters.rank**2

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return A and s B R."""
        return cast("CoreLinear", layer).factors()
