"""The layer of NoRA: a LoRA whose A has columns of norm one, whatever is trained in it."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rlvr.methods.layers.adapted import AdaptedLinear


class NormalizedLinear(AdaptedLinear):
    """Computes ``W0 x + scale B norm(A) x``; A is random as in LoRA and B = 0 at the start."""

    def __init__(self, base_layer: nn.Linear, rank: int, scale: float) -> None:
        """Take ``base_layer`` over, frozen, and draw A from the global generator."""
        super().__init__(base_layer)
        weight = base_layer.weight
        self.down = nn.Parameter(weight.new_empty(rank, weight.shape[1], dtype=torch.float32))
        self.up = nn.Parameter(weight.new_zeros(weight.shape[0], rank, dtype=torch.float32))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Map x [..., in] to [..., out] in the precision of the base layer's output."""
        result = self.base_layer(x)
        read = linear(x, unit_columns(self.down).to(x.dtype))
        return result + self.scale * linear(read, self.up.to(x.dtype))

    def factors(self) -> tuple[Tensor, Tensor]:
        """Return ``(norm(A) [r, in], scale B [out, r])``."""
        return unit_columns(self.down.detach()), self.scale * self.up.detach()

    def update(self) -> dict[str, Tensor]:
        """Return scale B norm(A)."""
        down, up = self.factors()
        return {"weight": up @ down}


def unit_columns(down: Tensor) -> Tensor:
    """Return A [r, in] with every column divided by its norm; 1e-6 keeps a column of zeros finite."""
    return down / torch.linalg.vector_norm(down, dim=0, keepdim=True).clamp_min(1e-6)
