"""MiLoRA: LoRA that starts from the minor components of the base."""

from typing import TYPE_CHECKING

from rlvr.methods.base.initialized_lora import InitializedLora, singular_factors
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from torch import Tensor


@register
class Milora(InitializedLora):
    """LoRA that starts from the r smallest singular components of W0 (MiLoRA, section 3)."""

    name = "milora"
    citation = (
        "Wang et al., MiLoRA: Harnessing Minor Singular Components for Parameter-Efficient LLM Finetuning, "
        "arXiv 2406.09044"
    )
    formula = "W = W0 - B0 A0 + B A, B0 A0 = the r smallest singular components of W0, B A starts there"

    def initial_factors(self, weight: "Tensor", rank: int) -> "tuple[Tensor, Tensor]":
        """Return the factors of the r smallest components."""
        return singular_factors(weight, slice(-rank, None))
