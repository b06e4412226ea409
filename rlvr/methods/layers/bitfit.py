"""The layer of BitFit: a frozen linear layer whose bias is trained."""

import torch
from torch import Tensor, nn

from rlvr.methods.layers.adapted import AdaptedLinear


class ShiftedLinear(AdaptedLinear):
    """Computes ``W0 x + b0 + shift``; the shift is trained in float32 and starts at zero."""

    def __init__(self, base_layer: nn.Linear) -> None:
        """Take ``base_layer`` over, frozen; it must have a bias."""
        super().__init__(base_layer)
        self.shift = nn.Parameter(torch.zeros_like(base_layer.bias, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Map x [..., in] to [..., out] in the precision of the base layer's output."""
        result: Tensor = self.base_layer(x)
        return result + self.shift.to(result.dtype)

    def update(self) -> dict[str, Tensor]:
        """Return the shift of the bias."""
        return {"bias": self.shift}
