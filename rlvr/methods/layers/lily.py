"""The layer of Lily: neighbouring blocks share A, and B is a mixture of several that all blocks share."""

import math
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rlvr.methods.layers.adapted import AdaptedLinear


class InterconnectedLinear(AdaptedLinear):
    """Computes ``W0 x + scale (sum_e p_e B_e) A x``, p = softmax of trained logits of this layer.

    A and the logits are random and all B_e = 0 at the start. With equal logits all B_e would stay equal.
    """

    def __init__(self, base_layer: nn.Linear, rank: int, experts: int, scale: float) -> None:
        """Take ``base_layer`` over, frozen, and draw A and the logits from the global generator."""
        super().__init__(base_layer)
        weight = base_layer.weight
        outputs, inputs = weight.shape
        self.down = nn.Parameter(weight.new_empty(rank, inputs, dtype=torch.float32))
        self.experts = nn.Parameter(weight.new_zeros(experts, outputs, rank, dtype=torch.float32))
        self.logits = nn.Parameter(torch.randn(experts, device=weight.device))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.scale = scale

    def share(self, down: Self, experts: Self) -> None:
        """Use A of one layer and the B_e of another, which have the same shapes, in the place of its own."""
        self.down, self.experts = down.down, experts.experts

    def forward(self, x: Tensor) -> Tensor:
        """Map x [..., in] to [..., out] in the precision of the base layer's output."""
        result = self.base_layer(x)
        return result + linear(linear(x, self.down.to(x.dtype)), self._up().to(x.dtype))

    def _up(self) -> Tensor:
        # not a product of matrices, which autocast would round to 16 bits, and the logits' gradient to 0
        return self.scale * (self.logits.softmax(0)[:, None, None] * self.experts).sum(0)

    def factors(self) -> tuple[Tensor, Tensor]:
        """Return ``(A [r, in], scale sum_e p_e B_e [out, r])``; A is a copy, for files hold a tensor once."""
        return self.down.detach().clone(), self._up().detach()

    def update(self) -> dict[str, Tensor]:
        """Return scale (sum_e p_e B_e) A."""
        down, up = self.factors()
        return {"weight": up @ down}
