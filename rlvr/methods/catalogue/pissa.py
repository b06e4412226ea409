"""PiSSA: LoRA that starts from the principal components of the base."""

from typing import TYPE_CHECKING

from rlvr.methods.base.initialized_lora import InitializedLora, singular_factors
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from torch import Tensor


@register
class Pissa(InitializedLora):
    """LoRA that starts from the r largest singular components of W0 (PiSSA, Eq. 2 to 4)."""

    name = "pissa"
    citation = (
        "Meng et al., PiSSA: Principal Singular Values and Singular Vectors Adaptation of Large Language "
        "Models, arXiv 2404.02948"
    )
    formula = "W = W0 - B0 A0 + B A, B0 A0 = the r largest singular components of W0, B A starts there"

    def initial_factors(self, weight: "Tensor", rank: int) -> "tuple[Tensor, Tensor]":
        """Return the factors of the r largest components."""
        return singular_factors(weight, slice(rank))
