"""Is one method better than another on the same problems?

The paired difference of a problem is d_i = m_i(method) - m_i(baseline), with m_i the mean over training seeds
and samples. Pairing removes what the two have in common: some problems are harder than others.

SE, interval and p of a comparison answer one question, about one kind of randomness:

* one training seed per side: do these two *runs* differ on other problems of the same kind? SE sd(d_i) /
  sqrt(N), t interval, and p by sign-flip permutation of d_i. About the methods it says nothing: two equal
  methods are told apart in most cases where training runs differ (``benchmarks/seed_noise.py``).
* a side with several: do the *methods* differ, over other training seeds and other problems? SE of the
  hierarchical bootstrap, with problems resampled jointly and training seeds per side
  (:func:`rlvr.analysis.stats.uncertainty.standard_error`), t interval with Welch and Satterthwaite's degrees
  of freedom, and the p that belongs to this interval. A side with one seed still stands for one run.
* training seeds alone (:func:`compare_seeds`): do the methods differ on these very problems? Each training
  run is one observation. Claims need both answers, because the bootstrap's degrees of freedom are estimates.
* Several benchmarks: the mean over benchmarks of the mean d_i (macro mean), problems resampled within
  benchmarks.
* Many methods: Holm's correction. The largest difference alone is never evidence.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlvr.analysis.stats import student_t
from rlvr.analysis.stats.resampling import Floats
from rlvr.analysis.stats.uncertainty import (
    NO_SPREAD,
    Bounds,
    confidence_interval,
    minimum_detectable_difference,
    p_of_zero,
    satterthwaite,
    standard_error,
    zero_if_rounding,
)
from rlvr.seeds import derive_seed

FLIPS = 9_999
DIFFERENCE: Bounds = (-1.0, 1.0)  # of two fractions
TIE = 1e-12  # permuted sums this close to the observed one differ from it only by rounding


@dataclass(frozen=True)
class Comparison:
    """A paired difference with its uncertainty; NaN is what these data cannot tell."""

    difference: float
    se: float
    ci_low: float
    ci_high: float
    p_value: float
    minimum_detectable: float
    n_problems: int


def compare(
    method: Sequence[Floats],
    baseline: Sequence[Floats],
    seed: int,
    *,
    bounds: Bounds = DIFFERENCE,
    permute: bool = True,
) -> Comparison:
    """Compare two methods problem by problem.

    Args:
        method: one array [training seeds, problems] per benchmark.
        baseline: the same benchmarks and problems in the same order; the number of training seeds may differ.
        seed: seed of the bootstrap and of the permutations.
        bounds: smallest and largest possible difference, where values are no fractions.
        permute: whether p of two single runs is by permutation, which is never below 1 / (1 + `FLIPS`), or by
            the t test of the interval.

    Raises:
        ValueError: the benchmarks or the numbers of problems differ.
    """
    shapes = [[values.shape[1] for values in side] for side in (method, baseline)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"problems per benchmark: {shapes[0]} against {shapes[1]}; only equal sets can be paired"
        )
    differences = [
        ours.mean(axis=0) - theirs.mean(axis=0) for ours, theirs in zip(method, baseline, strict=True)
    ]
    difference = zero_if_rounding(float(np.mean([values.mean() for values in differences])))
    problems = sum(len(values) for values in differences)
    shares = [1 / len(differences)] * len(differences)
    se, degrees = standard_error([method, baseline], shares, derive_seed(seed, "bootstrap"))
    low, high = confidence_interval(difference, se, degrees, problems, bounds)
    several = max(len(side[0]) for side in (method, baseline)) > 1
    if (several or not permute) and se >= NO_SPREAD:
        p_value = p_of_zero(difference, se, degrees, bounds)
    else:
        p_value = sign_flip_p_value(differences, derive_seed(seed, "permutation"))
    return Comparison(difference, se, low, high, p_value, minimum_detectable_difference(se), problems)


@dataclass(frozen=True)
class SeedComparison:
    """A difference with its uncertainty over training seeds alone; NaN where a side has too few."""

    se: float = math.nan
    p_value: float = math.nan


def compare_seeds(
    method: Sequence[Floats], baseline: Sequence[Floats], baseline_untrained: bool
) -> SeedComparison:
    """Compare the accuracies of single training runs by Welch's t test (Welch 1947, Biometrika 34).

    The untrained model is one number, whose sampling is left to :func:`compare`.

    Args:
        method: one array [training seeds, problems] per benchmark.
        baseline: the same benchmarks.
        baseline_untrained: whether the baseline is the untrained model, which has no training seeds.
    """
    sides = [method] if baseline_untrained else [method, baseline]
    runs = [np.mean([values.mean(axis=1) for values in side], axis=0) for side in sides]
    if min(len(side) for side in runs) < 2:
        return SeedComparison()
    against = np.mean([values.mean() for values in baseline])
    difference = zero_if_rounding(float(runs[0].mean() - against))
    variances = [float(side.var(ddof=1)) / len(side) for side in runs]
    se = zero_if_rounding(math.sqrt(sum(variances)))
    if se == 0:
        return SeedComparison(se, 1.0 if difference == 0 else 0.0)
    degrees = satterthwaite(variances, [len(side) - 1 for side in runs])
    return SeedComparison(se, 2 * student_t.cdf(-abs(difference) / se, degrees))


def sign_flip_p_value(differences: Sequence[Floats], seed: int, flips: int = FLIPS) -> float:
    """Return the two-sided sign-flip permutation p of the macro mean of paired differences.

    p = (1 + #{|T*| >= |T|}) / (1 + B), which is never 0 (Phipson and Smyth 2010, "Permutation P-values Should
    Never Be Zero").

    Args:
        differences: one array [N] per benchmark.
        seed: seed of the signs.
        flips: number of permutations B.
    """
    terms = np.concatenate([values / len(values) / len(differences) for values in differences])
    generator = np.random.default_rng(seed)
    signs = generator.integers(2, size=(flips, len(terms)), dtype=np.int8) * np.int8(2) - np.int8(1)
    permuted = np.abs(signs.astype(float) @ terms)  # NumPy multiplies integers one by one
    return float((1 + np.sum(permuted >= abs(terms.sum()) - TIE)) / (1 + flips))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values, in the given order, adjusted for testing all of them at once (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted.tolist()
