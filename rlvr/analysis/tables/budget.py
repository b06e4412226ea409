"""Accuracy against token budget: what if every completion were truncated at b tokens?

A sample counts as correct at budget b only if it is correct and no longer than b. This is a lower bound of
the accuracy of a model that is asked to be brief, and a fair comparison of methods: one that is correct in
fewer tokens rises earlier.
"""

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from rlvr.analysis.inputs.groups import Group
from rlvr.analysis.stats.estimators import estimate_mean
from rlvr.artifacts import BudgetRow
from rlvr.config.resolved import StudyManifest
from rlvr.seeds import derive_seed


def budget_rows(groups: list[Group], study: StudyManifest) -> Iterator[BudgetRow]:
    """Yield the accuracy of every method on every benchmark at every budget; methods share the budgets."""
    for group in groups:
        for benchmark in (entry.benchmark for entry in study.benchmarks):
            runs = group.scores[benchmark]
            seed = derive_seed(study.study, "budget", *group.labels.values(), benchmark)
            for budget in budgets_of(groups, benchmark):
                values_RN = np.stack([(run.correct & (run.tokens <= budget)).mean(axis=1) for run in runs])
                yield BudgetRow(
                    study=study.study,
                    **group.labels,
                    train_seeds=group.train_seeds,
                    benchmark=benchmark,
                    budget=budget,
                    **asdict(estimate_mean(values_RN, seed)),
                    n_samples=group.n_samples(benchmark),
                )


def budgets_of(groups: list[Group], benchmark: str) -> list[int]:
    """Return the budgets of a benchmark: from its shortest sample to its longest, two steps per doubling."""
    tokens = [run.tokens for group in groups for run in group.scores[benchmark]]
    return budgets(int(min(values.min() for values in tokens)), int(max(values.max() for values in tokens)))


def budgets(shortest: int, longest: int) -> list[int]:
    """Return both ends and the rounded powers of sqrt(2) between them: 1, 2, 3, 4, 6, 8, 11, 16 .."""
    steps = range(2 * longest.bit_length() + 1)
    powers = {round(2 ** (step / 2)) for step in steps}
    return sorted({power for power in powers if shortest < power < longest} | {max(shortest, 1), longest})
