"""What a set of graded samples says about a model, with its uncertainty.

Axes: R training seeds, N problems, K samples a problem. Every metric is first reduced to one value a
training seed and problem, ``values_RN``; ``estimate_mean`` turns those into a mean with a standard error and
a 95 % interval. Problems are the cluster: samples of one problem are not independent pieces of evidence
(Miller 2024, "Adding Error Bars to Evals", arXiv 2411.00640).

* one training seed: SE = sd(values of the problems) / sqrt(N), the SE clustered by problem;
* two or more: SE from ``resampling.hierarchical_se`` (bootstrap: training seed, then problem).

Intervals use the t distribution with N - 1 degrees of freedom. Where every problem has the same value (all
right, all wrong) the SE is 0 and says nothing: there the interval is Wilson's for "0 of N problems depart".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rlvr.analysis.resampling import hierarchical_se

Floats = NDArray[np.float64]
Bounds = tuple[float, float]

FRACTION: Bounds = (0.0, 1.0)
UNBOUNDED: Bounds = (-math.inf, math.inf)
NO_SPREAD = 1e-12  # a standard error or difference below this is rounding


@dataclass(frozen=True)
class Estimate:
    """A mean over problems with its uncertainty; NaN stands for "cannot be known from these data"."""

    value: float
    se: float
    ci_low: float
    ci_high: float
    n_problems: int


UNKNOWN = Estimate(math.nan, math.nan, math.nan, math.nan, 0)
"""What can be said of a mean over nothing."""


def pass_at_k(correct: NDArray[np.bool_], k: int) -> Floats:
    """Return the unbiased estimate of "at least one of k samples is right" for each problem.

    1 - C(n - c, k) / C(n, k), as the product over j < k of (n - c - j) / (n - j) (Chen et al. 2021,
    "Evaluating Large Language Models Trained on Code", equation 1).

    Args:
        correct: verdicts [..., N, K].
        k: number of samples that are allowed a try.

    Returns:
        Values [..., N].

    Raises:
        ValueError: ``k`` is not between 1 and K.
    """
    samples = correct.shape[-1]
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} needs between 1 and {samples} samples, the number there is")
    wrong = samples - correct.sum(axis=-1)[..., None]
    tries = np.arange(k)
    return 1 - np.prod(np.maximum(wrong - tries, 0) / (samples - tries), axis=-1)


def clustered_se(values_N: Floats) -> float:
    """Return sd / sqrt(N), the SE of a mean over problems that are a sample of all problems; NaN for one."""
    problems = len(values_N)
    return float(values_N.std(ddof=1) / math.sqrt(problems)) if problems > 1 else math.nan


def zero_if_rounding(number: float) -> float:
    """Return 0 where a number is so small that only rounding can have made it."""
    return 0.0 if abs(number) < NO_SPREAD else number


def fixed_set_se(scores: NDArray[np.generic]) -> float:
    """Return the SE of the mean if the same models answered the same problems again.

    sqrt(mean_i[m_i (1 - m_i) / (K - 1)] / N) for verdicts, m_i the mean over the samples of problem i;
    written with the sample variance so that it also holds for other scores. NaN for one sample a problem.

    Args:
        scores: [..., N, K]; leading axes (training seeds) are averaged over too.
    """
    samples = scores.shape[-1]
    if samples == 1:
        return math.nan
    variances = scores.astype(float).var(axis=-1, ddof=1) / samples
    return math.sqrt(float(variances.mean()) / variances.size)


def wilson_interval(successes: float, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion (Wilson 1927, J. Am. Stat. Assoc. 22)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    centre = share + z**2 / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def confidence_interval(
    value: float, se: float, degrees: float, problems: int, bounds: Bounds
) -> tuple[float, float]:
    """Return the 95 % interval of a mean of values that lie within ``bounds``.

    The t interval, cut at the bounds. Without an SE (one problem) or with an SE of 0, Wilson's upper bound
    for 0 of ``problems`` is the share of problems that may yet differ, at most as far as the bounds; for all
    right and all wrong this is Wilson's interval itself.
    """
    low, high = bounds
    if math.isfinite(low) and math.isfinite(high) and not se >= NO_SPREAD:
        share = wilson_interval(0, problems)[1]
        return value - share * (value - low), value + share * (high - value)
    half = float(special.stdtrit(degrees, 0.975)) * se
    # the comparison keeps NaN, which min and max would not
    return (low if value - half < low else value - half), (high if value + half > high else value + half)


def estimate_mean(values_RN: Floats, seed: int, bounds: Bounds = FRACTION) -> Estimate:
    """Return the mean over training seeds and problems with its SE and 95 % interval.

    With one training seed the SE is clustered by problem. With two or more it comes from the hierarchical
    bootstrap (training seed, then problem) and so holds the variation of training as well.

    Args:
        values_RN: one value a training seed and problem, the mean or another estimate over its samples.
        seed: seed of the bootstrap.
        bounds: smallest and largest possible value.
    """
    runs, problems = values_RN.shape
    value = float(values_RN.mean())
    if runs > 1 and problems > 1:
        se = hierarchical_se(values_RN, seed)
    else:
        se = clustered_se(values_RN.mean(axis=0))
    se = zero_if_rounding(se)
    low, high = confidence_interval(value, se, problems - 1, problems, bounds)
    return Estimate(value, se, low, high, problems)


def estimate_ratio(
    numerator_RN: Floats, denominator_RN: Floats, seed: int, bounds: Bounds = FRACTION
) -> Estimate:
    """Return the ratio of two means over the same training seeds and problems, with SE and 95 % interval.

    For means over some of the samples only: the denominator is the share of a problem's samples that count,
    the numerator the mean of their values with 0 for the others. The SE is that of the linearised ratio,
    r + (y_i - r x_i) / mean(x) (Cochran 1977, "Sampling Techniques", chapter 6). Problems without a sample
    that counts are left out; ``UNKNOWN`` where no problem has one.

    Args:
        numerator_RN: y, one value a training seed and problem.
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
    """Return the quantile of all samples with a 95 % interval; a quantile has no SE here.

    The interval is Woodruff's (1952, J. Am. Stat. Assoc. 47): that of the share of samples up to the
    quantile, problems and training seeds as clusters, read back through the quantiles of the samples.

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


def macro_mean(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean over benchmarks, each counting the same: SE = sqrt(sum of SE^2) / B."""
    return weighted_mean(estimates, [1] * len(estimates))


def weighted_mean(estimates: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """Return the weighted mean over benchmarks: SE = sqrt(sum of (w SE)^2) / sum of w.

    The t interval has the degrees of freedom of Welch and Satterthwaite. The benchmarks count as independent;
    that several training seeds are shared by them is left out, as in the SE. Where no benchmark has a spread,
    the interval is the mean of theirs. ``UNKNOWN`` for no benchmark at all.
    """
    if not estimates:
        return UNKNOWN
    shares = np.array(weights) / sum(weights)
    value = float(shares @ [estimate.value for estimate in estimates])
    problems = sum(estimate.n_problems for estimate in estimates)
    variances = np.array([estimate.se**2 for estimate in estimates]) * shares**2
    se = math.sqrt(variances.sum())
    if not se >= NO_SPREAD:
        low = float(shares @ [estimate.ci_low for estimate in estimates])
        high = float(shares @ [estimate.ci_high for estimate in estimates])
    else:
        degrees = welch_satterthwaite(variances, [estimate.n_problems for estimate in estimates])
        low, high = confidence_interval(value, se, degrees, problems, FRACTION)
    return Estimate(value, se, low, high, problems)


def welch_satterthwaite(variances: Floats, problems: Sequence[int]) -> float:
    """Return the degrees of freedom of a sum of means with these variances (Satterthwaite 1946)."""
    shares = variances / variances.sum()
    return float(1 / np.sum(shares**2 / (np.array(problems) - 1)))


def minimum_detectable_difference(se: float) -> float:
    """Return 2.8 SE, the difference found with 80 % power at the two-sided 5 % level; NaN for no spread."""
    return 2.8 * se if se >= NO_SPREAD else math.nan
