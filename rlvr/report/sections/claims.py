"""What the study answers to the claims of the paper, each with the row of the comparisons behind it."""

from dataclasses import dataclass

from rlvr.artifacts import ClaimRecord
from rlvr.report.charts.intervals import Estimate
from rlvr.report.inputs import Inputs
from rlvr.report.section import Section
from rlvr.report.sections.differences import anchor

VERDICTS = {
    "replicated": "replicated",
    "not_replicated": "not replicated",
    "inconclusive": "inconclusive",
    "not_tested": "not tested",
}
"""Verdict -> words, in the order of the summary."""
REGISTERED = {
    "unchanged": "",
    "changed": "the test was changed after the first training",
    "added": "added after the first training",
    "unregistered": "the test was not registered before the first training",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """One claim with its answer; ``anchor`` leads to its row, ``estimate`` and ``paper`` are differences."""

    record: ClaimRecord
    verdict: str
    estimate: Estimate | None
    paper: Estimate | None
    anchor: str
    registered: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """Context of the section."""

    counts: dict[str, int]
    tested: list[Answered]
    not_tested: list[Answered]
    alpha: float
    margin: float


def build(inputs: Inputs) -> Claims | None:
    """Return the claims, those that the study tests first; None where they have not been answered."""
    if not inputs.claims:
        return None
    answered = [_answered(record) for record in inputs.claims]
    return Claims(
        counts={
            words: sum(one.record.verdict == verdict for one in answered)
            for verdict, words in VERDICTS.items()
        },
        tested=[one for one in answered if one.record.verdict != "not_tested"],
        not_tested=[one for one in answered if one.record.verdict == "not_tested"],
        alpha=inputs.claims[0].alpha,
        margin=inputs.claims[0].margin,
    )


def _answered(record: ClaimRecord) -> Answered:
    paper = record.paper
    half = 1.96 * paper.se if paper else 0.0
    return Answered(
        record=record,
        verdict=VERDICTS[record.verdict],
        estimate=_estimate(record),
        paper=Estimate(paper.difference, paper.difference - half, paper.difference + half) if paper else None,
        anchor=anchor(record.row) if record.row else "",
        registered=REGISTERED[record.registered] if record.verdict != "not_tested" else "",
    )


def _estimate(record: ClaimRecord) -> Estimate | None:
    if record.statistic is None:
        return None
    unknown = float("nan")
    low = unknown if record.ci_low is None else record.ci_low
    high = unknown if record.ci_high is None else record.ci_high
    return Estimate(record.statistic, low, high)


SECTION = Section(order=45, id="claims", title="Claims of the paper", template="claims.html", build=build)
