"""The rows of ``comparisons.csv``: every trained method against every comparable baseline."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np

from rlvr.analysis.inputs.contamination import Contamination
from rlvr.analysis.inputs.groups import Group
from rlvr.analysis.stats.paired import Comparison, compare, holm
from rlvr.analysis.stats.resampling import (
    MINIMUM_TRAINING_SEEDS,
    Floats,
    percentile_interval,
    probability_of_improvement,
    stratified_bootstrap,
)
from rlvr.artifacts import OVERALL, UNCONTAMINATED, ComparisonRow
from rlvr.config.resolved import BASE, StudyManifest, Variant
from rlvr.seeds import derive_seed

BASELINES = (BASE, "full", "lora")


@dataclass(frozen=True)
class Improvement:
    """The probability of improvement and its 95 % interval; NaN where there are too few training seeds."""

    probability_of_improvement: float = math.nan
    improvement_ci_low: float = math.nan
    improvement_ci_high: float = math.nan


@dataclass(frozen=True)
class Pair:
    """A method and its baseline, compared on one benchmark or on all of them."""

    method: Group
    baseline: Group
    benchmark: str
    n_samples: int
    comparison: Comparison
    improvement: Improvement

    @property
    def train_seeds(self) -> int:
        """The smaller number of training seeds of the two, not counting the untrained model."""
        return min(side.train_seeds for side in (self.method, self.baseline) if side.method != BASE)

    @property
    def family(self) -> tuple[str | None, ...]:
        """What the comparisons of one Holm family have in common.

        All methods and presets in one setting against one baseline are a family; all other settings of a
        method against its first setting are another.
        """
        method, baseline = self.method, self.baseline
        setting = None if method.method == baseline.method else method.setting
        return method.model, setting, baseline.method, baseline.setting, self.benchmark


def comparison_rows(
    groups: list[Group], study: StudyManifest, contamination: Contamination | None
) -> list[ComparisonRow]:
    """Return the paired differences of every trained method and its baselines, corrected by Holm.

    Args:
        groups: the methods, in the order of the study.
        study: its benchmarks.
        contamination: the contaminated problems; None where contamination is unknown.
    """
    pairs = [
        pair
        for group in groups
        for baseline in baselines_of(group, groups, study.variants)
        for pair in _pairs(group, baseline, study, contamination)
    ]
    return [
        ComparisonRow(
            study=study.study,
            **pair.method.labels,
            baseline=pair.baseline.method,
            baseline_setting=pair.baseline.setting,
            benchmark=pair.benchmark,
            **asdict(pair.comparison),
            p_holm=p_holm,
            n_samples=pair.n_samples,
            train_seeds=pair.train_seeds,
            missing_seeds=pair.method.missing_seeds + pair.baseline.missing_seeds,
            compares="methods" if pair.train_seeds > 1 else "runs",
            **asdict(pair.improvement),
        )
        for pair, p_holm in zip(pairs, _corrected(pairs), strict=True)
    ]


def baselines_of(group: Group, groups: list[Group], planned: list[Variant]) -> list[Group]:
    """Return what a method is compared with: the baselines, and its own first setting in the study.

    They are chosen among all that the study plans, so that a method is never compared with another baseline
    because its own has failed.
    """
    found = {other.variant: other for other in groups}
    chosen = [find_baseline(group.variant, method, planned) for method in BASELINES]
    return [found[other] for other in [*chosen, first_setting(group.variant, planned)] if other in found]


def find_baseline(variant: Variant, method: str, planned: list[Variant]) -> Variant | None:
    """Return the baseline of a variant: same model and setting, and the same preset where it has several.

    None where the study has no such baseline, where the variant is the untrained model or uses the baseline's
    own method, and where the baseline has several presets but not the variant's: no comparable baseline then.
    """
    if variant.method in (BASE, method):
        return None
    candidates = [
        other
        for other in planned
        if other.method == method
        and other.model == variant.model
        and (method == BASE or other.setting == variant.setting)
    ]
    same_preset = [other for other in candidates if other.preset == variant.preset]
    matches = same_preset or candidates
    return matches[0] if len(matches) == 1 else None


def first_setting(variant: Variant, planned: list[Variant]) -> Variant | None:
    """Return the same method, with the same model and preset, in its first setting in the study.

    None for the first setting itself and for the untrained model.
    """
    first = next(other for other in planned if replace(other, setting=variant.setting) == variant)
    return None if first == variant else first


def _pairs(
    group: Group, baseline: Group, study: StudyManifest, contamination: Contamination | None
) -> Iterator[Pair]:
    names = [benchmark.benchmark for benchmark in study.benchmarks]
    ours, theirs = ({name: side.correct_means(name) for name in names} for side in (group, baseline))

    def pair(benchmark: str, seeded_as: str, kept: Contamination) -> Pair:
        seed = derive_seed(study.study, "comparison", *group.labels.values(), baseline.method, seeded_as)
        method, against = (
            [side[name][:, kept_N] for name, kept_N in kept.items()] for side in (ours, theirs)
        )
        samples = [
            side.n_samples(name, kept_N) for side in (group, baseline) for name, kept_N in kept.items()
        ]
        several = min(group.train_seeds, baseline.train_seeds) >= MINIMUM_TRAINING_SEEDS
        return Pair(
            group,
            baseline,
            benchmark,
            n_samples=sum(samples),
            comparison=compare(method, against, seed),
            improvement=(
                _improvement(method, against, derive_seed(seed, "improvement"))
                if seeded_as == OVERALL and several
                else Improvement()
            ),
        )

    all_problems = {name: np.ones(ours[name].shape[1], dtype=bool) for name in names}
    for name in names:
        yield pair(name, name, {name: all_problems[name]})
    yield pair(OVERALL, OVERALL, all_problems)
    # The seed of "overall": without contamination the two rows are equal.
    if contamination is not None and (
        uncontaminated := {name: ~contamination[name] for name in names if not contamination[name].all()}
    ):
        yield pair(UNCONTAMINATED, OVERALL, uncontaminated)


def _improvement(ours: list[Floats], theirs: list[Floats], seed: int) -> Improvement:
    """Return the probability of improvement with its interval by the stratified bootstrap."""
    scores = [np.stack([values.mean(axis=1) for values in side], axis=1) for side in (ours, theirs)]
    generator = np.random.default_rng(seed)
    replicates = stratified_bootstrap(probability_of_improvement, *scores, generator=generator)
    return Improvement(probability_of_improvement(*scores), *percentile_interval(replicates))


def _corrected(pairs: list[Pair]) -> list[float]:
    """Return the p values of all pairs, each corrected within its family."""
    families: dict[tuple[str | None, ...], list[int]] = {}
    for position, pair in enumerate(pairs):
        families.setdefault(pair.family, []).append(position)
    corrected = [math.nan] * len(pairs)
    for positions in families.values():
        p_values = holm([pairs[position].comparison.p_value for position in positions])
        for position, p_value in zip(positions, p_values, strict=True):
            corrected[position] = p_value
    return corrected
