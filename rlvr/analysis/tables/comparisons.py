"""The rows of ``comparisons.csv``: every trained method against every baseline of the study."""

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from rlvr.analysis.inputs.contamination import Seen
from rlvr.analysis.inputs.groups import OVERALL, UNCONTAMINATED, Group, Row
from rlvr.analysis.stats.paired import compare, holm
from rlvr.analysis.stats.resampling import (
    MINIMUM_TRAINING_SEEDS,
    Floats,
    percentile_interval,
    probability_of_improvement,
    stratified_bootstrap,
)
from rlvr.config.resolved import BASE, StudyManifest
from rlvr.seeds import derive_seed

BASELINES = (BASE, "full", "lora")


def comparison_rows(groups: list[Group], study: StudyManifest, seen: Seen | None) -> list[Row]:
    """Return the paired differences of every trained method against every baseline, corrected by Holm.

    Args:
        groups: the methods.
        study: its benchmarks.
        seen: the problems that were seen in training; None where nobody has looked.
    """
    return _corrected(
        [
            row
            for group in groups
            for method in BASELINES
            if (baseline := find_baseline(group, method, groups)) is not None
            for row in _rows_of_pair(group, baseline, study, seen)
        ]
    )


def _rows_of_pair(group: Group, baseline: Group, study: StudyManifest, seen: Seen | None) -> Iterator[Row]:
    names = [benchmark.benchmark for benchmark in study.benchmarks]
    seeds = [side.train_seeds for side in (group, baseline) if side.method != BASE]
    common = {**group.labels, "baseline": baseline.method, "train_seeds": min(seeds)}
    ours, theirs = ({name: side.correct_means(name) for name in names} for side in (group, baseline))

    def row(benchmark: str, drawn_as: str, kept: Seen) -> Row:
        seed = derive_seed(study.study, "comparison", *group.labels.values(), baseline.method, drawn_as)
        method, against = (
            [side[name][:, kept_N] for name, kept_N in kept.items()] for side in (ours, theirs)
        )
        samples = [
            side.n_samples(name, kept_N) for side in (group, baseline) for name, kept_N in kept.items()
        ]
        row = {
            **common,
            "benchmark": benchmark,
            "n_samples": sum(samples),
            **asdict(compare(method, against, seed)),
        }
        if drawn_as == OVERALL and baseline.method != BASE and min(seeds) >= MINIMUM_TRAINING_SEEDS:
            row |= _improvement(method, against, derive_seed(seed, "improvement"))
        return row

    everything = {name: np.ones(ours[name].shape[1], dtype=bool) for name in names}
    for name in names:
        yield row(name, name, {name: everything[name]})
    yield row(OVERALL, OVERALL, everything)
    # the draws of "overall": without contamination the two rows are equal
    if seen is not None and (unseen := {name: ~seen[name] for name in names if not seen[name].all()}):
        yield row(UNCONTAMINATED, OVERALL, unseen)


def _improvement(ours: list[Floats], theirs: list[Floats], seed: int) -> Row:
    """Return the columns of the probability of improvement, its interval by the stratified bootstrap."""
    scores = [np.stack([values.mean(axis=1) for values in side], axis=1) for side in (ours, theirs)]
    generator = np.random.default_rng(seed)
    replicates = stratified_bootstrap(probability_of_improvement, *scores, generator=generator)
    low, high = percentile_interval(replicates)
    return {
        "probability_of_improvement": probability_of_improvement(*scores),
        "improvement_ci_low": low,
        "improvement_ci_high": high,
    }


def find_baseline(group: Group, method: str, groups: list[Group]) -> Group | None:
    """Return the baseline of a group: same model and setting, and the same preset where it has several.

    None where the study has no such baseline, where the group is the untrained model or uses the baseline's
    own method, and where the baseline has several presets but not the group's: no fair partner then.
    """
    if group.method in (BASE, method):
        return None
    candidates = [
        other
        for other in groups
        if other.method == method
        and other.model == group.model
        and (method == BASE or other.setting == group.setting)
    ]
    same_preset = [other for other in candidates if other.preset == group.preset]
    matches = same_preset or candidates
    return matches[0] if len(matches) == 1 else None


def _corrected(rows: list[Row]) -> list[Row]:
    """Return the rows with ``p_holm``: all methods and presets against one baseline are one family."""
    families: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        families.setdefault(
            tuple(row[key] for key in ("model", "setting", "baseline", "benchmark")), []
        ).append(row)
    for family in families.values():
        for row, p_value in zip(family, holm([row["p_value"] for row in family]), strict=True):
            row["p_holm"] = p_value
    return rows
