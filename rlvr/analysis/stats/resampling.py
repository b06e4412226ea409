"""Resampling over training seeds, problems and benchmarks.

There are two designs, for two questions.

``hierarchical_bootstrap`` asks how a mean varies with other training seeds, other problems and other samples.
Training seeds are the outer level, problems the inner one, and a problem is drawn with its samples. Every
source of variation is counted once:

* every training seed answers the same problems, so a replicate draws its problems once for all seeds
  (drawing them separately for each seed would divide the variance between problems by the number of seeds);
* the value of a problem is its mean over training seeds and samples, and so includes the noise of its samples
  and the interaction of seeds and problems. Samples drawn as a third level would count this noise twice;
* for the same reason training seeds are drawn by their differences beyond that noise (``seed_effects``);
  drawing their means as they are would count it up to three times;
* each level draws one unit fewer than it has (Rao and Wu 1988, J. Am. Stat. Assoc. 83), which makes the
  bootstrap variance of a mean unbiased; with two or three seeds the plain bootstrap loses a half or a third.

``stratified_bootstrap``, ``interquartile_mean`` and ``probability_of_improvement`` follow Agarwal
et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (arXiv 2108.13264):
scores of training seeds x benchmarks, training seeds drawn within each benchmark.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REPLICATES = 2_000
MINIMUM_TRAINING_SEEDS = 3


def resampling_weights(units: int, replicates: int, generator: np.random.Generator) -> Floats:
    """Return the weights [replicates, units] of ``units - 1`` draws with replacement; each row sums to 1.

    A single unit always has the weight 1: it tells nothing about spread.
    """
    if units == 1:
        return np.ones((replicates, 1))
    return generator.multinomial(units - 1, np.full(units, 1 / units), size=replicates) / (units - 1)


@lru_cache(maxsize=2)
def _weights(
    runs: tuple[int, ...], problems: tuple[int, ...], seed: int, replicates: int
) -> tuple[list[Floats], list[Floats]]:
    """Return weights for the seeds of each group and the problems of each benchmark.

    All metrics of a benchmark have the same seed, and so share them; a mean of some of the samples leaves out
    problems, and is between two that do not.
    """
    generator = np.random.default_rng(seed)
    seeds, inner = (
        [resampling_weights(units, replicates, generator) for units in level] for level in (runs, problems)
    )
    return seeds, inner


def hierarchical_bootstrap(
    groups: Sequence[Sequence[Floats]], seed: int, shares: Sequence[float], replicates: int = REPLICATES
) -> Floats:
    """Bootstrap the weighted means over benchmarks of groups of runs that answer the same problems.

    Args:
        groups: for each group (a method), one array [training seeds, problems] per benchmark. Groups may have
            different numbers of training seeds; their benchmarks and problems are the same, with at least
            two problems per benchmark where a group has several seeds.
        seed: seed of the draws.
        shares: weight of each benchmark; their sum is 1.
        replicates: number of bootstrap replicates.

    Returns:
        Means [groups, replicates]. In a replicate the problems of a benchmark are the same for all groups
        (the comparison is paired) and the training seeds of a group the same for all benchmarks (one training
        run answers them all).
    """
    runs = tuple(len(group[0]) for group in groups)
    problems = tuple(values.shape[1] for values in groups[0])
    seed_weights, problem_weights = _weights(runs, problems, seed, replicates)
    means = np.array(
        [drawn @ seed_effects(group, shares) for drawn, group in zip(seed_weights, groups, strict=True)]
    )
    for index, group in enumerate(groups):
        for share, drawn, values in zip(shares, problem_weights, group, strict=True):
            means[index] += share * (drawn @ values.mean(axis=0))
    return means


def seed_effects(group: Sequence[Floats], shares: Sequence[float]) -> Floats:
    """Return by how much the training seeds of a group differ from their mean, [training seeds].

    The means of seeds that do not differ at all still vary, because samples vary and because seeds and
    problems interact. This part of their variance is estimated by the interaction mean square of a two-way
    table without replication (Searle, Casella and McCulloch 1992, "Variance Components", chapter 4), and the
    differences are shrunk so that only the rest of the variance remains; to zero if nothing remains.

    Args:
        group: one array [training seeds, problems] per benchmark.
        shares: weight of each benchmark; their sum is 1.
    """
    runs = len(group[0])
    if runs == 1:
        return np.zeros(1)
    deviations, noise = np.zeros(runs), 0.0
    for share, values in zip(shares, group, strict=True):
        apart = values.mean(axis=1) - values.mean()
        interaction = values - values.mean(axis=0) - apart[:, None]
        problems = values.shape[1]
        deviations += share * apart
        noise += share**2 * float((interaction**2).sum()) / ((runs - 1) * (problems - 1) * problems)
    variance = float(deviations.var(ddof=1))
    return deviations * math.sqrt(1 - noise / variance) if variance > noise else np.zeros(runs)


def interquartile_mean(scores_RB: Floats) -> Floats:
    """Return the mean of the middle half of all scores (Agarwal et al. 2021).

    Args:
        scores_RB: [..., training seeds, benchmarks]; leading axes are replicates.
    """
    require_training_seeds(scores_RB)
    ordered = np.sort(scores_RB.reshape(*scores_RB.shape[:-2], -1), axis=-1)
    size = ordered.shape[-1]
    middle: Floats = ordered[..., size // 4 : size - size // 4].mean(axis=-1)
    return middle


def probability_of_improvement(scores_XB: Floats, scores_YB: Floats) -> Floats:
    """Return the probability that a training run of X beats one of Y on a random benchmark; ties count half.

    Args:
        scores_XB: scores of X [..., training seeds, benchmarks]; leading axes are replicates.
        scores_YB: scores of Y on the same benchmarks; the number of training seeds may differ.

    Raises:
        ValueError: the benchmarks differ in number, or either has fewer than three training seeds.
    """
    require_training_seeds(scores_XB)
    require_training_seeds(scores_YB)
    if scores_XB.shape[-1] != scores_YB.shape[-1]:
        raise ValueError(f"{scores_XB.shape[-1]} benchmarks against {scores_YB.shape[-1]}")
    differences = scores_XB[..., :, None, :] - scores_YB[..., None, :, :]
    wins: Floats = np.mean((differences > 0) + 0.5 * (differences == 0), axis=(-3, -2, -1))
    return wins


def stratified_bootstrap(
    statistic: Callable[..., Floats],
    *scores_RB: Floats,
    generator: np.random.Generator,
    replicates: int = REPLICATES,
) -> Floats:
    """Return replicates of ``statistic(*scores)``, training seeds resampled within each benchmark.

    Their standard deviation is the SE, their ``percentile_interval`` the interval.

    Args:
        statistic: for example ``interquartile_mean`` or ``probability_of_improvement``; called once, with all
            replicates along the first axis.
        scores_RB: one array [training seeds, benchmarks] for each argument of the statistic.
        generator: random numbers.
        replicates: number of bootstrap replicates.

    Raises:
        ValueError: an array has fewer than three training seeds.
    """
    for scores in scores_RB:
        require_training_seeds(scores)
    seeds = np.concatenate([np.full(scores.size, len(scores)) for scores in scores_RB])
    drawn = generator.integers(np.broadcast_to(seeds, (replicates, len(seeds))))
    ends = np.cumsum([scores.size for scores in scores_RB])[:-1]
    rows = [
        part.reshape(replicates, *scores.shape)
        for part, scores in zip(np.split(drawn, ends, axis=1), scores_RB, strict=True)
    ]
    return statistic(
        *(scores[row, np.arange(scores.shape[1])] for row, scores in zip(rows, scores_RB, strict=True))
    )


def percentile_interval(replicates: Floats, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of the middle ``confidence`` of bootstrap replicates."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return float(low), float(high)


def require_training_seeds(scores_RB: Floats) -> None:
    """Check that scores [..., training seeds, benchmarks] have at least three training seeds.

    Raises:
        ValueError: there are fewer, too few for a distribution over training runs.
    """
    if (seeds := scores_RB.shape[-2]) < MINIMUM_TRAINING_SEEDS:
        raise ValueError(f"{seeds} training seeds; at least {MINIMUM_TRAINING_SEEDS} are needed")
