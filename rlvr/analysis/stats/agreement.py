"""How far two verifiers agree on the same samples."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Agreement:
    """The four counts of two verdicts on the same samples."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def n_samples(self) -> int:
        """The number of samples judged."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def observed(self) -> float:
        """The share of samples with equal verdicts."""
        return (self.both + self.neither) / self.n_samples

    @property
    def kappa(self) -> float:
        """Cohen's kappa, (p_o - p_e) / (1 - p_e) (Cohen 1960, Educ. Psychol. Meas. 20).

        1 is perfect agreement, 0 what two unrelated verifiers of the same strictness would reach. NaN where
        both give one and the same verdict to every sample: chance alone would agree as well.
        """
        first, second = self.both + self.only_first, self.both + self.only_second
        rejected = (self.n_samples - first) * (self.n_samples - second)
        by_chance = (first * second + rejected) / self.n_samples**2
        return (self.observed - by_chance) / (1 - by_chance) if by_chance < 1 else math.nan


def verdict_agreement(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Agreement:
    """Compare two verifiers, for example the reward and the grader, on the same samples.

    Args:
        first: verdicts, any shape.
        second: verdicts of the other verifier on the same samples, the same shape.

    Raises:
        ValueError: the shapes differ, or there is no sample.
    """
    if first.shape != second.shape or not first.size:
        raise ValueError(f"verdicts of shape {first.shape} against {second.shape}; equal, not empty needed")
    first, second = first.astype(bool), second.astype(bool)
    return Agreement(
        both=int(np.sum(first & second)),
        only_first=int(np.sum(first & ~second)),
        only_second=int(np.sum(~first & second)),
        neither=int(np.sum(~first & ~second)),
    )
