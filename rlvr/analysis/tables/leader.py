"""The rows of ``leader.csv``: which methods cannot be told from the best one."""

from collections.abc import Iterator

import numpy as np

from rlvr.analysis.inputs.groups import Group
from rlvr.analysis.stats.paired import compare
from rlvr.artifacts import LeaderRow
from rlvr.config.resolved import BASE, StudyManifest
from rlvr.seeds import derive_seed


def leader_rows(groups: list[Group], study: StudyManifest) -> list[LeaderRow]:
    """Return one row per trained method but the leader of its model, in the order of the study.

    The leader is the method with the highest mean over benchmarks; of equal ones, the first.
    """
    return [row for model in study.models for row in _of_model(_trained(groups, model), study)]


def _trained(groups: list[Group], model: str) -> list[Group]:
    return [group for group in groups if group.model == model and group.method != BASE]


def _of_model(groups: list[Group], study: StudyManifest) -> Iterator[LeaderRow]:
    names = [entry.benchmark for entry in study.averaged]
    means = [[group.correct_means(name) for name in names] for group in groups]
    pairs = len(groups) * (len(groups) - 1) // 2
    best = int(np.argmax([np.mean([values.mean() for values in one]) for one in means])) if groups else 0
    for position, group in enumerate(groups):
        if position == best:
            continue
        seed = derive_seed(study.study, "leader", *group.labels.values())
        found = compare(means[position], means[best], seed, permute=False)
        yield LeaderRow(
            study=study.study,
            **group.labels,
            leader=groups[best].method,
            leader_preset=groups[best].preset,
            leader_setting=groups[best].setting,
            difference=found.difference,
            se=found.se,
            ci_low=found.ci_low,
            ci_high=found.ci_high,
            p_value=found.p_value,
            p_corrected=min(1.0, pairs * found.p_value),
            train_seeds=min(group.train_seeds, groups[best].train_seeds),
            missing_seeds=group.missing_seeds + groups[best].missing_seeds,
        )
