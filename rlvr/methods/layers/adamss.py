"""The layer of AdaMSS: rows of the weight in clusters, each with a small update in one common subspace."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, one_hot

from rlvr.methods.layers.adapted import AdaptedLinear

ROUNDS = 10
"""Rounds of k-means."""
AVERAGED = 0.85
"""Weight of the past in the averages of importance and of its uncertainty (PEFT's default)."""


class ClusteredLinear(AdaptedLinear):
    """Computes ``W0 x + (B_c A_c V x for the rows of every cluster c)``; V = right singular vectors of W0.

    A_c [r, R] starts as the principal directions of the cluster's left singular vectors, B_c as zero. The
    rows of all B_c are those of one parameter, whose shape does not depend on the sizes of the clusters.
    Clusters can be frozen, as they are then; their importance is that of AdaLoRA's singular values.
    """

    basis: Tensor
    """V, [R, in]."""
    cluster: Tensor
    """Number of the cluster of every row of the weight, [out]."""
    active: Tensor
    """Whether a cluster is trained, [clusters]."""
    importance: Tensor
    """Averages of |w g| for all entries of A and then B, and of how uncertain they are, [2, entries]."""
    frozen_down: Tensor
    """A as it was when clusters were last frozen, [clusters, r, R]."""
    frozen_up: Tensor
    """B as it was then, [out, r]."""

    def __init__(
        self, base_layer: nn.Linear, rank: int, clusters: int, cluster_rank: int, total_steps: int
    ) -> None:
        """Take ``base_layer`` over, frozen, with R = ``rank`` and r = ``cluster_rank``, for a run's steps."""
        super().__init__(base_layer)
        self.total_steps = total_steps
        weight = base_layer.weight.detach()
        outputs, inputs = weight.shape
        self.down = nn.Parameter(weight.new_zeros(clusters, cluster_rank, rank, dtype=torch.float32))
        self.up = nn.Parameter(weight.new_zeros(outputs, cluster_rank, dtype=torch.float32))
        self.register_buffer("basis", weight.new_zeros(rank, inputs, dtype=torch.float32))
        self.register_buffer("cluster", weight.new_zeros(outputs, dtype=torch.int64))
        self.register_buffer("active", weight.new_ones(clusters, dtype=torch.bool))
        entries = self.down.numel() + self.up.numel()
        self.register_buffer("importance", weight.new_zeros(2, entries, dtype=torch.float32))
        self.register_buffer("frozen_down", torch.zeros_like(self.down, requires_grad=False))
        self.register_buffer("frozen_up", torch.zeros_like(self.up, requires_grad=False))
        self.down.register_hook(lambda gradient: gradient * self._trained()[0])
        self.up.register_hook(lambda gradient: gradient * self._trained()[1])

    def decompose(self) -> None:
        """Find V by an exact SVD, the clusters of its left vectors' rows, and the directions in each."""
        u, _, vh = torch.linalg.svd(self.base_layer.weight.detach().float(), full_matrices=False)
        clusters, least, rank = self.down.shape
        rows = u[:, :rank]
        self.basis.copy_(vh[:rank])
        self.cluster.copy_(clustered(rows, clusters, least))
        for number in range(clusters):
            _, _, directions = torch.linalg.svd(rows[self.cluster == number], full_matrices=False)
            self.down.data[number] = directions[:least]

    def forward(self, x: Tensor) -> Tensor:
        """Map x [..., in] to [..., out] in the precision of the base layer's output."""
        result = self.base_layer(x)
        read = linear(linear(x, self.basis.to(x.dtype)), self.down.flatten(0, 1).to(x.dtype))
        return result + linear(read, self._spread().to(x.dtype))

    def _spread(self) -> Tensor:
        """Return all B_c in the rows and columns of their clusters, [out, clusters x r]."""
        places = one_hot(self.cluster, len(self.down)).to(self.up.dtype)
        return (places[:, :, None] * self.up[:, None, :]).flatten(1)

    def _trained(self) -> tuple[Tensor, Tensor]:
        """Return the masks of what is trained in A [clusters, 1, 1] and B [out, 1]."""
        return self.active[:, None, None], self.active[self.cluster][:, None]

    def observe(self) -> None:
        """Take the gradients of a step into the averages."""
        down, up = self.down.grad, self.up.grad
        if down is None or up is None:
            return
        now = torch.cat([(self.down * down).flatten(), (self.up * up).flatten()]).detach().abs()
        average, uncertainty = self.importance
        uncertainty.lerp_((now - average).abs(), 1 - AVERAGED)
        average.lerp_(now, 1 - AVERAGED)

    def scores(self) -> Tensor:
        """Return the importance of every cluster, [clusters]; those that are frozen have none: -1."""
        down, up = self.importance.prod(0).split([self.down.numel(), self.up.numel()])
        places = one_hot(self.cluster, len(self.active)).to(up.dtype)
        rows = places.T @ up.view_as(self.up).mean(1) / places.sum(0)
        return (down.view_as(self.down).mean((1, 2)) + rows).masked_fill(~self.active, -1)

    def keep(self, chosen: Tensor) -> None:
        """Freeze all clusters but those chosen, [clusters], and reset the averages."""
        self.active.copy_(chosen)
        self.importance.zero_()
        self.frozen_down.copy_(self.down.detach())
        self.frozen_up.copy_(self.up.detach())

    def restore(self) -> None:
        """Undo what an optimizer step did to frozen clusters, by momentum and weight decay."""
        frozen = (self.frozen_down, self.frozen_up)
        for parameter, kept, trained in zip((self.down, self.up), frozen, self._trained(), strict=True):
            parameter.data.copy_(torch.where(trained, parameter, kept))

    def factors(self) -> tuple[Tensor, Tensor]:
        """Return ``(A [clusters x r, in], B [out, clusters x r])`` with update B A."""
        return (self.down.flatten(0, 1) @ self.basis).detach(), self._spread().detach()

    def update(self) -> dict[str, Tensor]:
        """Return B_c A_c V in the rows of every cluster."""
        down, up = self.factors()
        return {"weight": up @ down}


def clustered(rows: Tensor, clusters: int, least: int) -> Tensor:
    """Return the cluster of every row, [n], by k-means from rows that the global generator chooses.

    Args:
        rows: points, [n, features].
        clusters: number of clusters.
        least: smallest number of rows of a cluster; one with fewer takes the nearest rows of larger clusters.
    """
    chosen = torch.randperm(len(rows))[:clusters].to(rows.device)
    centres = rows[chosen]
    for _ in range(ROUNDS):
        places = one_hot(torch.cdist(rows, centres).argmin(1), clusters).to(rows.dtype)
        sizes = places.sum(0)[:, None]
        centres = torch.where(sizes > 0, places.T @ rows / sizes.clamp_min(1), centres)
    distances = torch.cdist(rows, centres)
    nearest = distances.argmin(1)
    for number in range(clusters):
        while (nearest == number).sum() < least:
            spare = nearest.bincount(minlength=clusters)[nearest] > least
            nearest[distances[:, number].masked_fill(~spare, torch.inf).argmin()] = number
    return nearest
