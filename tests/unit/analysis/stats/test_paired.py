import math

import numpy as np
import pytest
from scipy import stats

from rlvr.analysis.stats.paired import compare, holm, sign_flip_p_value
from rlvr.analysis.stats.uncertainty import wilson_interval


def random_values(seed: int, runs: int, problems: int) -> np.ndarray:
    return np.random.default_rng(seed).binomial(8, 0.5, (runs, problems)) / 8


def test_one_training_seed_is_the_paired_t_interval() -> None:
    ours, theirs = random_values(1, 1, 20), random_values(2, 1, 20)
    result = compare([ours], [theirs], seed=0)
    low, high = stats.ttest_rel(ours[0], theirs[0]).confidence_interval()
    assert result.difference == pytest.approx(ours.mean() - theirs.mean())
    assert result.se == pytest.approx(stats.sem(ours[0] - theirs[0]))
    assert (result.ci_low, result.ci_high) == pytest.approx((low, high))
    assert result.minimum_detectable == pytest.approx(2.8 * result.se)
    assert result.n_problems == 20


def test_permutation_agrees_with_scipy() -> None:
    differences = random_values(3, 1, 12)[0] - random_values(4, 1, 12)[0] + 0.1
    exact = stats.permutation_test(
        (differences,), lambda x, axis: np.abs(np.mean(x, axis=axis)), permutation_type="samples",
        n_resamples=np.inf, alternative="greater", vectorized=True,
    ).pvalue  # fmt: skip
    assert sign_flip_p_value([differences], seed=0) == pytest.approx(exact, abs=0.015)


def test_permutation_p_is_never_zero_and_needs_five_flips() -> None:
    assert sign_flip_p_value([np.full(40, 0.5)], seed=0) == 1 / 10_000
    # four problems have 16 sign patterns, two of them as extreme as the observed one
    assert sign_flip_p_value([np.full(4, 0.5)], seed=0) == pytest.approx(2 / 16, abs=0.015)
    assert sign_flip_p_value([np.full(1, 0.5)], seed=0) == 1
    assert sign_flip_p_value([np.zeros(10)], seed=0) == 1


def test_rounding_does_not_break_ties() -> None:
    differences = np.array([0.1, 0.2, -0.3, 0.1 + 0.2 - 0.3 + 0.1])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1)
    expected = np.mean(np.abs(signs.T @ differences).round(9) >= round(abs(differences.sum()), 9))
    assert sign_flip_p_value([differences], seed=0) == pytest.approx(expected, abs=0.015)


def test_permutation_gives_each_benchmark_the_same_weight() -> None:
    small, large = np.array([0.5, 0.25]), np.array([-0.25, 0.5, 0.125, -0.5, 0.25, 0.375])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1).T
    means = (signs[:, :2] * small).mean(axis=1) + (signs[:, 2:] * large).mean(axis=1)
    expected = np.mean(np.abs(means) >= abs(small.mean() + large.mean()) - 1e-9)
    pooled = np.concatenate([small, large])
    unweighted = np.mean(np.abs(signs @ pooled) >= abs(pooled.sum()) - 1e-9)
    assert abs(expected - unweighted) > 0.1
    assert sign_flip_p_value([small, large], seed=0) == pytest.approx(expected, abs=0.01)


def test_p_values_of_equal_methods_are_uniform() -> None:
    generator = np.random.default_rng(5)
    p_values = [sign_flip_p_value([generator.normal(size=15)], seed=i, flips=999) for i in range(500)]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_several_benchmarks_count_the_same() -> None:
    small, large = random_values(6, 1, 10), random_values(7, 1, 100)
    zeros = [np.zeros((1, 10)), np.zeros((1, 100))]
    result = compare([small, large], zeros, seed=0)
    assert result.difference == pytest.approx((small.mean() + large.mean()) / 2)
    assert result.se == pytest.approx(math.hypot(stats.sem(small[0]), stats.sem(large[0])) / 2)
    assert result.n_problems == 110


def test_training_seeds_of_both_sides_widen_the_interval() -> None:
    problem_N = np.linspace(0.2, 0.8, 30)
    noise_N = np.where(np.arange(30) % 2, 0.05, -0.05)
    steady = np.stack([problem_N + noise_N] * 3)
    unsteady = steady + np.array([[-0.1], [0.0], [0.1]])
    baseline = np.stack([problem_N] * 2) + np.array([[-0.04], [0.04]])
    pairing = stats.sem(noise_N)
    expected = math.sqrt(pairing**2 + 0.1**2 / 3 + (0.08**2 / 2) / 2)
    result = compare([unsteady], [baseline], seed=0)
    assert result.se == pytest.approx(expected, rel=0.05)
    # Satterthwaite: 29 degrees of freedom between problems, 2 and 1 between the training seeds of the sides
    degrees = expected**4 / (pairing**4 / 29 + (0.1**2 / 3) ** 2 / 2 + (0.08**2 / 4) ** 2)
    assert 2 < degrees < 4
    half = stats.t.ppf(0.975, degrees) * result.se
    assert result.ci_high == pytest.approx(result.difference + half, rel=0.001)
    assert compare([steady], [baseline[:1] + 0.04], seed=0).se == pytest.approx(pairing, rel=0.05)


@pytest.mark.parametrize("runs", [1, 4])
def test_methods_that_never_differ_are_not_known_to_be_equal(runs: int) -> None:
    values_RN = np.repeat(np.linspace(0, 1, 12)[None], runs, axis=0)
    result = compare([values_RN], [values_RN[:1]], seed=0)
    depart = wilson_interval(0, 12)[1]
    assert (result.difference, result.se, result.p_value) == (0, 0, 1)
    assert (result.ci_low, result.ci_high) == pytest.approx((-depart, depart))
    assert math.isnan(result.minimum_detectable)


def test_all_correct_against_all_incorrect() -> None:
    result = compare([np.ones((1, 12))], [np.zeros((1, 12))], seed=0)
    assert result.difference == result.ci_high == 1
    assert 0 < result.ci_low < 1
    assert result.p_value == pytest.approx(2 / 2**12, abs=0.001)


def test_one_problem_says_next_to_nothing() -> None:
    result = compare([np.array([[0.5]])], [np.array([[0.25]])], seed=0)
    assert math.isnan(result.se) and result.p_value == 1
    assert result.ci_low < -0.5 and result.ci_high > 0.8


def test_different_numbers_of_problems_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[10\] against \[9\]"):
        compare([np.zeros((1, 10))], [np.zeros((1, 9))], seed=0)


def test_holm_known_answers() -> None:
    # Holm's steps by hand: 4 x .005, 3 x .01, 2 x .03 and 1 x .04 raised to its predecessor
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def simulated(studies: int, runs: int, seed_spread: float, benchmarks: int = 1) -> tuple[float, float]:
    """Return coverage of the interval and SE over true SD; two equal methods, 40 problems, 4 samples each."""
    generator = np.random.default_rng(20261122)
    hits, variances, differences = 0, [], []
    for study in range(studies):
        strengths = generator.normal(0, seed_spread, (2, runs, 1))
        sides: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for _ in range(benchmarks):
            problems = generator.normal(0, 1.5, (1, 40))
            for side, strength in zip(sides, strengths, strict=True):
                logits = problems + strength + generator.normal(0, 0.3, (runs, 40))
                side.append(generator.binomial(4, 1 / (1 + np.exp(-logits))) / 4)
        result = compare(*sides, seed=study)
        hits += result.ci_low <= 0 <= result.ci_high
        variances.append(result.se**2)
        differences.append(result.difference)
    return hits / studies, math.sqrt(np.mean(variances)) / float(np.std(differences))


def test_interval_and_p_of_several_seeds_answer_one_question() -> None:
    """Two seeds that differ widely: every problem agrees, but the seeds do not."""
    problem_N = np.linspace(0.1, 0.3, 60)
    method = problem_N + np.array([[0.0], [0.5]])
    result = compare([method], [problem_N[None]], seed=0)
    assert result.ci_low < 0 < result.ci_high
    assert result.p_value > 0.3  # flipping the signs of the problems alone gives 0.0001
    assert sign_flip_p_value([method.mean(axis=0) - problem_N], seed=0) < 0.001


def wrong_verdicts(runs: int, seed_spread: float, studies: int = 200) -> float:
    """Share of studies of two equal methods that call them different, by p and interval."""
    generator = np.random.default_rng(7)
    wrong = 0
    for study in range(studies):
        logits = generator.normal(0, 1.5, (1, 1, 100)) + generator.normal(0, seed_spread, (2, runs, 1))
        ours, theirs = generator.binomial(8, 1 / (1 + np.exp(-logits))) / 8
        result = compare([ours], [theirs], seed=study)
        wrong += result.p_value < 0.05
        assert runs == 1 or (result.p_value < 0.05) == (not result.ci_low <= 0 <= result.ci_high)
    return wrong / studies


def test_one_run_per_method_does_not_tell_methods_apart() -> None:
    assert wrong_verdicts(1, seed_spread=0.15) > 0.25
    assert wrong_verdicts(1, seed_spread=0.0) < 0.08


@pytest.mark.parametrize("runs", [2, 3])
def test_p_values_of_several_seeds_are_nearly_right_about_the_methods(runs: int) -> None:
    assert wrong_verdicts(runs, seed_spread=0.15) < 0.13


@pytest.mark.parametrize("runs", [1, 2, 3, 5])
def test_samples_are_counted_once_however_many_training_seeds(runs: int) -> None:
    """Training seeds that do not differ: all spread is that of samples and of problems."""
    covered, ratio = simulated(400, runs, seed_spread=0)
    assert 0.93 <= covered <= 0.99
    # a variance between seeds is never estimated below 0, so that a little is left on average
    assert 0.95 <= ratio <= 1.25


@pytest.mark.parametrize("benchmarks", [1, 3])
def test_the_interval_of_a_difference_covers_the_truth(benchmarks: int) -> None:
    """Two methods, three training seeds each, a true difference of nought, seeds of differing strength."""
    covered, ratio = simulated(400, 3, seed_spread=0.4, benchmarks=benchmarks)
    assert 0.91 <= covered <= 0.98
    assert 0.9 <= ratio <= 1.1


def test_a_second_training_seed_narrows_the_difference_where_seeds_do_not_matter() -> None:
    generator = np.random.default_rng(6)
    chance = generator.random((1, 400))
    ours, theirs = (generator.binomial(4, np.repeat(chance, 2, axis=0)) / 4 for _ in range(2))
    one, two = compare([ours[:1]], [theirs[:1]], seed=0), compare([ours], [theirs], seed=0)
    assert two.se == pytest.approx(one.se / math.sqrt(2), rel=0.15)
