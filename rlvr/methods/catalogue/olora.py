"""OLoRA: LoRA that starts from an orthonormal basis of the base."""

from typing import TYPE_CHECKING

from rlvr.methods.base.initialized_lora import InitializedLora
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from torch import Tensor


@register
class Olora(InitializedLora):
    """LoRA that starts from the first r columns of Q and rows of R of W0 = Q R."""

    name = "olora"
    citation = "Buyukakyuz, OLoRA: Orthonormal Low-Rank Adaptation of Large Language Models, arXiv 2406.01775"
    formula = "W = W0 - B0 A0 + B A, B0 = Q[:, :r] and A0 = R[:r] of W0 = Q R, B A starts there"

    def initial_factors(self, weight: "Tensor", rank: int) -> "tuple[Tensor, Tensor]":
        """Return the first r rows of R and columns of Q."""
        import torch

        q, r = torch.linalg.qr(weight)
        return r[:rank], q[:, :rank]
