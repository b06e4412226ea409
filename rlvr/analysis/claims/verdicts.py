"""From a paired difference to a verdict.

A claim says that a method is above or below a baseline, or equal to it within a margin. Its test has two
parts, both fixed in `config/claims/paper.yaml` before the data:

1. Direction. The p of a claim is the larger of two: over other training seeds and problems (the hierarchical
   bootstrap of the comparison), and over training seeds alone (Welch). It is corrected by Holm over the
   claims of a family. For a claim of equality it is that of the t test that the difference is within, or
   beyond, the margin (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15), over training seeds.
2. Size, where the study has the paper's model: the paper's difference must be in the interval around ours,
   which has the uncertainty of both and is corrected (Bonferroni) for the claims of the family.

`replicated`: the direction holds and the size agrees. `not_replicated`: the opposite direction holds, or the
paper's size is outside the interval. `inconclusive`: neither can be told, or a side has too few training
seeds; then there are only points for or against the claim.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rlvr.analysis.claims.paper import PaperEffect
from rlvr.analysis.stats import student_t
from rlvr.analysis.stats.uncertainty import NO_SPREAD
from rlvr.config.claims import Criterion

Direction = Literal["above", "below", "equal"]
Verdict = Literal["replicated", "not_replicated", "inconclusive", "not_tested"]
Points = Literal["for", "against"]


@dataclass(frozen=True)
class Evidence:
    """A row of ``comparisons.csv``, as far as a verdict needs it; NaN where unknown."""

    difference: float
    se: float
    ci_low: float
    ci_high: float
    p_value: float
    se_seeds: float
    p_seeds: float
    train_seeds: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Evidence":
        """Take the numbers of a row."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})

    @property
    def largest_se(self) -> float:
        """The larger of the two standard errors that are known; 0 where neither is."""
        return max([se for se in (self.se, self.se_seeds) if not math.isnan(se)], default=0.0)

    @property
    def one_seed(self) -> float:
        """The SE of a difference of two single training runs, from the spread over seeds; 0 if unknown."""
        return 0.0 if math.isnan(self.se_seeds) else self.se_seeds * math.sqrt(self.train_seeds)

    @property
    def degrees(self) -> int:
        """The degrees of freedom of a spread over training seeds: those of the smaller side."""
        return max(self.train_seeds - 1, 1)


@dataclass(frozen=True)
class Answer:
    """The verdict on one claim, and why."""

    verdict: Verdict
    points: Points
    reason: str


def claim_p(direction: Direction, evidence: Evidence, criterion: Criterion) -> float:
    """Return the p of a claim before correction; which side it speaks for, :func:`points` says."""
    if direction != "equal":
        return max(p for p in (evidence.p_value, evidence.p_seeds) if not math.isnan(p))
    distance = abs(abs(evidence.difference) - criterion.margin)
    se = evidence.largest_se
    if se < NO_SPREAD:
        return 0.0
    return student_t.cdf(-distance / se, evidence.degrees)


def points(direction: Direction, evidence: Evidence, criterion: Criterion) -> Points:
    """Return whether a difference is on the side of the claim."""
    sides = {
        "above": evidence.difference > 0,
        "below": evidence.difference < 0,
        "equal": abs(evidence.difference) <= criterion.margin,
    }
    return "for" if sides[direction] else "against"


def size_agrees(evidence: Evidence, paper: PaperEffect, claims_of_family: int, criterion: Criterion) -> bool:
    """Return whether the paper's difference is in the interval around ours, with the uncertainty of both."""
    tail = criterion.alpha / (2 * claims_of_family)
    quantile = student_t.quantile(1 - tail, 2 * evidence.degrees)
    se = math.hypot(evidence.largest_se, paper.se(evidence.one_seed))
    return bool(abs(evidence.difference - paper.difference) <= quantile * se)


def decide(
    direction: Direction,
    evidence: Evidence,
    p_holm: float,
    criterion: Criterion,
    agrees: bool | None,
    of_paper: bool,
) -> Answer:
    """Return the verdict on a claim.

    Args:
        direction: of the claim.
        evidence: the comparison.
        p_holm: its :func:`claim_p`, corrected over the family.
        criterion: level, margin and training seeds.
        agrees: whether the size agrees with the paper's; None where sizes cannot be compared.
        of_paper: whether the paper makes the claim; a hypothesis of our own has no size to compare with.
    """
    side = points(direction, evidence, criterion)
    significant = p_holm < criterion.alpha
    if evidence.train_seeds < criterion.train_seeds:
        return Answer(
            "inconclusive",
            side,
            f"points {side} the claim: {evidence.train_seeds} training seed compares runs, not methods",
        )
    if significant and side == "against":
        what = "the difference exceeds the margin" if direction == "equal" else "the opposite holds"
        return Answer("not_replicated", side, what)
    if agrees is False:
        return Answer("not_replicated", side, "the paper's size is outside the interval")
    if significant:
        what = "the difference is within the margin" if direction == "equal" else "the direction holds"
        size = ", and the size agrees" if agrees else ", its size cannot be compared with the paper's"
        return Answer("replicated", side, what + (size if of_paper else ""))
    return Answer(
        "inconclusive", side, f"points {side} the claim, within the uncertainty over training seeds"
    )
