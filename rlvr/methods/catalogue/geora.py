"""GeoRA: LoRA that starts from the part of the base that reinforcement learning prefers to move."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from rlvr.methods.base.initialized_lora import InitializedLora, singular_factors
from rlvr.methods.catalogue.lora import LoraParameters
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from torch import Tensor


class GeoraParameters(LoraParameters):
    """Settings of GeoRA."""

    rank: PositiveInt = 16
    """Inner dimension r, and the rank of the approximation of W0 by which entries are chosen."""
    alpha: PositiveFloat = 16
    """The update, its start included, is scaled by alpha / rank."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share rho of the entries that each of the two masks keeps."""


@register
class Geora(InitializedLora):
    """LoRA that starts from the r largest singular components of W0 within a mask (GeoRA, Eq. 1 to 8).

    The mask keeps the entries that are among the smallest, by magnitude, of W0 (the Euclidean prior) or of
    its approximation of rank r (the spectral prior). The authors publish no code. Two things are chosen here:
    alpha = r, so that B0 A0 is the start itself, and an exact SVD for both decompositions.
    """

    name = "geora"
    citation = "Zhang et al., GeoRA: Geometry-Aware Low-Rank Adaptation for RLVR, arXiv 2601.09361"
    formula = (
        "W = W0 - s B0 A0 + s B A, s = alpha/r, B0 A0 = the r largest singular components of W0 * M, "
        "B A starts there, M = 1 where W0 or its approximation of rank r is smallest"
    )
    parameters: GeoraParameters

    def initial_factors(self, weight: "Tensor", rank: int) -> "tuple[Tensor, Tensor]":
        """Return the factors of the masked weight's r largest components; alpha / r scales them too."""
        down, up = singular_factors(weight, slice(rank))
        mask = smallest(weight, self.parameters.share) | smallest(up @ down, self.parameters.share)
        down, up = singular_factors(weight * mask, slice(rank))
        root = (self.parameters.alpha / rank) ** 0.5
        return root * down, root * up


def smallest(matrix: "Tensor", share: float) -> "Tensor":
    """Return where a share of the entries, those of least magnitude, are."""
    magnitude = matrix.abs()
    kept = max(1, round(share * magnitude.numel()))
    threshold = magnitude.flatten().kthvalue(kept).values
    return magnitude <= threshold
