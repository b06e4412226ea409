"""The uncertainty of a mean over problems: its standard errors and its 95 % interval.

Problems are the clusters: samples of one problem are not independent (Miller 2024, "Adding Error Bars to
Evals", arXiv 2411.00640).

* one training seed: SE = sd(values of the problems) / sqrt(N), the SE clustered by problem;
* two or more: the bootstrap over training seeds and problems of ``resampling.hierarchical_bootstrap``.

Both are for other problems of the same kind. ``fixed_set_se`` is for the same problems, sampled again.

Intervals use the t distribution with the degrees of freedom of Welch and Satterthwaite: two training seeds
that differ widely tell little about a third, however many problems they answered. Where a symmetric interval
would exceed the possible values or have no width, they are Wilson's.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from rlvr.analysis.stats import student_t
from rlvr.analysis.stats.resampling import Floats, hierarchical_bootstrap, seed_effects

Bounds = tuple[float, float]

FRACTION: Bounds = (0.0, 1.0)
LENGTH: Bounds = (0.0, math.inf)
NO_SPREAD = 1e-12  # standard errors and differences below this are due to rounding
NORMAL_QUANTILE = NormalDist().inv_cdf(0.975)


def clustered_se(values_N: Floats) -> float:
    """Return sd / sqrt(N), the SE of a mean over a sample of problems; NaN for a single problem."""
    problems = len(values_N)
    return float(values_N.std(ddof=1) / math.sqrt(problems)) if problems > 1 else math.nan


def fixed_set_se(scores: NDArray[np.generic]) -> float:
    """Return the SE of the mean if the same models answered the same problems again with new sampling seeds.

    Training seeds answer sample k of a problem with one sampling seed, so that their sampling errors are not
    independent; only samples with different k are. With c_ik the mean of sample k of problem i over training
    seeds, the mean over all scores is the mean of N independent problem means of K independent c_ik:

        SE^2 = 1 / N^2 * sum_i [1 / (K (K - 1)) * sum_k (c_ik - mean_k c_ik)^2]

    Each bracket is an unbiased variance of a problem mean, however the training seeds depend on each other.
    Summing the variances of the training seeds instead leaves out their covariances. With one training seed
    and scores of 0 and 1 this is sqrt(mean_i[m_i (1 - m_i) / (K - 1)] / N), m_i the mean of problem i. NaN
    for one sample per problem.

    Args:
        scores: [..., N, K]; leading axes are training seeds, their samples in the same order.
    """
    problems, samples = scores.shape[-2:]
    if samples == 1:
        return math.nan
    columns_NK = scores.astype(float).reshape(-1, problems, samples).mean(axis=0)
    return math.sqrt(float(columns_NK.var(axis=-1, ddof=1).mean()) / samples / problems)


def standard_error(
    groups: Sequence[Sequence[Floats]], shares: Sequence[float], seed: int
) -> tuple[float, float]:
    """Return SE and degrees of freedom of a weighted mean over benchmarks, or of the difference of two.

    The variance is the sum of the variance between problems, one term per benchmark, and of the variance
    between training seeds, one term per group with several. Each term has its own degrees of freedom.

    Args:
        groups: one group of runs, or two that are compared problem by problem; for each, one array
            [training seeds, problems] per benchmark.
        shares: weight of each benchmark; their sum is 1.
        seed: seed of the bootstrap, used only where a group has several training seeds.
    """
    means = [[values.mean(axis=0) for values in group] for group in groups]
    contrasts = [side[0] - sum(side[1:]) for side in zip(*means, strict=True)]
    variances = [
        (share * clustered_se(values_N)) ** 2 for share, values_N in zip(shares, contrasts, strict=True)
    ]
    degrees = [len(values_N) - 1 for values_N in contrasts]
    several = [group for group in groups if len(group[0]) > 1]
    if not several or min(degrees) == 0:
        return zero_if_rounding(math.sqrt(sum(variances))), satterthwaite(variances, degrees)
    for group in several:
        variances.append(clustered_se(seed_effects(group, shares)) ** 2)
        degrees.append(len(group[0]) - 1)
    replicates = hierarchical_bootstrap(groups, seed, shares)
    se = float((replicates[0] - replicates[1:].sum(axis=0)).std(ddof=1))
    return zero_if_rounding(se), satterthwaite(variances, degrees)


def satterthwaite(variances: Sequence[float], degrees: Sequence[int]) -> float:
    """Return the degrees of freedom of a sum of independent estimated variances (Satterthwaite 1946)."""
    total = sum(variances)
    if not total > 0:  # zero or NaN
        return float(sum(degrees))
    return 1 / sum((part / total) ** 2 / count for part, count in zip(variances, degrees, strict=True))


def zero_if_rounding(number: float) -> float:
    """Return 0 for a number so small that it can only be due to rounding."""
    return 0.0 if abs(number) < NO_SPREAD else number


def wilson_interval(
    successes: float, trials: float, quantile: float = NORMAL_QUANTILE
) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion (Wilson 1927, J. Am. Stat. Assoc. 22)."""
    share = successes / trials
    centre = share + quantile**2 / (2 * trials)
    half = quantile * math.sqrt(share * (1 - share) / trials + quantile**2 / (4 * trials**2))
    scale = 1 + quantile**2 / trials
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def confidence_interval(
    value: float, se: float, degrees: float, problems: int, bounds: Bounds
) -> tuple[float, float]:
    """Return the 95 % interval of a mean of values within ``bounds``.

    This is the t interval. Where that would exceed the bounds it is Wilson's with the quantile of t, for the
    number of Bernoulli trials that has this SE (Dean and Pagano 2015, J. Surv. Stat. Methodol. 3).

    Without an SE (one problem) or with an SE of 0, Wilson's upper bound for 0 of ``problems`` is the share of
    problems that may still differ, by at most the distance to the bounds; if all samples are correct or all
    incorrect, this is Wilson's interval itself.
    """
    low, high = bounds
    width = high - low
    if math.isfinite(width) and not se >= NO_SPREAD:
        share = wilson_interval(0, problems)[1]
        return value - share * (value - low), value + share * (high - value)
    quantile = student_t.quantile(0.975, degrees)
    half = quantile * se
    if math.isfinite(width) and (value - half < low or value + half > high):
        share = (value - low) / width
        trials = share * (1 - share) / (se / width) ** 2
        start, end = wilson_interval(share * trials, trials, quantile)
        return low + width * start, low + width * end
    # A comparison keeps NaN, max does not.
    return (low if value - half < low else value - half), value + half


def p_of_zero(value: float, se: float, degrees: float, bounds: Bounds) -> float:
    """Return the two-sided p of "the value is 0" that belongs to :func:`confidence_interval`.

    Below 0.05 exactly where the 95 % interval excludes 0: the t test of value / SE, or, where that interval
    is Wilson's, the score test that it inverts, with the quantile of t.

    Args:
        value: the estimate.
        se: its standard error, not 0.
        degrees: degrees of freedom of the SE.
        bounds: smallest and largest possible value, one below 0 and one above.
    """
    low, high = bounds
    half = student_t.quantile(0.975, degrees) * se
    statistic = abs(value) / se
    if value - half < low or value + half > high:
        share, zero = (value - low) / (high - low), -low / (high - low)
        trials = share * (1 - share) / (se / (high - low)) ** 2
        statistic = abs(share - zero) / math.sqrt(zero * (1 - zero) / trials)
    return 2 * student_t.cdf(-statistic, degrees)


def minimum_detectable_difference(se: float) -> float:
    """Return 2.8 SE, the difference detected with 80 % power at the 5 % level (two-sided); NaN for no SE."""
    return 2.8 * se if se >= NO_SPREAD else math.nan
