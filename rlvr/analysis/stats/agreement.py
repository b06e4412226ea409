"""Agreement of two graders on the same samples."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Agreement:
    """How many samples two graders count as correct: both, only one of them, or neither."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def n_samples(self) -> int:
        """The number of samples graded."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def observed(self) -> float:
        """The share of samples with equal grades."""
        return (self.both + self.neither) / self.n_samples

    @property
    def kappa(self) -> float:
        """Cohen's kappa, (p_o - p_e) / (1 - p_e) (Cohen 1960, Educ. Psychol. Meas. 20).

        1 is perfect agreement, 0 that of two unrelated graders with the same shares of correct samples. NaN
        where both give one and the same grade to every sample: then chance agrees perfectly as well.
        """
        first, second = self.both + self.only_first, self.both + self.only_second
        rejected = (self.n_samples - first) * (self.n_samples - second)
        by_chance = (first * second + rejected) / self.n_samples**2
        return (self.observed - by_chance) / (1 - by_chance) if by_chance < 1 else math.nan


def agreement_of(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Agreement:
    """Compare two graders on the same samples.

    Args:
        first: whether the first grader counts each sample as correct, any shape.
        second: the same of the second grader, the same shape.

    Raises:
        ValueError: the shapes differ, or there is no sample.
    """
    if first.shape != second.shape or not first.size:
        raise ValueError(
            f"grades of shapes {first.shape} and {second.shape}: expected equal, not empty shapes"
        )
    first, second = first.astype(bool), second.astype(bool)
    return Agreement(
        both=int(np.sum(first & second)),
        only_first=int(np.sum(first & ~second)),
        only_second=int(np.sum(~first & second)),
        neither=int(np.sum(~first & ~second)),
    )
