"""Which samples the page embeds: problems by what they show, and as many samples as there is room for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlvr.config.resolved import Variant
from rlvr.report.samples.outcomes import Counts, Outcomes, Shares

LIMIT_BYTES = 1_400_000
"""Of all chosen problems with their samples; with the counts of all problems it is 1.5 MB at the most."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why problems are chosen: how many of each benchmark, said in a sentence, and said of one of them."""

    count: int
    sentence: str
    label: str


REASONS = {
    "variance": Reason(10, "the {} on which the methods differ most", "methods differ"),
    "graders": Reason(5, "the {} on which the graders disagree most often", "graders disagree"),
    "truncated": Reason(5, "the {} with the most truncated samples", "truncated samples"),
    "first": Reason(4, "the first {}", "first in the data"),
}

EXCERPTS = [(600, 900), (300, 500), (150, 250), (80, 120)]
"""Characters of both ends of a long completion; the first pair for which one sample of every method fits."""


def choose_problems(outcomes: Outcomes) -> dict[int, list[str]]:
    """Return the chosen problems of a benchmark, by position in the data, each with its reasons.

    A problem with several reasons counts for each of them, so that there may be fewer problems than places.
    """
    chosen = {
        "variance": largest(between_method_variance(outcomes.shares()), REASONS["variance"].count),
        "graders": largest(outcomes.disagreeing(), REASONS["graders"].count),
        "truncated": largest(outcomes.truncated(), REASONS["truncated"].count),
        "first": list(range(min(REASONS["first"].count, len(outcomes.problems)))),
    }
    positions = sorted({position for found in chosen.values() for position in found})
    return {
        position: [reason for reason, found in chosen.items() if position in found] for position in positions
    }


def between_method_variance(shares: dict[Variant, Shares]) -> Shares:
    """Return the variance over methods of the share of correct samples, of each problem [N].

    The untrained model is one of the methods. Of several models it is the mean of their variances.
    """
    models: dict[str, list[Shares]] = {}
    for variant, share_N in shares.items():
        models.setdefault(variant.model, []).append(share_N)
    if not models:
        return np.zeros(0)
    return np.mean([np.var(share_MN, axis=0) for share_MN in models.values()], axis=0)


def largest(values_N: Shares | Counts, count: int) -> list[int]:
    """Return the positions of the largest values above 0, the largest first; equal ones in their order."""
    order = np.argsort(-values_N, kind="stable")[:count]
    return [int(position) for position in order if values_N[position] > 0]


def in_order_of_use(flags: Sequence[tuple[bool, bool, bool]]) -> list[int]:
    """Return the positions of the samples of one method on one problem, the most useful ones first.

    The first sample, the first with the other verdict, the first that is truncated and the first on which the
    graders disagree; then the others in their order.

    Args:
        flags: whether each sample is correct, is truncated, and has graders that disagree.
    """
    wanted = [(0, not flags[0][0]), (1, True), (2, True)] if flags else []
    special = [
        next((position for position, values in enumerate(flags) if values[index] == value), None)
        for index, value in wanted
    ]
    first = [0, *(position for position in special if position is not None)] if flags else []
    return list(dict.fromkeys([*first, *range(len(flags))]))


def rounds_within(costs: Sequence[Sequence[int]], limit: int) -> list[int]:
    """Return how many rounds of samples of each problem fit within a limit.

    Rounds are added in turn, one of every problem before the next one of any, until one does not fit.

    Args:
        costs: of each problem, the size of each of its rounds.
        limit: of the sum of the sizes.
    """
    kept = [0] * len(costs)
    used = 0
    for number in range(max(map(len, costs), default=0)):
        for problem, rounds in enumerate(costs):
            if number < len(rounds):
                used += rounds[number]
                if used > limit:
                    return kept
                kept[problem] = number + 1
    return kept
