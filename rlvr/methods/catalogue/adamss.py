"""AdaMSS: rows of the weight in clusters, each with a small update in one common subspace."""

from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import PositiveInt, model_validator

from rlvr.errors import UserError
from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.layer_method import LayerMethod
from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import AT_MOST_OUTPUTS, AT_MOST_SMALLER_SIDE
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rlvr.methods.layers.adamss import ClusteredLinear


class AdamssParameters(TargetedParameters):
    """Settings of AdaMSS."""

    rank: PositiveInt = 100
    """Dimension R of the subspace of each weight in which all updates are."""
    subspaces: PositiveInt = 32
    """Clusters K of the rows of each weight."""
    subspace_rank: PositiveInt = 1
    """Rank r of the update of a cluster."""

    @model_validator(mode="after")
    def _within_the_subspace(self) -> "AdamssParameters":
        if self.subspace_rank > self.rank:
            raise ValueError(f"subspace_rank {self.subspace_rank} is above rank {self.rank}")
        return self


@register
class Adamss(ExportedAsLora, LayerMethod):
    """W0 + B_c A_c V in the rows of every cluster c; V = the first R right singular vectors of W0, frozen.

    Clusters are those of the rows of the first R left singular vectors, by k-means.
    """

    name = "adamss"
    category = "Efficiency"
    citation = (
        "Zheng et al., AdaMSS: Adaptive Multi-Subspace Approach for Parameter-Efficient Fine-Tuning, "
        "NeurIPS 2025, OpenReview 8ZdWmpYxT0"
    )
    formula = "W = W0 + B_c A_c V in the rows of cluster c, V = the first R right singular vectors of W0"
    requirements: ClassVar = {"rank": AT_MOST_SMALLER_SIDE, "subspaces": AT_MOST_OUTPUTS}
    small_settings: ClassVar = {"rank": 8, "subspaces": 4, "subspace_rank": 2}
    parameters: AdamssParameters

    def check_fit(self, shape: ModelShape) -> None:
        """Refuse more clusters than the rows of a layer fill with the rank of each."""
        super().check_fit(shape)
        chosen = self.parameters
        for name, (_, outputs) in linear_layers(shape, chosen.target_modules).items():
            if chosen.subspaces * chosen.subspace_rank > outputs:
                raise UserError(
                    f"method {self.name!r}: subspaces {chosen.subspaces} x subspace_rank "
                    f"{chosen.subspace_rank} does not fit {name}: it must be at most the {outputs} outputs; "
                    f"choose fewer subspaces, or leave {name.rpartition('.')[2]} out of target_modules"
                )

    def make_layer(self, linear: "nn.Linear", total_steps: int) -> "ClusteredLinear":
        """Return a layer that trains all A_c and B_c."""
        from rlvr.methods.layers.adamss import ClusteredLinear

        chosen = self.parameters
        return ClusteredLinear(linear, chosen.rank, chosen.subspaces, chosen.subspace_rank)

    def start(self, policy: "nn.Module") -> None:
        """Decompose every base weight and find its clusters."""
        for _, layer in self.adapted_layers(policy):
            cast("ClusteredLinear", layer).decompose()

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r (K R + out), summed over the adapted layers."""
        chosen = self.parameters
        shapes = linear_layers(shape, chosen.target_modules).values()
        return chosen.subspace_rank * sum(chosen.subspaces * chosen.rank + outputs for _, outputs in shapes)

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return the factors of rank K r."""
        return cast("ClusteredLinear", layer).factors()
