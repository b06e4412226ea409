"""The layer of LoRA-XS: a small square matrix is trained between two frozen factors of the weight."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rlvr.methods.layers.adapted import AdaptedLinear


class CoreLinear(AdaptedLinear):
    """Computes ``W0 x + scale B R A x``: A = S V^T and B = U of the truncated SVD of W0, R = 0 at the start.

    A and B are buffers, because the signs of singular vectors differ between machines: a trained R means
    something only with the A and B that it was trained with.
    """

    down: Tensor
    """A, [r, in]."""
    up: Tensor
    """B, [out, r]."""

    def __init__(self, base_layer: nn.Linear, rank: int, scale: float) -> None:
        """Take ``base_layer`` over, frozen, and decompose its weight."""
        super().__init__(base_layer)
        u, s, vh = torch.linalg.svd(base_layer.weight.detach().float(), full_matrices=False)
        self.register_buffer("down", s[:rank, None] * vh[:rank])
        self.register_buffer("up", u[:, :rank].contiguous())
        self.core = nn.Parameter(self.up.new_zeros(rank, rank))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Map x [..., in] to [..., out] in the precision of the base layer's output."""
        result = self.base_layer(x)
        read = linear(x, self.down.to(x.dtype))
        return result + self.scale * linear(linear(read, self.core.to(x.dtype)), self.up.to(x.dtype))

    def factors(self) -> tuple[Tensor, Tensor]:
        """Return ``(A [r, in], scale B R [out, r])``."""
        return self.down, self.scale * self.up @ self.core.detach()

    def update(self) -> dict[str, Tensor]:
        """Return scale B R A."""
        down, up = self.factors()
        return {"weight": up @ down}
