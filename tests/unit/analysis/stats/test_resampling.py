import numpy as np
import pytest
from scipy import stats

from rlvr.analysis.stats.resampling import (
    hierarchical_bootstrap,
    interquartile_mean,
    percentile_interval,
    probability_of_improvement,
    resampling_weights,
    seed_effects,
    stratified_bootstrap,
)
from rlvr.analysis.stats.uncertainty import clustered_se


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_weights_sum_to_one_and_leave_a_single_unit_alone() -> None:
    np.testing.assert_allclose(resampling_weights(5, 100, generator()).sum(axis=1), 1)
    np.testing.assert_array_equal(resampling_weights(1, 3, generator()), np.ones((3, 1)))


@pytest.mark.parametrize("units", [2, 3, 10])
def test_weights_give_the_unbiased_variance_of_a_mean(units: int) -> None:
    values = generator(1).normal(size=units)
    means = resampling_weights(units, 40_000, generator()) @ values
    assert means.std() == pytest.approx(clustered_se(values), rel=0.03)


def test_with_one_training_seed_the_bootstrap_is_the_clustered_se() -> None:
    values_RN = generator(2).random((1, 50))
    means = hierarchical_bootstrap([[values_RN]], 0, [1], replicates=20_000)[0]
    assert means.mean() == pytest.approx(values_RN.mean(), abs=0.002)
    assert means.std() == pytest.approx(clustered_se(values_RN[0]), rel=0.03)


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.2, 0.8]])
def test_the_bootstrap_has_the_variance_of_the_two_way_table(shares: list[float]) -> None:
    """Unbiased estimates by the mean squares: seeds, and problems with their samples, each once."""
    seeds = np.array([[-0.3], [0.05], [0.25]])
    group = [generator(b).random((3, 20 + 10 * b)) + seeds for b in range(2)]
    expected, noise = 0.0, 0.0
    for share, values in zip(shares, group, strict=True):
        expected += share**2 * values.mean(axis=0).var(ddof=1) / values.shape[1]
        rest = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
        noise += share**2 * (rest**2).sum() / (2 * (values.shape[1] - 1)) / values.shape[1]
    means = sum(share * values.mean(axis=1) for share, values in zip(shares, group, strict=True))
    between = np.var(means, ddof=1) - noise
    assert between > 0
    drawn = hierarchical_bootstrap([group], 0, shares, replicates=40_000)[0]
    assert drawn.var(ddof=1) == pytest.approx(expected + between / 3, rel=0.03)
    assert (drawn == hierarchical_bootstrap([group], 0, shares, replicates=40_000)[0]).all()
    assert (drawn != hierarchical_bootstrap([group], 1, shares, replicates=40_000)[0]).any()


def test_seeds_that_differ_no_more_than_their_samples_have_no_effect() -> None:
    coins = generator(1).binomial(4, 0.5, (3, 200)) / 4
    alike = coins - coins.mean(axis=1, keepdims=True)  # by less than chance
    np.testing.assert_array_equal(seed_effects([alike], [1]), np.zeros(3))
    np.testing.assert_array_equal(seed_effects([coins[:1]], [1]), np.zeros(1))
    apart = seed_effects([alike + np.array([[0.0], [0.3], [0.6]])], [1])
    assert apart == pytest.approx([-0.3, 0, 0.3], abs=0.01)


def test_seed_effects_have_the_variance_of_the_seeds_on_average() -> None:
    draws = generator(3)
    found = []
    for _ in range(2_000):
        values_RN = (
            draws.normal(0, 0.2, (4, 1)) + draws.normal(0, 0.5, (1, 25)) + draws.normal(0, 0.5, (4, 25))
        )
        found.append(seed_effects([values_RN], [1]).var(ddof=1))
    assert np.mean(found) == pytest.approx(0.2**2, rel=0.07)


def test_training_seeds_share_their_problems() -> None:
    """Seeds that agree on every problem are one piece of evidence, not three."""
    one = generator(3).random((1, 50))
    means = hierarchical_bootstrap([[np.repeat(one, 3, axis=0)]], 0, [1], replicates=20_000)[0]
    assert means.std() == pytest.approx(clustered_se(one[0]), rel=0.03)


def test_groups_share_their_problems_so_that_equal_ones_never_differ() -> None:
    values_RN = generator(4).random((1, 20))
    means = hierarchical_bootstrap([[values_RN], [values_RN + 0.1]], 0, [1])
    np.testing.assert_allclose(means[1] - means[0], 0.1)


def test_benchmarks_share_the_training_seeds_of_a_group() -> None:
    """A seed that is better everywhere does not average out over benchmarks."""
    values_RN = np.repeat(np.array([[0.2], [0.5], [0.8]]), 10, axis=1)
    one = hierarchical_bootstrap([[values_RN]], 0, [1])[0].std()
    four = hierarchical_bootstrap([[values_RN] * 4], 0, [0.25] * 4)[0].std()
    assert four == pytest.approx(one, rel=0.05)


def test_problems_of_different_benchmarks_are_resampled_separately() -> None:
    values_RN = generator(5).random((1, 40))
    one = hierarchical_bootstrap([[values_RN]], 0, [1], replicates=20_000)[0].std()
    four = hierarchical_bootstrap([[values_RN] * 4], 0, [0.25] * 4, replicates=20_000)[0].std()
    assert four == pytest.approx(one / 2, rel=0.05)


def test_known_answers_over_training_seeds_and_benchmarks() -> None:
    scores_RB = np.array([[0.0, 0.2, 0.3], [0.1, 0.4, 0.9], [0.2, 0.3, 0.8], [0.5, 0.6, 1.0]])
    assert interquartile_mean(scores_RB) == pytest.approx(np.mean([0.2, 0.3, 0.3, 0.4, 0.5, 0.6]))
    x, y = np.array([[0.3], [0.5], [0.7]]), np.array([[0.1], [0.5], [0.6]])
    assert probability_of_improvement(x, y) == pytest.approx((1 + 1.5 + 3) / 9)
    assert probability_of_improvement(x, x) == 0.5


def test_agreement_with_rliable() -> None:
    metrics = pytest.importorskip("rliable.metrics", reason="rliable is not installed")
    for seed in range(5):
        # rounded, so that there are ties
        x, y = generator(seed).random((5, 6)).round(1), generator(seed + 100).random((4, 6)).round(1)
        assert interquartile_mean(x) == pytest.approx(metrics.aggregate_iqm(x), abs=1e-12)
        ours = probability_of_improvement(x, y)
        assert ours == pytest.approx(metrics.probability_of_improvement(x, y), abs=1e-12)


def test_fewer_than_three_training_seeds_are_refused() -> None:
    two, three = np.zeros((2, 4)), np.zeros((3, 4))
    for call in (
        lambda: interquartile_mean(two),
        lambda: probability_of_improvement(three, two),
        lambda: stratified_bootstrap(np.mean, two, generator=generator()),
    ):
        with pytest.raises(ValueError, match="2 training seeds; at least 3"):
            call()
    with pytest.raises(ValueError, match="4 benchmarks against 3"):
        probability_of_improvement(three, three[:, :3])


def test_stratified_interval_holds_the_benchmarks_fixed() -> None:
    """Benchmarks that differ widely, seeds that agree: nothing is uncertain."""
    scores_RB = np.repeat(np.array([[0.1, 0.9]]), 4, axis=0)
    replicates = stratified_bootstrap(interquartile_mean, scores_RB, generator=generator())
    assert percentile_interval(replicates) == pytest.approx((0.5, 0.5)) and replicates.std() == 0


def test_stratified_interval_is_seeded_and_holds_the_value() -> None:
    x, y = generator(1).random((6, 4)) + 0.2, generator(2).random((6, 4))
    first, again = (
        stratified_bootstrap(probability_of_improvement, x, y, generator=generator(), replicates=500)
        for _ in range(2)
    )
    assert (first == again).all()
    low, high = percentile_interval(first)
    assert low < probability_of_improvement(x, y) < high


def test_all_replicates_at_once_are_those_drawn_one_after_the_other() -> None:
    x, y, draws = generator(1).random((3, 4)), generator(2).random((5, 4)), generator()

    def resample(scores: np.ndarray) -> np.ndarray:
        return scores[draws.integers(len(scores), size=scores.shape), np.arange(4)]

    expected = [float(probability_of_improvement(resample(x), resample(y))) for _ in range(50)]
    found = stratified_bootstrap(probability_of_improvement, x, y, generator=generator(), replicates=50)
    np.testing.assert_array_equal(found, expected)


def test_stratified_intervals_agree_with_scipys_bootstrap_of_each_benchmark_by_itself() -> None:
    x, y = generator(1).random((6, 4)) + 0.2, generator(2).random((5, 4))
    for statistic, scores in ((interquartile_mean, (x,)), (probability_of_improvement, (x, y))):
        cuts = np.cumsum([side.shape[1] for side in scores])[:-1]

        def of_columns(*columns: np.ndarray, statistic=statistic, cuts=cuts) -> float:
            sides = np.split(np.arange(len(columns)), cuts)
            return statistic(*(np.stack([columns[i] for i in side], axis=1) for side in sides))

        columns = [column for side in scores for column in side.T]
        expected = stats.bootstrap(
            columns, of_columns, n_resamples=5_000, vectorized=False, method="percentile", rng=generator()
        )
        replicates = stratified_bootstrap(statistic, *scores, generator=generator(), replicates=5_000)
        assert percentile_interval(replicates) == pytest.approx(
            tuple(expected.confidence_interval), abs=0.015
        )
        assert replicates.std(ddof=1) == pytest.approx(expected.standard_error, rel=0.05)


def test_percentile_interval_known_answer() -> None:
    assert percentile_interval(np.arange(1001.0)) == pytest.approx((25, 975))
    assert percentile_interval(np.arange(1001.0), confidence=0.5) == pytest.approx((250, 750))
