"""OSF: full fine-tuning away from the principal singular vectors of the base."""

from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import Field

from rlvr.methods.base.layer_method import LayerMethod
from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import Requirement
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from torch import nn

    from rlvr.methods.layers.osf import OrthogonalLinear


class OsfParameters(TargetedParameters):
    """Settings of OSF."""

    preserved: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of a weight's singular components, the largest, that are protected; rounded down."""


@register
class Osf(LayerMethod):
    """The minor singular components of W0 are trained as U diag(s) V, the others frozen.

    Gradients of U and V are projected on what is orthogonal to the principal singular vectors, so that steps
    of gradient descent leave those alone; AdamW's are not exactly so, in PEFT as here. The share is one for
    all layers, as in PEFT; the authors also estimate one for each layer from its activations. PEFT rounds all
    parts to the base's precision, so that on a base of 16 bits its untrained policy is not the base.
    """

    name = "osf"
    category = "Structural"
    citation = (
        "Nayak et al., Sculpting Subspaces: Constrained Full Fine-Tuning in LLMs for Continual Learning, "
        "arXiv 2504.07097"
    )
    formula = "W = W0 - U0 diag(s0) V0 + U diag(s) V, the minor components of W0, U, s and V start there"
    requirements: ClassVar = {
        "preserved": Requirement(
            "leave at least one singular component protected",
            lambda share, inputs, outputs: _preserved(share, inputs, outputs) >= 1,
        )
    }
    parameters: OsfParameters

    def make_layer(self, linear: "nn.Linear", total_steps: int) -> "OrthogonalLinear":
        """Return a layer that trains the minor components."""
        from rlvr.methods.layers.osf import OrthogonalLinear

        return OrthogonalLinear(linear, _preserved(self.parameters.preserved, *linear.weight.shape))

    def start(self, policy: "nn.Module") -> None:
        """Decompose every base weight."""
        for _, layer in self.adapted_layers(policy):
            cast("OrthogonalLinear", layer).decompose()

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return k (in + out + 1), k the components that are not protected, summed over the layers."""
        shapes = linear_layers(shape, self.parameters.target_modules).values()
        return sum(
            (min(sides) - _preserved(self.parameters.preserved, *sides)) * (sum(sides) + 1)
            for sides in shapes
        )

    def kept_numbers(self, shape: ModelShape) -> int:
        """Return those of the start, U0, s0 and V0, and of the principal singular vectors."""
        shapes = linear_layers(shape, self.parameters.target_modules).values()
        principal = sum(_preserved(self.parameters.preserved, *sides) * sum(sides) for sides in shapes)
        return self.expected_parameters(shape) + principal


def _preserved(share: float, inputs: int, outputs: int) -> int:
    return int(share * min(inputs, outputs))
