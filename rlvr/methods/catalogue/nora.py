"""NoRA: LoRA whose A keeps columns of norm one."""

from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import Field, PositiveFloat

from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.layer_method import LayerMethod
from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.shapes import ModelShape, total_sides
from rlvr.methods.base.spec import Category
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rlvr.methods.layers.nora import NormalizedLinear

CITATION = "Kang et al., Normalized Low-Rank Adaptation, arXiv 2608.31036"


class NoraParameters(TargetedParameters):
    """Settings of NoRA."""

    rank: Annotated[int, Field(ge=2)] = 32
    """Inner dimension r; at rank 1 a column of norm one is a sign, and A is not trained: see `nora_init`."""
    alpha: PositiveFloat = 64
    """The update is scaled by alpha / rank. The authors advise alpha = r; their RLVR runs have 2 r."""


@register
class Nora(ExportedAsLora, LayerMethod):
    """h = W0 x + (alpha / r) B norm(A) x, every column of A divided by its norm in each pass, B = 0 first.

    The gradient of A goes through the norm. A column is divided by at least 1e-6.
    """

    name = "nora"
    category: ClassVar[Category] = "Structural"
    citation = CITATION
    formula = "W = W0 + (alpha/r) B A diag(1 / ||a_j||), a_j the columns of A"
    parameters: NoraParameters

    def make_layer(self, linear: "nn.Linear", total_steps: int) -> "NormalizedLinear":
        """Return a layer that trains A and B."""
        from rlvr.methods.layers.nora import NormalizedLinear

        return NormalizedLinear(linear, self.parameters.rank, self.parameters.alpha / self.parameters.rank)

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r (in + out), summed over the adapted layers."""
        return total_sides(shape, self.parameters.target_modules) * self.parameters.rank

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return the normalised A and the scaled B."""
        return cast("NormalizedLinear", layer).factors()
