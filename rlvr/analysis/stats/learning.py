"""How fast a reward curve rises: the area under it, and the steps to a level.

A curve has the mean rewards r_t of the steps t = 0 .. T - 1 that sampled completions. A run that ended before
its last planned step, because there was no more to learn, keeps its last reward to the end.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlvr.analysis.stats.resampling import Floats

SMOOTHED = 5
"""Steps whose mean reward counts at the end and at a level: as for `reward_last` of a run's record."""


@dataclass(frozen=True)
class Curve:
    """The reward curve of one run."""

    steps: Floats
    """Steps that sampled, from 0, ascending; at least one."""
    rewards: Floats
    """Mean reward of each of them."""
    planned_steps: int

    @property
    def first(self) -> float:
        """Reward of the first step that sampled, under the untrained model."""
        return float(self.rewards[0])

    @property
    def last(self) -> float:
        """Mean reward of the last steps that sampled."""
        return float(self.rewards[-SMOOTHED:].mean())


def area(curve: Curve) -> float:
    """Return the mean height of a curve: the trapezoidal area from step 0 to T - 1, divided by T - 1.

    The first and the last reward extend to steps 0 and T - 1; NaN for fewer than two planned steps.
    """
    if curve.planned_steps < 2:
        return math.nan
    end = float(max(curve.planned_steps - 1, curve.steps[-1]))
    steps = np.concatenate([[0.0], curve.steps, [end]])
    rewards = np.concatenate([curve.rewards[:1], curve.rewards, curve.rewards[-1:]])
    return float(np.trapezoid(rewards, steps) / end)


def steps_to(curve: Curve, level: float) -> float:
    """Return the steps until the mean of the last `SMOOTHED` rewards reaches a level; infinite if none does.

    The number counts the steps up to and including the one that reached it; fewer than `SMOOTHED` rewards at
    the start are no mean yet, unless the run has no more.
    """
    window = min(SMOOTHED, len(curve.rewards))
    means = np.convolve(curve.rewards, np.full(window, 1 / window), mode="valid")
    reached = np.flatnonzero(means >= level)
    return float(curve.steps[window - 1 + reached[0]] + 1) if len(reached) else math.inf


def halfway(first: float, best: float) -> float:
    """Return the level halfway from the first reward to the best final one; NaN if that is not above."""
    return first + (best - first) / 2 if best > first else math.nan


def censored_median(steps: Sequence[float]) -> float:
    """Return the median of steps of which some are infinite; NaN where the median is.

    Of an even number, it is the larger of the two in the middle. All runs are followed for the same number of
    steps, so that for an odd number this is the Kaplan-Meier median.
    """
    median = sorted(steps)[len(steps) // 2]
    return median if math.isfinite(median) else math.nan
