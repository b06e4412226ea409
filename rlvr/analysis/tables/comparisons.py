"""The rows of ``comparisons.csv``: the pairs that a study compares, each on every benchmark."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from rlvr.analysis.inputs.contamination import Contamination
from rlvr.analysis.inputs.groups import Group
from rlvr.analysis.stats.paired import Comparison, SeedComparison, compare, compare_seeds, holm
from rlvr.analysis.stats.resampling import (
    MINIMUM_TRAINING_SEEDS,
    Floats,
    percentile_interval,
    probability_of_improvement,
    stratified_bootstrap,
)
from rlvr.analysis.tables.contrasts import Pair, pairs_of
from rlvr.artifacts import OVERALL, UNCONTAMINATED, ComparisonRow
from rlvr.config.resolved import BASE, StudyManifest
from rlvr.seeds import derive_seed


@dataclass(frozen=True)
class Improvement:
    """The probability of improvement and its 95 % interval; NaN where there are too few training seeds."""

    probability_of_improvement: float = math.nan
    improvement_ci_low: float = math.nan
    improvement_ci_high: float = math.nan


@dataclass(frozen=True)
class Compared:
    """A pair compared on one benchmark or on all of them."""

    pair: Pair
    benchmark: str
    n_samples: int
    comparison: Comparison
    seeds: SeedComparison
    improvement: Improvement

    @property
    def train_seeds(self) -> int:
        """The smaller number of training seeds of the two, not counting the untrained model."""
        return min(side.train_seeds for side in (self.pair.method, self.pair.baseline) if side.method != BASE)

    @property
    def family(self) -> tuple[str, ...]:
        """What the comparisons that Holm's correction is for have in common."""
        return *self.pair.family, self.benchmark


def comparison_rows(
    groups: list[Group], study: StudyManifest, contamination: Contamination | None
) -> list[ComparisonRow]:
    """Return the paired differences that the study asks for, corrected by Holm.

    Args:
        groups: the methods, in the order of the study.
        study: its benchmarks and contrasts.
        contamination: the contaminated problems; None where contamination is unknown.
    """
    compared = [
        one
        for pair in pairs_of(groups, study.variants, study.contrasts)
        for one in _compared(pair, study, contamination)
    ]
    return [
        ComparisonRow(
            study=study.study,
            **one.pair.method.labels,
            contrast=one.pair.contrast,
            baseline=one.pair.baseline.method,
            baseline_preset=one.pair.baseline.preset,
            baseline_setting=one.pair.baseline.setting,
            benchmark=one.benchmark,
            **asdict(one.comparison),
            p_holm=p_holm,
            n_samples=one.n_samples,
            train_seeds=one.train_seeds,
            missing_seeds=one.pair.method.missing_seeds + one.pair.baseline.missing_seeds,
            se_seeds=one.seeds.se,
            p_seeds=one.seeds.p_value,
            compares="methods" if one.train_seeds > 1 else "runs",
            **asdict(one.improvement),
        )
        for one, p_holm in zip(compared, _corrected(compared), strict=True)
    ]


def _compared(pair: Pair, study: StudyManifest, contamination: Contamination | None) -> Iterator[Compared]:
    group, baseline = pair.method, pair.baseline
    names = [benchmark.benchmark for benchmark in study.benchmarks]
    ours, theirs = ({name: side.correct_means(name) for name in names} for side in (group, baseline))

    def compared(benchmark: str, seeded_as: str, kept: Contamination) -> Compared:
        seed = derive_seed(study.study, "comparison", *group.labels.values(), baseline.method, seeded_as)
        method, against = (
            [side[name][:, kept_N] for name, kept_N in kept.items()] for side in (ours, theirs)
        )
        samples = [
            side.n_samples(name, kept_N) for side in (group, baseline) for name, kept_N in kept.items()
        ]
        several = min(group.train_seeds, baseline.train_seeds) >= MINIMUM_TRAINING_SEEDS
        return Compared(
            pair,
            benchmark,
            n_samples=sum(samples),
            comparison=compare(method, against, seed),
            seeds=compare_seeds(method, against, baseline.method == BASE),
            improvement=(
                _improvement(method, against, derive_seed(seed, "improvement"))
                if seeded_as == OVERALL and several
                else Improvement()
            ),
        )

    all_problems = {name: np.ones(ours[name].shape[1], dtype=bool) for name in names}
    for name in names:
        yield compared(name, name, {name: all_problems[name]})
    averaged = [benchmark.benchmark for benchmark in study.averaged]
    yield compared(OVERALL, OVERALL, {name: all_problems[name] for name in averaged})
    # The seed of "overall": without contamination the two rows are equal.
    if contamination is not None and (
        uncontaminated := {name: ~contamination[name] for name in averaged if not contamination[name].all()}
    ):
        yield compared(UNCONTAMINATED, OVERALL, uncontaminated)


def _improvement(ours: list[Floats], theirs: list[Floats], seed: int) -> Improvement:
    """Return the probability of improvement with its interval by the stratified bootstrap."""
    scores = [np.stack([values.mean(axis=1) for values in side], axis=1) for side in (ours, theirs)]
    generator = np.random.default_rng(seed)
    replicates = stratified_bootstrap(probability_of_improvement, *scores, generator=generator)
    return Improvement(float(probability_of_improvement(*scores)), *percentile_interval(replicates))


def _corrected(pairs: list[Compared]) -> list[float]:
    """Return the p values of all pairs, each corrected within its family."""
    families: dict[tuple[str, ...], list[int]] = {}
    for position, pair in enumerate(pairs):
        families.setdefault(pair.family, []).append(position)
    corrected = [math.nan] * len(pairs)
    for positions in families.values():
        p_values = holm([pairs[position].comparison.p_value for position in positions])
        for position, p_value in zip(positions, p_values, strict=True):
            corrected[position] = p_value
    return corrected
