"""The rows of ``forgetting.csv``: what training changed on the benchmarks that measure what it unlearns."""

import math
from collections.abc import Iterator

from rlvr.analysis.inputs.groups import Group
from rlvr.analysis.stats.paired import DIFFERENCE, Comparison, compare, holm
from rlvr.analysis.stats.resampling import Floats
from rlvr.artifacts import ForgettingRow
from rlvr.config.resolved import BASE, StudyManifest
from rlvr.seeds import derive_seed

UNBOUNDED = (-math.inf, math.inf)
"""Bounds of a difference of log-probabilities."""
Measured = tuple[Group, str, str, Floats, Floats, Comparison]
"""A method, benchmark and measure, its values and those of the untrained model, and how they compare."""


def forgetting_rows(groups: list[Group], study: StudyManifest) -> list[ForgettingRow]:
    """Return one row per trained method, forgetting benchmark and measure.

    A model whose untrained answers are missing has none.

    Args:
        groups: the methods, in the order of the study.
        study: its benchmarks.
    """
    untrained = {group.model: group for group in groups if group.method == BASE}
    measured = [
        one
        for group in groups
        if group.method != BASE and group.model in untrained
        for one in _measured(group, untrained[group.model], study)
    ]
    return [
        ForgettingRow(
            study=study.study,
            **group.labels,
            benchmark=benchmark,
            measure=measure,
            before=float(before.mean()),
            after=float(after.mean()),
            difference=compared.difference,
            se=compared.se,
            ci_low=compared.ci_low,
            ci_high=compared.ci_high,
            p_value=compared.p_value,
            p_holm=p_holm,
            n_problems=compared.n_problems,
            train_seeds=group.train_seeds,
            missing_seeds=group.missing_seeds,
        )
        for (group, benchmark, measure, after, before, compared), p_holm in zip(
            measured, _corrected(measured), strict=True
        )
    ]


def _measured(group: Group, untrained: Group, study: StudyManifest) -> Iterator[Measured]:
    for entry in study.forgetting:
        name = entry.benchmark
        sides = {
            "accuracy": (group.correct_means(name), untrained.correct_means(name), DIFFERENCE),
            "logprob": (group.references[name], untrained.references[name], UNBOUNDED),
        }
        for measure, (after, before, bounds) in sides.items():
            seed = derive_seed(study.study, "forgetting", *group.labels.values(), name, measure)
            yield group, name, measure, after, before, compare([after], [before], seed, bounds=bounds)


def _corrected(measured: list[Measured]) -> list[float]:
    """Return the p values, each corrected for all methods of its model and setting on its benchmark."""
    families: dict[tuple[str, ...], list[int]] = {}
    for position, (group, benchmark, measure, *_) in enumerate(measured):
        families.setdefault((group.model, group.setting, benchmark, measure), []).append(position)
    corrected = [math.nan] * len(measured)
    for positions in families.values():
        p_values = holm([measured[position][-1].p_value for position in positions])
        for position, p_value in zip(positions, p_values, strict=True):
            corrected[position] = p_value
    return corrected
