"""MiLoRA: LoRA that starts from the minor components of the base."""

from typing import TYPE_CHECKING

from rlvr.methods.initialized_lora import InitializedLora
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
        """Return sqrt(S) V^T and U sqrt(S) of the r smallest components, by an exact SVD."""
        import torch

        u, s, vh = torch.linalg.svd(weight, full_matrices=False)
        root = s[-rank:].sqrt()
        return root[:, None] * vh[-rank:], u[:, -rank:] * root
