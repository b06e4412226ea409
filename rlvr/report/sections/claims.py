"""What the study answers to the claims of the paper, each with the row of the comparisons behind it."""

from dataclasses import dataclass
from typing import Literal

from rlvr.artifacts import OVERALL, ClaimRecord
from rlvr.config.resolved import Variant
from rlvr.report.charts.intervals import Estimate
from rlvr.report.inputs import Inputs
from rlvr.report.queries import accuracies, benchmark_title
from rlvr.report.section import Section
from rlvr.report.sections.differences import anchor

Z = 1.96  # of a 95 % interval
VERDICTS: dict[Literal["replicated", "not_replicated", "inconclusive", "not_tested"], str] = {
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
class NumberBeside:
    """An accuracy of the paper beside that of this study."""

    place: str
    name: str
    benchmark: str
    paper: Estimate
    label: str
    here: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """Context of the section."""

    counts: dict[str, int]
    tested: list[Answered]
    numbers: list[NumberBeside]
    scaled: bool
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
        numbers=_numbers(inputs),
        scaled=inputs.study.scale is not None,
        not_tested=[one for one in answered if one.record.verdict == "not_tested"],
        alpha=inputs.claims[0].alpha,
        margin=inputs.claims[0].margin,
    )


def _numbers(inputs: Inputs) -> list[NumberBeside]:
    """Return each number of the paper that a tested claim rests on, by table, with that of this study."""
    measured = accuracies(inputs)
    found: dict[tuple[str, str], NumberBeside] = {}
    for record in inputs.claims:
        if record.paper is None or not record.row:
            continue
        row, benchmark = record.row, record.row["benchmark"]
        sides = [
            (record.paper.method, Variant(row["model"], row["method"], row["preset"], row["setting"])),
            (
                record.paper.baseline,
                Variant(row["model"], row["baseline"], row["baseline_preset"], row["baseline_setting"]),
            ),
        ]
        for number, variant in sides:
            here = measured.get((variant, benchmark))
            if here is not None:
                place, name = number.key.split("/", 1)
                half = Z * number.sampling_se
                found[number.key, benchmark] = NumberBeside(
                    place=place.replace("Table", "Table "),
                    name=name.removesuffix("/main"),
                    benchmark=benchmark_title(inputs, benchmark),
                    paper=Estimate(number.value, number.value - half, number.value + half),
                    label=inputs.label(variant),
                    here=here.estimate,
                )
    return [
        found[key] for key in sorted(found, key=lambda key: (key[0].partition("/")[0], key[1] != OVERALL))
    ]


def _answered(record: ClaimRecord) -> Answered:
    paper = record.paper
    half = Z * paper.se if paper else 0.0
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
