"""Measures of one update D = W - W0 against the singular vectors of its base W0.

The update is held as its singular value decomposition D = P diag(s) Q^T, from which every measure follows.
The definitions, with units, are those of `docs/spectra.md`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rlvr.evaluate.spectra.bases import Basis

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
"""Shares of the components, largest first, at which cumulative curves are stored."""
LEADING = 8
"""Singular vectors of an update that are compared between runs, or as many as the lesser rank of the two."""
EPSILON = 2.0**-23
"""Distance of the float32 numbers above 1."""


@dataclass(frozen=True)
class UpdateSvd:
    """The thin SVD of an update [out, in], without what rounding alone explains.

    Attributes:
        left: P [out, k].
        values: s, descending, [k]; empty for an update that is zero.
        right: Q [in, k].
    """

    left: Tensor
    values: Tensor
    right: Tensor


def svd_of_difference(trained: Tensor, base: Tensor) -> UpdateSvd:
    """Decompose ``trained - base``, float32 [out, in].

    Two matrices that are rounded to float32 differ by noise even where the update has no such direction. Its
    spectral norm is about (sqrt(out) + sqrt(in)) times its standard deviation (Davidson and Szarek 2001);
    singular values below 2^-23 rms(base) (sqrt(out) + sqrt(in)) are left out.
    """
    rounding = float(base.square().mean().sqrt()) * (math.sqrt(base.shape[0]) + math.sqrt(base.shape[1]))
    left, values, right = torch.linalg.svd(trained - base, full_matrices=False)
    return _above(EPSILON * rounding, left, values, right.T)


def svd_of_factors(down: Tensor, up: Tensor) -> UpdateSvd:
    """Decompose ``up @ down`` with ``down`` [r, in] and ``up`` [out, r], without forming the product.

    QR of both factors, and the SVD of the product of their triangles: exact to float32, O((in + out) r^2).
    """
    q_up, r_up = torch.linalg.qr(up.float())
    q_down, r_down = torch.linalg.qr(down.float().T)
    left, values, right = torch.linalg.svd(r_up @ r_down.T, full_matrices=False)
    largest = float(values[0]) if len(values) else 0.0
    return _above(EPSILON * max(up.shape[0], down.shape[1]) * largest, q_up @ left, values, q_down @ right.T)


def _above(smallest: float, left: Tensor, values: Tensor, right: Tensor) -> UpdateSvd:
    kept = values > smallest
    return UpdateSvd(left[:, kept], values[kept], right[:, kept])


def energies(update: UpdateSvd, basis: Basis, base: Tensor) -> dict[str, Tensor]:
    """Return the share of the update's energy in each singular direction of the base, [r], largest first.

    ``energy/right``: e_j = ||D v_j||^2 = sum_i s_i^2 (q_i . v_j)^2, over its sum; ``energy/left``:
    f_j = ||u_j^T D||^2 likewise. On the side whose vectors are not stored, u_j . p_i = v_j . (W0^T p_i) /
    sigma_j; where sigma_j is zero to float32, u_j is undefined and the share is 0.
    """
    tall = base.shape[0] >= base.shape[1]
    near, far = (update.right, update.left) if tall else (update.left, update.right)
    seen = (base.T if tall else base) @ far
    tiny = EPSILON * max(base.shape) * (float(basis.values[0]) if len(basis.values) else 0.0)
    inverse = torch.where(basis.values > tiny, 1 / basis.values, torch.zeros_like(basis.values))
    sides = {
        "right" if tall else "left": _normalised(basis.vectors.T @ near, update.values),
        "left" if tall else "right": _normalised(inverse[:, None] * (basis.vectors.T @ seen), update.values),
    }
    return {f"energy/{side}": sides[side] for side in ("right", "left")}


def _normalised(projections: Tensor, values: Tensor) -> Tensor:
    """Return sum_i s_i^2 projections_ji^2 over its sum over j; NaN where that is 0."""
    energy = (projections.double() * values.double()).square().sum(1)
    return energy / energy.sum()


def base_energies(basis: Basis) -> Tensor:
    """Return sigma_j^2 over its sum, [r]; NaN for a base of zeros."""
    energy = basis.values.double().square()
    return energy / energy.sum()


def cumulative(energy: Tensor) -> list[float]:
    """Return the energy [r] in the first :data:`SHARES` of the components, linear between components.

    Energy that is spread evenly gives the shares themselves.
    """
    total = torch.cat([energy.new_zeros(1), energy.cumsum(0)])
    place = torch.tensor(SHARES, dtype=torch.float64) * len(energy)
    below = place.floor().long().clamp(max=len(energy) - 1)
    part = (place - below).to(energy)
    return [float(value) for value in total[below] + part * (total[below + 1] - total[below])]


def effective_rank(values: Tensor) -> float:
    """Return exp(-sum_i p_i log p_i) with p = s / sum s (Roy and Vetterli 2007); 0 for no update."""
    if not len(values):
        return 0.0
    shares = values.double() / values.double().sum()
    return float(torch.exp(-(shares * shares.log()).sum()))


def stable_rank(values: Tensor) -> float:
    """Return ||D||_F^2 / ||D||_2^2; 0 for no update."""
    return float((values.double() / values[0].double()).square().sum()) if len(values) else 0.0


def unchanged_share(trained: Tensor, base: Tensor, dtype: torch.dtype) -> float:
    """Return the share of the entries that are equal once both are rounded to ``dtype``."""
    return float((trained.to(dtype) == base.to(dtype)).double().mean())


def principal_angles(first: Tensor, second: Tensor) -> Tensor:
    """Return the angles between two subspaces in degrees, ascending, [k] (Bjorck and Golub 1973).

    Args:
        first: orthonormal columns [n, a].
        second: orthonormal columns [n, b]; the first k = min(a, b) columns of both are compared.
    """
    k = min(first.shape[1], second.shape[1])
    cosines = torch.linalg.svdvals(first[:, :k].double().T @ second[:, :k].double())
    return torch.rad2deg(torch.arccos(cosines.clamp(0, 1)))
