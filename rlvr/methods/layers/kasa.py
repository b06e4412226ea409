"""The layer of KaSA: an update in the form of an SVD, on a weight without its minor components."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rlvr.methods.layers.adapted import AdaptedLinear


class SingularLinear(AdaptedLinear):
    """Computes ``W0 x - t N x + scale B diag(d) A x``; N = the r smallest singular components of W0.

    A is random as in LoRA, d is normal and B = 0 at the start. ``t`` is 0 until :meth:`truncate`, then 1.
    """

    minor_down: Tensor
    """S V^T of the minor components, [r, in]."""
    minor_up: Tensor
    """U of the minor components, [out, r]."""
    truncated: Tensor
    """t, a scalar."""

    def __init__(self, base_layer: nn.Linear, rank: int, scale: float) -> None:
        """Take ``base_layer`` over, frozen, and draw A and d from the global generator."""
        super().__init__(base_layer)
        weight = base_layer.weight
        outputs, inputs = weight.shape
        self.down = nn.Parameter(weight.new_empty(rank, inputs, dtype=torch.float32))
        self.diagonal = nn.Parameter(torch.randn(rank, device=weight.device))
        self.up = nn.Parameter(weight.new_zeros(outputs, rank, dtype=torch.float32))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.register_buffer("minor_down", torch.zeros_like(self.down, requires_grad=False))
        self.register_buffer("minor_up", torch.zeros_like(self.up, requires_grad=False))
        self.register_buffer("truncated", self.up.new_zeros(()))
        self.scale = scale

    def decompose(self) -> None:
        """Find the minor components by an exact SVD."""
        u, s, vh = torch.linalg.svd(self.base_layer.weight.detach().float(), full_matrices=False)
        rank = len(self.diagonal)
        self.minor_down.copy_(s[-rank:, None] * vh[-rank:])
        self.minor_up.copy_(u[:, -rank:])

    def truncate(self) -> None:
        """Take the minor components out of the weight."""
        self.truncated.fill_(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [..., in] to [..., out] in the precision of the base layer's output."""
        down, up = (factor.to(x.dtype) for factor in self._factors())
        result: Tensor = self.base_layer(x)
        return result + linear(linear(x, down), up)

    def irregularity(self) -> tuple[Tensor, Tensor]:
        """Return ``|d|^2`` and ``||B^T B - I||_F + ||A A^T - I||_F`` (KaSA, Eq. 9 to 11), two scalars."""
        one = torch.eye(len(self.diagonal), device=self.diagonal.device)
        grams = (self.up.T @ self.up, self.down @ self.down.T)
        distances = torch.stack([torch.linalg.matrix_norm(gram - one) for gram in grams])
        return self.diagonal.square().sum(), distances.sum()

    def factors(self) -> tuple[Tensor, Tensor]:
        """Return ``(A [2 r, in], B [out, 2 r])`` with update B A."""
        down, up = self._factors()
        return down.detach(), up.detach()

    def _factors(self) -> tuple[Tensor, Tensor]:
        trained = self.scale * self.diagonal[:, None] * self.down
        return torch.cat([trained, -self.truncated * self.minor_down]), torch.cat([self.up, self.minor_up], 1)

    def update(self) -> dict[str, Tensor]:
        """Return scale B diag(d) A - t N."""
        down, up = self.factors()
        return {"weight": up @ down}
