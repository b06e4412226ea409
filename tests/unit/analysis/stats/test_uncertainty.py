import math

import numpy as np
import pytest
from scipy import stats

from rlvr.analysis.stats.uncertainty import (
    FRACTION,
    clustered_se,
    confidence_interval,
    fixed_set_se,
    minimum_detectable_difference,
    p_of_zero,
    satterthwaite,
    standard_error,
    wilson_interval,
)


def test_clustered_se_is_the_standard_error_over_problems() -> None:
    values = np.array([0.0, 0.25, 0.5, 1.0])
    assert clustered_se(values) == pytest.approx(stats.sem(values))
    assert math.isnan(clustered_se(values[:1]))


def test_fixed_set_se_is_the_formula_for_correctness() -> None:
    correct_NK = np.random.default_rng(1).random((6, 4)) < 0.5
    m = correct_NK.mean(axis=1)
    assert fixed_set_se(correct_NK) == pytest.approx(math.sqrt(np.mean(m * (1 - m) / 3) / 6))
    assert math.isnan(fixed_set_se(correct_NK[:, :1]))


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("shared", [True, False], ids=["one sampling seed for all runs", "one each"])
def test_fixed_set_se_is_how_much_a_rerun_moves(runs: int, shared: bool) -> None:
    """Models that differ a little answer with common random numbers, or each with its own."""
    generator = np.random.default_rng(2)
    chance_RN = np.clip(generator.random((1, 30)) + generator.normal(0, 0.05, (runs, 30)), 0, 1)
    luck = generator.random((4_000, 1 if shared else runs, 30, 8))
    reruns = luck < chance_RN[..., None]
    truth = reruns.mean(axis=(1, 2, 3)).std()
    estimated = math.sqrt(np.mean([fixed_set_se(rerun) ** 2 for rerun in reruns]))
    assert estimated == pytest.approx(truth, rel=0.05)
    if runs > 1 and shared:
        apart = math.sqrt(np.mean([[fixed_set_se(run) ** 2 for run in rerun] for rerun in reruns]) / runs)
        assert apart < 0.65 * truth  # what independent runs would have


@pytest.mark.parametrize(
    ("value", "se", "degrees"),
    [(0.1, 0.05, 399), (0.1, 0.06, 3), (0.02, 0.04, 1.2), (0.9, 0.3, 1.5), (-0.6, 0.5, 2), (0.99, 0.01, 1)],
)
def test_p_is_below_a_half_tenth_exactly_where_the_interval_excludes_zero(value, se, degrees) -> None:
    low, high = confidence_interval(value, se, degrees, 100, (-1.0, 1.0))
    assert (p_of_zero(value, se, degrees, (-1.0, 1.0)) < 0.05) == (not low <= 0 <= high)
    for scale in np.linspace(0.05, 3, 60):
        low, high = confidence_interval(value, se * scale, degrees, 100, (-1.0, 1.0))
        assert (p_of_zero(value, se * scale, degrees, (-1.0, 1.0)) < 0.05) == (not low <= 0 <= high)


def test_p_of_zero_is_that_of_the_t_test() -> None:
    values = np.random.default_rng(3).normal(0.05, 0.1, 30)
    expected = stats.ttest_1samp(values, 0)
    found = p_of_zero(values.mean(), clustered_se(values), 29, (-1.0, 1.0))
    assert found == pytest.approx(expected.pvalue)


# Wilson's interval to four digits: Newcombe 1998, Statistics in Medicine 17, table I, method 3.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_known_answers(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)
    scipys = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx(tuple(scipys), abs=1e-12)


def test_wilsons_interval_of_a_mean_at_the_edge_is_that_of_the_problems_where_there_is_one_sample() -> None:
    """One of 30 correct: SE of n - 1 trials, quantile of t with 29 degrees of freedom."""
    values = np.arange(30) < 1
    low, high = confidence_interval(1 / 30, clustered_se(values), 29, 30, FRACTION)
    quantile = stats.t.ppf(0.975, 29)
    assert (low, high) == pytest.approx(wilson_interval(29 / 30, 29, quantile))
    assert low > 0 and high > 1 / 30 + quantile * clustered_se(values)
    mirrored = confidence_interval(29 / 30, clustered_se(values), 29, 30, FRACTION)
    assert mirrored == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(("problems", "samples", "chance"), [(30, 4, 0.05), (30, 4, 0.97), (100, 1, 0.03)])
def test_the_interval_covers_the_truth_near_the_edges(problems: int, samples: int, chance: float) -> None:
    generator = np.random.default_rng(13)
    hits = 0
    for _ in range(1_000):
        values = generator.binomial(samples, generator.beta(chance, 1 - chance, problems)) / samples
        interval = confidence_interval(values.mean(), clustered_se(values), problems - 1, problems, FRACTION)
        hits += interval[0] <= chance <= interval[1]
    assert hits / 1_000 >= 0.92


def test_satterthwaite_known_answers() -> None:
    assert satterthwaite([0.3], [7]) == pytest.approx(7)
    assert satterthwaite([0.1, 0.1], [5, 5]) == pytest.approx(10)
    assert satterthwaite([1.0, 0.0], [1, 40]) == pytest.approx(1)
    assert satterthwaite([0.0, 0.0], [3, 4]) == 7
    assert satterthwaite([math.nan], [0]) == 0


def test_the_standard_error_of_a_difference_is_the_paired_one() -> None:
    ours, theirs = np.random.default_rng(14).random((2, 1, 12))
    se, degrees = standard_error([[ours], [theirs]], [1.0], seed=0)
    assert (se, degrees) == pytest.approx((stats.sem(ours[0] - theirs[0]), 11))


def test_minimum_detectable_difference_of_the_design() -> None:
    assert minimum_detectable_difference(0.15 / math.sqrt(30)) == pytest.approx(0.077, abs=5e-4)
    assert math.isnan(minimum_detectable_difference(0.0))
    assert math.isnan(minimum_detectable_difference(math.nan))
