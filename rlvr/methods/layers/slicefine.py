"""The layer of SliceFine: a frozen linear layer with a few columns trained at a time."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, one_hot

from rlvr.methods.layers.adapted import AdaptedLinear


class SliceLinear(AdaptedLinear):
    """Computes ``W0 x + learnt x[visited columns] + slice x[current columns]``.

    Columns are visited from the left, ``rank`` at a time, and from the left again after the last.
    """

    learnt: Tensor
    """What earlier slices have learnt, [out, (slices - 1) x rank]; zero where none has been yet."""
    position: Tensor
    """Number of the current slice, a scalar."""

    def __init__(self, base_layer: nn.Linear, rank: int, interval: int, slices: int) -> None:
        """Take ``base_layer`` over, frozen; ``slices`` slices are visited, one every ``interval`` steps."""
        super().__init__(base_layer)
        self.rank = rank
        self.interval = interval
        weight = base_layer.weight
        self.slice = nn.Parameter(weight.new_zeros(weight.shape[0], rank, dtype=torch.float32))
        self.register_buffer(
            "learnt", weight.new_zeros(weight.shape[0], (slices - 1) * rank, dtype=torch.float32)
        )
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Map x [..., in] to [..., out] in the precision of the base layer's output."""
        result = self.base_layer(x)
        columns = torch.cat([self.learnt, self.slice], dim=1).to(x.dtype)
        return result + linear(x[..., self.columns()], columns)

    def columns(self) -> Tensor:
        """Return the input features of ``[learnt, slice]``, [slices x rank]."""
        width = self.base_layer.in_features
        visited = torch.arange(self.learnt.shape[1], device=self.slice.device)
        current = torch.arange(self.rank, device=self.slice.device) + self.position * self.rank
        return torch.cat([visited, current]) % width

    def move(self) -> bool:
        """Freeze the current slice and go on to the next one; return False after the last."""
        start = int(self.position) * self.rank
        if start >= self.learnt.shape[1]:
            return False
        with torch.no_grad():
            self.learnt[:, start : start + self.rank] += self.slice
            self.slice.zero_()
            self.position += 1
        return True

    def factors(self) -> tuple[Tensor, Tensor]:
        """Return ``(A [slices x rank, in], B [out, slices x rank])`` with update B A."""
        chosen = one_hot(self.columns(), self.base_layer.in_features).to(self.slice)
        return chosen, torch.cat([self.learnt, self.slice], dim=1).detach()

    def update(self) -> dict[str, Tensor]:
        """Return every slice that was trained, in its columns."""
        down, up = self.factors()
        return {"weight": up @ down}
