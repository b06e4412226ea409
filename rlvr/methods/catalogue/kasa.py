"""KaSA: the minor components of the base are dropped, and an update in the form of an SVD is trained."""

from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import Field, PositiveFloat, PositiveInt

from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.layer_method import LayerMethod
from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import Requirement
from rlvr.methods.base.shapes import ModelShape, linear_layers, total_sides
from rlvr.methods.registry import register

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rlvr.methods.layers.kasa import SingularLinear


class KasaParameters(TargetedParameters):
    """Settings of KaSA."""

    rank: PositiveInt = 32
    """Inner dimension r of the update, and the number of components that are dropped."""
    alpha: PositiveFloat = 64
    """The update is scaled by alpha / rank."""
    shrinkage: Annotated[float, Field(ge=0)] = 1e-4
    """Weight of |d|^2 in the loss (beta)."""
    orthogonality: Annotated[float, Field(ge=0)] = 1e-3
    """Weight of the orthogonality of A and B in the loss (gamma)."""


@register
class Kasa(ExportedAsLora, LayerMethod):
    """W0 - N + (alpha / r) B diag(d) A, N the r smallest singular components of W0; B = 0 at the start.

    The authors take N out of the base before training, so that their untrained policy is not the base model.
    Here it is taken out with the first optimizer step; the update is theirs otherwise. Their code compares
    A^T A and B B^T with the identity; as in Eq. 11 and PEFT, it is A A^T and B^T B here. PEFT's KaSA rounds
    the rest of W0 to its precision, changes the base for good, and leaves the regularisers to its user.
    """

    name = "kasa"
    category = "Structural"
    citation = (
        "Wang et al., KaSA: Knowledge-Aware Singular-Value Adaptation of Large Language Models, "
        "arXiv 2412.06071"
    )
    formula = (
        "W = W0 - N + (alpha/r) B diag(d) A, N = the r smallest singular components of W0, "
        "taken out with the first step"
    )
    requirements: ClassVar = {
        "rank": Requirement(
            "be less than the smaller of the two", lambda rank, inputs, outputs: rank < min(inputs, outputs)
        )
    }
    parameters: KasaParameters

    def make_layer(self, linear: "nn.Linear", total_steps: int) -> "SingularLinear":
        """Return a layer that trains A, d and B."""
        from rlvr.methods.layers.kasa import SingularLinear

        return SingularLinear(linear, self.parameters.rank, self.parameters.alpha / self.parameters.rank)

    def start(self, policy: "nn.Module") -> None:
        """Find the minor components of every base weight."""
        for _, layer in self.adapted_layers(policy):
            cast("SingularLinear", layer).decompose()

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r (in + out + 1), summed over the adapted layers."""
        names = self.parameters.target_modules
        return (total_sides(shape, names) + len(linear_layers(shape, names))) * self.parameters.rank

    def after_step(self, model: "nn.Module", optimizer: "torch.optim.Optimizer", step: int) -> None:
        """Take the minor components out of the base, which the first step does."""
        for _, layer in self.adapted_layers(model):
            cast("SingularLinear", layer).truncate()

    def extra_loss(self, model: "nn.Module") -> "Tensor | None":
        """Return beta |d|^2 + gamma (||B^T B - I||_F + ||A A^T - I||_F), the mean over the layers."""
        import torch

        terms = [cast("SingularLinear", layer).irregularity() for _, layer in self.adapted_layers(model)]
        sizes, distances = (torch.stack(values).mean() for values in zip(*terms, strict=True))
        return self.parameters.shrinkage * sizes + self.parameters.orthogonality * distances

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return the factors of rank 2 r on the original base."""
        return cast("SingularLinear", layer).factors()
