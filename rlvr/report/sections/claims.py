"""What the study answers to the claims of the paper and to its own, each with the comparison behind it."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rlvr.artifacts import OVERALL, ClaimRecord
from rlvr.config.claims import Pair
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
        estimate: the difference that answers it; None where the study does not test it.
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
class SameMethods:
    """A comparison of the two methods of a claim that the study does not test.

    Attributes:
        where: model, preset and setting, those that the study has several of.
        link: to the row of the table of methods.
    """

    where: str
    estimate: Estimate
    link: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Touched:
    """A claim of the paper that the study does not test, but whose two methods it compares.

    Attributes:
        here: its comparisons of the two, in the order of the study.
        hypotheses: those of the study's own hypotheses that are about the two.
    """

    claim: Answered
    here: list[SameMethods]
    hypotheses: list[Answered]


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
    touched: list[Touched]
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
    hypotheses = [_answered(inputs, record) for record in inputs.hypotheses]
    not_tested = [one for one in answered if one.record.verdict == "not_tested"]
    touched = [one for one in (_touched(inputs, claim, hypotheses) for claim in not_tested) if one.here]
    ids = {one.claim.record.id for one in touched}
    return Claims(
        counts=dict(Counter(one.verdict for one in answered)),
        tested=[one for one in answered if one.record.verdict != "not_tested"],
        numbers=_numbers(inputs),
        scaled=inputs.study.scale is not None,
        touched=touched,
        not_tested=[one for one in not_tested if one.record.id not in ids],
        margin=inputs.claims[0].margin,
        hypotheses=hypotheses,
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
    """Return the comparison that answers a claim."""
    found = _rows(inputs, record.row) if record.row else []
    return found[0] if len(found) == 1 else None


def _touched(inputs: Inputs, claim: Answered, hypotheses: list[Answered]) -> Touched:
    """Return what a study says of the two methods of a claim that it does not test."""
    pair, here = claim.record.contrast, []
    # A claim about two settings of one study has no counterpart in another, whose settings are others.
    if pair is not None and pair.setting == pair.baseline_setting:
        here = _rows(inputs, {"contrast": "methods", **_methods(pair), "benchmark": pair.benchmark})
    return Touched(
        claim=claim,
        here=[_same_methods(inputs, row) for row in here],
        hypotheses=[
            one
            for one in hypotheses
            if pair and one.record.contrast and _methods(one.record.contrast) == _methods(pair)
        ],
    )


def _methods(pair: Pair) -> dict[str, str]:
    return {"method": pair.method, "baseline": pair.baseline}


def _same_methods(inputs: Inputs, row: dict[str, Any]) -> SameMethods:
    variant = Variant(row["model"], row["method"], row["preset"], row["setting"])
    where = [variant.model] * inputs.several_models + [inputs.conditions(variant)]
    return SameMethods(
        where=" · ".join(filter(None, where)),
        estimate=estimate_of(row, "difference"),
        link=table_link(inputs, row),
    )


def _rows(inputs: Inputs, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the comparisons with these values."""
    frame = inputs.comparisons
    found = frame[(frame[list(wanted)] == pd.Series(dict(wanted))).all(axis=1)]
    return [{str(key): value for key, value in row.items()} for row in found.to_dict("records")]


SECTION = Section(part="claims", order=10, id="claims", title="", template="claims.html", build=build)
