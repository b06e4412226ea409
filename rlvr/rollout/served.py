"""How much of an update the engine serves: noise, gain and the share of weights that moved.

Over all weights, with the update D = trained - untrained and the served update S = served - untrained:

- noise to signal ||S - D|| / ||D||: 0 if nothing is lost, 1 if the untrained model is served;
- gain <S, D> / ||D||^2, the projection of S on D in units of D: the share of the update that is served.
  Rounding to nearest loses what is below the grid, so its gain is below 1; noise without bias leaves it at 1,
  however large;
- the share of the served weights that differ from those of the untrained model in the same precision.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor


class Served(NamedTuple):
    """Sums over the entries of one weight."""

    lost: float
    """||S - D||^2."""
    update: float
    """||D||^2."""
    product: float
    """<S, D>."""
    moved: float
    """Entries that differ from the untrained model's as served; NaN where nothing is sent."""
    entries: int
    """Number of entries."""


def exactly(update: float) -> Served:
    """Return the sums of a weight with the update of this squared norm that is served without loss."""
    return Served(0.0, update, update, math.nan, 1)


def measured(served: Tensor, trained: Tensor, untrained: Tensor) -> Served:
    """Return the sums of one weight.

    Args:
        served: as the engine holds it, in its precision.
        trained: in float32.
        untrained: the base, in float32.
    """
    lost, update = served.to(trained) - trained, trained - untrained
    square = float(update.square().sum())
    return Served(
        lost=float(lost.square().sum()),
        update=square,
        product=square + float((lost * update).sum()),
        moved=float((served != untrained.to(served.dtype)).sum()),
        entries=served.numel(),
    )


def served_metrics(weights: Iterable[Served]) -> dict[str, float]:
    """Return the columns ``sync/..`` of the training log over all weights; NaN where there is no update."""
    lost, update, product, moved, entries = (sum(values) for values in zip(*weights, strict=True))
    return {
        "sync/noise_to_signal": math.sqrt(lost / update) if update else math.nan,
        "sync/gain": product / update if update else math.nan,
        "sync/moved_fraction": moved / entries,
        "sync/update_norm": math.sqrt(update),
    }
