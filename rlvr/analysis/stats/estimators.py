"""Estimates from graded samples, with their uncertainty.

Axes: R training seeds, N problems, K samples per problem. Every metric is first reduced to one value per
training seed and problem, ``values_RN``; the functions here turn those into a mean, a ratio, a quantile or a
mean over benchmarks with a standard error and a 95 % interval (:mod:`rlvr.analysis.stats.uncertainty`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlvr.analysis.stats.resampling import Floats
from rlvr.analysis.stats.uncertainty import FRACTION, NO_SPREAD, Bounds, confidence_interval, standard_error


@dataclass(frozen=True)
class Estimate:
    """A mean over problems with its uncertainty; NaN is what these data cannot tell."""

    value: float
    se: float
    ci_low: float
    ci_high: float
    n_problems: int


UNKNOWN = Estimate(math.nan, math.nan, math.nan, math.nan, 0)
"""The mean over nothing."""


def pass_at_k(correct: NDArray[np.bool_], k: int) -> Floats:
    """Return the unbiased estimate of "at least one of k samples is correct" for each problem.

    1 - C(n - c, k) / C(n, k), as the product over j < k of (n - c - j) / (n - j) (Chen et al. 2021,
    "Evaluating Large Language Models Trained on Code", equation 1).

    Args:
        correct: which samples are correct, [..., N, K].
        k: number of attempts.

    Returns:
        Values [..., N].

    Raises:
        ValueError: ``k`` is not between 1 and K.
    """
    samples = correct.shape[-1]
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k}: with {samples} samples per problem, k must be between 1 and {samples}")
    incorrect = samples - correct.sum(axis=-1)[..., None]
    attempts = np.arange(k)
    return 1 - np.prod(np.maximum(incorrect - attempts, 0) / (samples - attempts), axis=-1)


def estimate_mean(values_RN: Floats, seed: int, bounds: Bounds = FRACTION) -> Estimate:
    """Return the mean over training seeds and problems with its SE and 95 % interval.

    With one training seed the SE is clustered by problem. With two or more it is that of the hierarchical
    bootstrap, which includes the variation of training.

    Args:
        values_RN: one value per training seed and problem, the mean or another estimate over its samples.
        seed: seed of the bootstrap.
        bounds: smallest and largest possible value.
    """
    value, problems = float(values_RN.mean()), values_RN.shape[1]
    se, degrees = standard_error([[values_RN]], [1.0], seed)
    return Estimate(value, se, *confidence_interval(value, se, degrees, problems, bounds), problems)


def estimate_ratio(
    numerator_RN: Floats, denominator_RN: Floats, seed: int, bounds: Bounds = FRACTION
) -> Estimate:
    """Return the ratio of two means over the same training seeds and problems, with SE and 95 % interval.

    For means over some of the samples only: the denominator is the share of a problem's samples that count,
    the numerator the mean of their values with 0 for the others. The SE is that of the linearised ratio,
    r + (y_i - r x_i) / mean(x) (Cochran 1977, "Sampling Techniques", chapter 6). Problems without a sample
    that counts are left out; ``UNKNOWN`` where no problem has one.

    Args:
        numerator_RN: y, one value per training seed and problem.
        denominator_RN: x, not negative.
        seed: seed of the bootstrap.
        bounds: smallest and largest possible ratio.
    """
    counted_N = denominator_RN.sum(axis=0) > 0
    if not counted_N.any():
        return UNKNOWN
    numerator_RN, denominator_RN = numerator_RN[:, counted_N], denominator_RN[:, counted_N]
    ratio = numerator_RN.mean() / denominator_RN.mean()
    residuals_RN = (numerator_RN - ratio * denominator_RN) / denominator_RN.mean()
    return estimate_mean(ratio + residuals_RN, seed, bounds)


def estimate_quantile(samples_RNK: Floats, share: float, seed: int) -> Estimate:
    """Return the quantile of all samples with a 95 % interval, without an SE.

    The interval is Woodruff's (1952, J. Am. Stat. Assoc. 47): the interval of the share of samples up to the
    quantile, with problems and training seeds as clusters, mapped back through the quantiles of the samples.

    Args:
        samples_RNK: values [training seeds, problems, samples].
        share: 0.5 for the median.
        seed: seed of the bootstrap.
    """
    value = np.quantile(samples_RNK, share, method="inverted_cdf")
    below = estimate_mean((samples_RNK <= value).mean(axis=2), seed)
    shares = [share - (below.value - below.ci_low), share + (below.ci_high - below.value)]
    low, high = np.quantile(samples_RNK, np.clip(shares, 0, 1), method="inverted_cdf")
    return Estimate(float(value), math.nan, float(low), float(high), below.n_problems)


def macro_mean(values: Sequence[Floats], seed: int) -> Estimate:
    """Return the mean over benchmarks with equal weights; see :func:`weighted_mean`."""
    return weighted_mean(values, [1] * len(values), seed)


def weighted_mean(values: Sequence[Floats], weights: Sequence[float], seed: int) -> Estimate:
    """Return the weighted mean over benchmarks with its SE and 95 % interval.

    With one training seed the SE is sqrt(sum of (w SE)^2) / sum of w. With several, each seed answers all
    benchmarks and a better one is better in many of them: the hierarchical bootstrap keeps them together.
    Where no benchmark has a spread, the interval is the mean of their intervals. ``UNKNOWN`` without any
    benchmark.

    Args:
        values: fractions, one array [training seeds, problems] per benchmark.
        weights: weight of each benchmark.
        seed: seed of the bootstrap.
    """
    if not values:
        return UNKNOWN
    shares = [weight / sum(weights) for weight in weights]

    def mean(numbers: Sequence[float]) -> float:
        return float(np.dot(shares, numbers))

    value = mean([float(values_RN.mean()) for values_RN in values])
    problems = sum(values_RN.shape[1] for values_RN in values)
    se, degrees = standard_error([values], shares, seed)
    if not se >= NO_SPREAD:
        estimates = [estimate_mean(values_RN, seed) for values_RN in values]
        low = mean([estimate.ci_low for estimate in estimates])
        high = mean([estimate.ci_high for estimate in estimates])
    else:
        low, high = confidence_interval(value, se, degrees, problems, FRACTION)
    return Estimate(value, se, low, high, problems)
