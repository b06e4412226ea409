"""The layer of OSF: the minor part of an SVD of the weight is trained, away from the principal part."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rlvr.methods.layers.adapted import AdaptedLinear


class OrthogonalLinear(AdaptedLinear):
    """Computes ``W0 x + U diag(s) V x - U0 diag(s0) V0 x``; U, s and V start as U0, s0 and V0.

    U0 diag(s0) V0 are the minor components of W0. Gradients of U and V lose what lies along the principal
    singular vectors. The decomposition is saved: the signs of singular vectors differ between machines.
    """

    start_up: Tensor
    """U0, [out, k]."""
    start_values: Tensor
    """s0, [k]."""
    start_down: Tensor
    """V0, [k, in]."""
    principal_up: Tensor
    """Principal left singular vectors, [out, r]."""
    principal_down: Tensor
    """Principal right singular vectors, [r, in]."""

    def __init__(self, base_layer: nn.Linear, preserved: int) -> None:
        """Take ``base_layer`` over, frozen; ``preserved`` components r are protected, the others trained."""
        super().__init__(base_layer)
        outputs, inputs = base_layer.weight.shape
        trained = min(outputs, inputs) - preserved

        def zeros(*shape: int) -> Tensor:
            return base_layer.weight.detach().new_zeros(*shape, dtype=torch.float32)

        self.up, self.down = nn.Parameter(zeros(outputs, trained)), nn.Parameter(zeros(trained, inputs))
        self.values = nn.Parameter(zeros(trained))
        self.register_buffer("start_up", zeros(outputs, trained))
        self.register_buffer("start_values", zeros(trained))
        self.register_buffer("start_down", zeros(trained, inputs))
        self.register_buffer("principal_up", zeros(outputs, preserved))
        self.register_buffer("principal_down", zeros(preserved, inputs))
        self.up.register_hook(lambda g: g - self.principal_up @ (self.principal_up.T @ g))
        self.down.register_hook(lambda g: g - (g @ self.principal_down.T) @ self.principal_down)

    def decompose(self) -> None:
        """Fill all parts from an exact SVD."""
        u, s, vh = torch.linalg.svd(self.base_layer.weight.detach().float(), full_matrices=False)
        preserved = len(self.principal_down)
        self.principal_up.copy_(u[:, :preserved])
        self.principal_down.copy_(vh[:preserved])
        for trained, start, part in (
            (self.up, self.start_up, u[:, preserved:]),
            (self.values, self.start_values, s[preserved:]),
            (self.down, self.start_down, vh[preserved:]),
        ):
            trained.data.copy_(part)
            start.copy_(part)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [..., in] to [..., out] in the precision of the base layer's output."""
        result: Tensor = self.base_layer(x)
        down, up = (factor.to(x.dtype) for factor in self._factors())
        return result + linear(linear(x, down), up)

    def _factors(self) -> tuple[Tensor, Tensor]:
        """Return ``(A [2 k, in], B [out, 2 k])`` with update B A: U0 (s V - s0 V0) + (U - U0) s V.

        In 16 bits this rounds differences, where the other form would round products before they cancel.
        """
        scaled = self.values[:, None] * self.down
        change = scaled - self.start_values[:, None] * self.start_down
        return torch.cat([change, scaled]), torch.cat([self.start_up, self.up - self.start_up], dim=1)

    def update(self) -> dict[str, Tensor]:
        """Return U diag(s) V - U0 diag(s0) V0."""
        down, up = self._factors()
        return {"weight": (up @ down).detach()}
