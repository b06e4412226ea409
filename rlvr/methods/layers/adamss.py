"""The layer of AdaMSS: rows of the weight in clusters, each with a small update in one common subspace."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, one_hot

from rlvr.methods.layers.adapted import AdaptedLinear

ROUNDS = 10
"""Rounds of k-means."""


class ClusteredLinear(AdaptedLinear):
    """Computes ``W0 x + (B_c A_c V x for the rows of every cluster c)``; V = right singular vectors of W0.

    A_c [r, R] starts as the principal directions of the cluster's left singular vectors, B_c as zero. The
    rows of all B_c are those of one parameter, whose shape does not depend on the sizes of the clusters.
    """

    basis: Tensor
    """V, [R, in]."""
    cluster: Tensor
    """Number of the cluster of every row of the weight, [out]."""

    def __init__(self, base_layer: nn.Linear, rank: int, clusters: int, cluster_rank: int) -> None:
        """Take ``base_layer`` over, frozen, with R = ``rank`` and r = ``cluster_rank``."""
        super().__init__(base_layer)
        weight = base_layer.weight.detach()
        outputs, inputs = weight.shape
        self.down = nn.Parameter(weight.new_zeros(clusters, cluster_rank, rank, dtype=torch.float32))
        self.up = nn.Parameter(weight.new_zeros(outputs, cluster_rank, dtype=torch.float32))
        self.register_buffer("basis", weight.new_zeros(rank, inputs, dtype=torch.float32))
        self.register_buffer("cluster", weight.new_zeros(outputs, dtype=torch.int64))

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
        least: rows of every cluster at least; one with fewer gets the nearest that others can spare.
    """
    chosen = torch.randperm(len(rows))[:clusters].to(rows.device)
    centres = rows[chosen]
    for _ in range(ROUNDS):
        nearest = torch.cdist(rows, centres).argmin(1)
        sizes = nearest.bincount(minlength=clusters)[:, None]
        sums = torch.zeros_like(centres).index_add_(0, nearest, rows)
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
    distances = torch.cdist(rows, centres)
    nearest = distances.argmin(1)
    for number in range(clusters):
        while (nearest == number).sum() < least:
            spare = nearest.bincount(minlength=clusters)[nearest] > least
            nearest[distances[:, number].masked_fill(~spare, torch.inf).argmin()] = number
    return nearest
