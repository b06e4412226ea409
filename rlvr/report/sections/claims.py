"""What the study answers to the claims of the paper and to its own, each with the comparison behind it."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rlvr.artifacts import OVERALL, ClaimRecord
from rlvr.config.resolved import Variant
from rlvr.report.charts.intervals import Estimate
from rlvr.report.inputs import Inputs
from rlvr.report.methods.differences import table_link
from rlvr.report.paper import claim_words
from rlvr.report.queries import accuracies, benchmark_title, estimate_of
from rlvr.report.section import Section

Z = 1.96  # of a 95 % interval
REGISTERED = {
    "unchanged": "",
    "changed": "the test was changed after the first training",
    "added": "added after the first training",
    "unregistered": "the test was not registered before the first training",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """One claim with its answer.

    Attributes:
        verdict: in words; with one training seed only for which side the points are.
        estimate: the difference of this study; of a claim that it does not test, that of the same methods.
        paper: the paper's difference.
        detectable: minimum detectable difference, at 80 % power, NaN where unknown.
        link: to the row of the table of methods.
        registered: what is wrong with the registration of the test.
    """

    record: ClaimRecord
    verdict: str
    detectable: float
    estimate: Estimate | None
    paper: Estimate | None
    link: str
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
    margin: float
    hypotheses: list[Answered]
    """Claims of our own; ``hypothesis_margin``: what counts as equal there."""
    hypothesis_margin: float


def build(inputs: Inputs) -> Claims | None:
    """Return the claims, those that the study tests first; None where they have not been answered."""
    if not inputs.claims:
        return None
    answered = [_answered(inputs, record) for record in inputs.claims]
    return Claims(
        counts=dict(Counter(one.verdict for one in answered)),
        tested=[one for one in answered if one.record.verdict != "not_tested"],
        numbers=_numbers(inputs),
        scaled=inputs.study.scale is not None,
        not_tested=[one for one in answered if one.record.verdict == "not_tested"],
        margin=inputs.claims[0].margin,
        hypotheses=[_answered(inputs, record) for record in inputs.hypotheses],
        hypothesis_margin=inputs.hypotheses[0].margin if inputs.hypotheses else math.nan,
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
                    benchmark="Overall" if benchmark == OVERALL else benchmark_title(inputs, benchmark),
                    paper=Estimate(number.value, number.value - half, number.value + half),
                    label=inputs.label(variant),
                    here=here.estimate,
                )
    return [
        found[key] for key in sorted(found, key=lambda key: (key[0].partition("/")[0], key[1] != OVERALL))
    ]


def _answered(inputs: Inputs, record: ClaimRecord) -> Answered:
    paper, row = record.paper, _row_of(inputs, record)
    half = Z * paper.se if paper else 0.0
    return Answered(
        record=record,
        verdict=claim_words(record),
        detectable=row["minimum_detectable"] if row else float("nan"),
        estimate=estimate_of(row, "difference") if row else None,
        paper=Estimate(paper.difference, paper.difference - half, paper.difference + half) if paper else None,
        link=table_link(inputs, row) if row else "",
        registered=REGISTERED[record.registered] if record.verdict != "not_tested" else "",
    )


def _row_of(inputs: Inputs, record: ClaimRecord) -> dict[str, Any] | None:
    """Return the comparison that answers a claim, or the only one of the same two methods."""
    frame = inputs.comparisons
    if record.row:
        wanted = dict(record.row)
    elif record.contrast and record.contrast.setting == record.contrast.baseline_setting:
        wanted = {
            "contrast": "methods",
            "method": record.contrast.method,
            "baseline": record.contrast.baseline,
            "benchmark": record.contrast.benchmark,
        }
    else:
        return None
    found = frame[(frame[list(wanted)] == pd.Series(wanted)).all(axis=1)].to_dict("records")
    return {str(key): value for key, value in found[0].items()} if len(found) == 1 else None


SECTION = Section(part="claims", order=10, id="claims", title="", template="claims.html", build=build)
