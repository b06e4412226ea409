import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rlvr.analysis.stats.estimators import (
    UNKNOWN,
    estimate_mean,
    estimate_quantile,
    estimate_ratio,
    macro_mean,
    pass_at_k,
    weighted_mean,
)
from rlvr.analysis.stats.uncertainty import FRACTION, LENGTH, clustered_se, wilson_interval


def outcomes(samples: int, correct: int) -> np.ndarray:
    """One problem with ``correct`` of ``samples`` correct."""
    return np.arange(samples)[None, :] < correct


@pytest.mark.parametrize(
    ("samples", "correct", "k", "expected"),
    [(4, 1, 2, 0.5), (10, 3, 5, 11 / 12), (5, 0, 1, 0.0), (5, 5, 5, 1.0)],
)
def test_pass_at_k_known_answers(samples: int, correct: int, k: int, expected: float) -> None:
    assert pass_at_k(outcomes(samples, correct), k).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [0, 3])
def test_pass_at_k_refuses_more_tries_than_samples(k: int) -> None:
    with pytest.raises(ValueError, match=f"pass@{k}: .* k must be between 1 and 2"):
        pass_at_k(outcomes(2, 1), k)


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_ratio_of_binomials(case: tuple[int, int, int]) -> None:
    samples, correct, k = case
    expected = 1 - math.comb(samples - correct, k) / math.comb(samples, k)
    assert pass_at_k(outcomes(samples, correct), k).item() == pytest.approx(expected, abs=1e-12)


def test_pass_at_1_is_the_average_for_every_training_seed() -> None:
    correct_RNK = np.random.default_rng(0).random((2, 5, 8)) < 0.4
    np.testing.assert_allclose(pass_at_k(correct_RNK, 1), correct_RNK.mean(axis=2))


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("problems", [1, 12])
def test_all_incorrect_and_all_correct_get_wilsons_interval(value: float, runs: int, problems: int) -> None:
    estimate = estimate_mean(np.full((runs, problems), value), seed=0)
    assert estimate.value == value
    assert math.isnan(estimate.se) if problems == 1 else estimate.se == 0
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx(wilson_interval(value * problems, problems))


def test_one_training_seed_gets_the_t_interval() -> None:
    values_RN = np.array([[0.25, 0.5, 0.75, 0.5, 1.0]])
    estimate = estimate_mean(values_RN, seed=0)
    expected = stats.t.interval(0.95, 4, loc=values_RN.mean(), scale=stats.sem(values_RN[0]))
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx(expected)


def test_an_interval_stays_within_what_is_possible() -> None:
    values_RN = np.array([[1.0, 1.0, 1.0, 0.0]])
    assert estimate_mean(values_RN, 0, FRACTION).ci_high < 1.0
    assert estimate_mean(values_RN, 0, LENGTH).ci_low == 0.0
    assert estimate_mean(values_RN, 0, LENGTH).ci_high > 1.0
    single = estimate_mean(values_RN[:, :1], 0, LENGTH)
    assert math.isnan(single.se) and math.isnan(single.ci_low) and math.isnan(single.ci_high)
    constant = estimate_mean(np.full((2, 5), 7.0), 0, LENGTH)
    assert (constant.se, constant.ci_low, constant.ci_high) == (0, 7, 7)


def test_training_seeds_that_differ_widen_the_interval() -> None:
    problem_N = np.linspace(0.2, 0.8, 30)
    alike = estimate_mean(np.stack([problem_N, problem_N, problem_N]), seed=0)
    apart = estimate_mean(np.stack([problem_N - 0.15, problem_N, problem_N + 0.15]), seed=0)
    assert alike.value == pytest.approx(apart.value)
    assert alike.se == pytest.approx(clustered_se(problem_N), rel=0.05)
    assert apart.se == pytest.approx(math.hypot(clustered_se(problem_N), 0.15 / math.sqrt(3)), rel=0.05)


def test_macro_mean_counts_each_benchmark_once() -> None:
    generator = np.random.default_rng(11)
    small, large = generator.normal(0.2, 0.1, (1, 30)), generator.normal(0.7, 0.1, (1, 500))
    both = macro_mean([small, large], seed=0)
    assert both.value == pytest.approx((small.mean() + large.mean()) / 2)
    assert both.se == pytest.approx(math.hypot(stats.sem(small[0]), stats.sem(large[0])) / 2)
    assert both.n_problems == 530
    # Welch's degrees of freedom, by scipy's own two-sample test on the same variances
    half = stats.ttest_ind(small[0], -large[0], equal_var=False).confidence_interval()
    assert (both.ci_low, both.ci_high) == pytest.approx((half.low / 2, half.high / 2))


def test_training_seeds_that_are_better_everywhere_do_not_average_out_over_benchmarks() -> None:
    problem_N = np.linspace(0.3, 0.7, 400)
    values_RN = np.stack([problem_N - 0.1, problem_N, problem_N + 0.1])
    one, four = estimate_mean(values_RN, seed=0), macro_mean([values_RN] * 4, seed=0)
    assert four.se == pytest.approx(math.hypot(clustered_se(problem_N) / 2, 0.1 / math.sqrt(3)), rel=0.05)
    assert four.se == pytest.approx(one.se, rel=0.05)


def test_macro_mean_of_perfect_benchmarks_is_not_certain() -> None:
    perfect = np.ones((1, 12))
    assert macro_mean([perfect, perfect], 0).ci_low == pytest.approx(estimate_mean(perfect, 0).ci_low)


def test_macro_mean_cannot_know_its_error_from_one_problem() -> None:
    both = macro_mean([np.array([[0.5]]), np.array([[0.2, 0.9, 0.4]])], seed=0)
    assert math.isnan(both.se)
    assert both.ci_low < both.value < both.ci_high


def coverage(runs: int, seed_spread: float, studies: int = 1_000) -> float:
    """Share of simulated studies whose interval holds the true mean; 30 problems, 4 samples each."""
    generator = np.random.default_rng(20261122)
    logit_spread = 1.5

    def chance(shape: tuple[int, ...], runs_shape: tuple[int, ...]) -> np.ndarray:
        logits = generator.normal(0, logit_spread, shape) + generator.normal(0, seed_spread, runs_shape)
        return 1 / (1 + np.exp(-logits))

    truth = chance((1_000_000,), (1_000_000,)).mean()
    hits = 0
    for study in range(studies):
        values_RN = generator.binomial(4, chance((1, 30), (runs, 1))) / 4
        estimate = estimate_mean(values_RN, seed=study)
        hits += estimate.ci_low <= truth <= estimate.ci_high
    return hits / studies


def test_the_interval_covers_the_truth_with_one_training_seed() -> None:
    assert coverage(runs=1, seed_spread=0.0) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("runs", "seed_spread"), [(3, 0.0), (3, 0.3), (2, 0.3), (5, 0.8)])
def test_the_interval_covers_the_truth_with_several_training_seeds(runs: int, seed_spread: float) -> None:
    assert 0.91 <= coverage(runs, seed_spread, studies=500) <= 0.98


# Means over some of the samples, quantiles


def test_a_ratio_is_the_mean_over_the_samples_that_count() -> None:
    generator = np.random.default_rng(6)
    values_RNK, counted_RNK = generator.random((2, 30, 5)), generator.random((2, 30, 5)) < 0.3
    estimate = estimate_ratio((values_RNK * counted_RNK).mean(axis=2), counted_RNK.mean(axis=2), seed=0)
    assert estimate.value == pytest.approx(values_RNK[counted_RNK].mean())
    assert estimate.n_problems == counted_RNK.any(axis=(0, 2)).sum() < 30


def test_a_ratio_over_all_samples_is_the_mean_with_its_interval() -> None:
    values_RN = np.random.default_rng(7).random((1, 12))
    ratio, mean = estimate_ratio(values_RN, np.ones((1, 12)), seed=0), estimate_mean(values_RN, seed=0)
    assert astuple(ratio) == pytest.approx(astuple(mean))


def test_a_ratio_over_nothing_is_unknown() -> None:
    assert estimate_ratio(np.zeros((2, 5)), np.zeros((2, 5)), seed=0) is UNKNOWN
    assert weighted_mean([], [], 0) is UNKNOWN and macro_mean([], 0) is UNKNOWN


def test_a_ratio_that_is_always_one_gets_wilsons_interval_of_the_problems_that_count() -> None:
    counted_RN = np.array([[0.5, 0.0, 0.25, 1.0, 0.0, 0.75]])
    estimate = estimate_ratio(counted_RN, counted_RN, seed=0)
    assert (estimate.value, estimate.se, estimate.n_problems) == (1, 0, 4)
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx(wilson_interval(4, 4))


@pytest.mark.parametrize("runs", [1, 3])
def test_the_interval_of_a_ratio_covers_the_truth(runs: int) -> None:
    """Tokens of correct samples: hard problems have longer completions, and fewer correct ones."""
    generator = np.random.default_rng(8)

    def draw(problems: int) -> tuple[np.ndarray, np.ndarray]:
        ease = generator.normal(0, 1.5, (1, problems))
        correct = generator.binomial(4, 1 / (1 + np.exp(-ease)), (runs, problems)) / 4
        lengths = 100 - 20 * ease + generator.normal(0, 20, (runs, problems))
        return lengths * correct, correct

    large = [draw(200_000) for _ in range(3)]
    truth = sum(y.mean() for y, _ in large) / sum(x.mean() for _, x in large)
    studies = [estimate_ratio(*draw(40), seed=i, bounds=LENGTH) for i in range(400)]
    assert 0.92 <= np.mean([e.ci_low <= truth <= e.ci_high for e in studies]) <= 0.995


def test_quantiles_known_answers() -> None:
    samples_RNK = np.arange(1.0, 101.0).reshape(1, 50, 2)
    assert estimate_quantile(samples_RNK, 0.5, seed=0).value == 50
    assert estimate_quantile(samples_RNK, 0.95, seed=0).value == 95
    constant = estimate_quantile(np.full((1, 20, 2), 7.0), 0.95, seed=0)
    assert (constant.value, constant.ci_low, constant.ci_high) == (7, 7, 7)
    assert math.isnan(constant.se)
    single = estimate_quantile(np.array([[[3.0, 9.0, 4.0]]]), 0.5, seed=0)
    assert (single.value, single.ci_low, single.ci_high, single.n_problems) == (4, 3, 9, 1)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_interval_of_a_quantile_of_independent_samples_agrees_with_scipy(share: float) -> None:
    values = np.sort(np.random.default_rng(9).lognormal(5, 1, 400))
    estimate = estimate_quantile(values.reshape(1, 400, 1), share, seed=0)
    theirs = stats.quantile_test(values, p=share).confidence_interval(0.95)
    ranks = np.searchsorted(values, [estimate.ci_low, estimate.ci_high])
    assert ranks == pytest.approx(np.searchsorted(values, [theirs.low, theirs.high]), abs=2)


def test_the_interval_of_a_quantile_covers_the_truth_with_samples_in_clusters() -> None:
    generator = np.random.default_rng(10)
    hits = 0
    for study in range(500):
        lengths = generator.normal(0, 1, (1, 60, 1)) + generator.normal(0, 0.5, (1, 60, 8))
        estimate = estimate_quantile(lengths, 0.5, seed=study)
        hits += estimate.ci_low <= 0 <= estimate.ci_high
    assert hits / 500 == pytest.approx(0.95, abs=0.03)


def test_a_weighted_mean_weighs() -> None:
    generator = np.random.default_rng(12)
    small, large = generator.random((1, 30)), generator.random((1, 500))
    both = weighted_mean([small, large], [960, 2000], seed=0)
    assert both.value == pytest.approx((960 * small.mean() + 2000 * large.mean()) / 2960)
    assert both.se == pytest.approx(math.hypot(960 * stats.sem(small[0]), 2000 * stats.sem(large[0])) / 2960)
    perfect = weighted_mean([np.ones((1, 12)), np.ones((1, 3))], [1, 3], seed=0)
    expected = (wilson_interval(12, 12)[0] + 3 * wilson_interval(3, 3)[0]) / 4
    assert (perfect.ci_low, perfect.ci_high) == pytest.approx((expected, 1.0))


def test_the_error_of_a_ratio_is_that_of_its_residuals() -> None:
    y, x = np.array([0.5, 0.0, 1.0, 0.25, 0.5]), np.array([1.0, 0.5, 1.0, 0.25, 0.75])
    estimate = estimate_ratio(y[None], x[None], seed=0)
    assert estimate.value == pytest.approx(2.25 / 3.5)
    assert estimate.se == pytest.approx(stats.sem(y - 2.25 / 3.5 * x) / 0.7)
