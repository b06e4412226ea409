"""Problem x method maps: how often each method solves each problem of a benchmark."""

from dataclasses import dataclass

import numpy as np

from rlvr.config.resolved import BASE, Variant
from rlvr.report.inputs import Inputs
from rlvr.report.samples.outcomes import Outcomes, Shares


@dataclass(frozen=True, kw_only=True, slots=True)
class ProblemMap:
    """One benchmark of one model.

    Attributes:
        outcomes: the benchmark.
        model: the model.
        variants: the rows, the untrained model first, then by accuracy; those without samples last.
        problems: the columns, as positions in the data, by the share of the untrained model.
        shares: share of correct samples of each problem [N], by variant; one without samples is absent.
    """

    outcomes: Outcomes
    model: str
    variants: list[Variant]
    problems: list[int]
    shares: dict[Variant, Shares]


def problem_maps(inputs: Inputs, benchmarks: list[Outcomes]) -> list[ProblemMap]:
    """Return the maps of all benchmarks and models with samples."""
    return [
        _problem_map(inputs, outcomes, model)
        for outcomes in benchmarks
        for model in inputs.study.models
        if any(run.model == model for run in outcomes.runs)
    ]


def _problem_map(inputs: Inputs, outcomes: Outcomes, model: str) -> ProblemMap:
    shares = {variant: share_N for variant, share_N in outcomes.shares().items() if variant.model == model}
    variants = [variant for variant in inputs.variants if variant.model == model]
    return ProblemMap(
        outcomes=outcomes,
        model=model,
        variants=sorted(variants, key=lambda variant: _rank(variant, shares)),
        problems=problem_order(shares),
        shares=shares,
    )


def _rank(variant: Variant, shares: dict[Variant, Shares]) -> tuple[bool, bool, float]:
    measured = variant in shares
    return not measured, variant.method != BASE, -float(shares[variant].mean()) if measured else 0.0


def problem_order(shares: dict[Variant, Shares]) -> list[int]:
    """Return the problems by the share of the untrained model, the largest first, then by the mean share.

    Without the untrained model the mean share alone decides.
    """
    mean_N = np.mean(list(shares.values()), axis=0)
    base_N = next((share_N for variant, share_N in shares.items() if variant.method == BASE), mean_N)
    return [int(position) for position in np.lexsort((-mean_N, -base_N))]
