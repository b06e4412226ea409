"""The paired differences of all methods from every baseline that the study compares with."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlvr.config.resolved import BASE
from rlvr.report.charts.intervals import DifferencePlot, Estimate, difference_plot, difference_scale
from rlvr.report.inputs import Inputs
from rlvr.report.methods.cells import MethodRow
from rlvr.report.methods.columns import UNKNOWN, Cell, Filled
from rlvr.report.queries import estimate_of, told_apart, variant_of
from rlvr.report.ranking import ranking
from rlvr.report.text import p_value, percent, points

KINDS = {"methods": "baseline", "presets": "baseline_preset", "settings": "baseline_setting"}
"""Kind of contrast -> the column that names the baseline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One paired difference.

    Attributes:
        p: corrected by Holm within its family.
        detectable: minimum detectable difference, at 80 % power.
        improvement: probability of improvement, NaN with fewer than three training seeds.
    """

    estimate: Estimate
    p: float
    detectable: float
    improvement: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DifferenceColumns:
    """The columns of the differences from one baseline on one benchmark, and their small plots by row."""

    columns: dict[str, Filled]
    plots: list[DifferencePlot | None]


Differences = Mapping[str, Mapping[str, Sequence[Difference | None]]]
"""Baseline -> benchmark -> one per row of the table."""


def baseline_titles(inputs: Inputs) -> dict[str, str]:
    """Return every baseline of the study, by its name in links, with its title."""
    titles: dict[str, str] = {}
    same = " of the same preset" if len({variant.preset for variant in inputs.trained}) > 1 else ""
    pairs = inputs.comparisons[["contrast", *KINDS.values()]].drop_duplicates()
    for row in pairs.to_dict("records"):
        name = row[KINDS[row["contrast"]]]
        if row["contrast"] == "methods":
            title = "the untrained model" if name == BASE else f"{name}{same}"
        else:
            title = f"the same method, {_kind(row)} {name}"
        titles[_baseline(row)] = title
    return titles


def default_baseline(inputs: Inputs, titles: Mapping[str, str]) -> str:
    """Return the baseline that is shown first: that of the ranking."""
    orders = (ranking(inputs, model) for model in inputs.study.models)
    wanted = next((order.reference for order in orders if order), BASE)
    return wanted if wanted in titles else next(iter(titles), "")


def all_differences(inputs: Inputs, rows: list[MethodRow]) -> Differences:
    """Return all comparisons of the study, by baseline and benchmark, in the order of the rows."""
    place = {row.variant: index for index, row in enumerate(rows)}
    found: dict[str, dict[str, list[Difference | None]]] = {}
    for row in inputs.comparisons.to_dict("records"):
        nothing: list[Difference | None] = [None] * len(rows)
        here = found.setdefault(_baseline(row), {}).setdefault(row["benchmark"], nothing)
        here[place[variant_of(row)]] = Difference(
            estimate=estimate_of(row, "difference"),
            p=row["p_holm"],
            detectable=row["minimum_detectable"],
            improvement=row["probability_of_improvement"],
        )
    return found


def difference_columns(baseline: str, found: Sequence[Difference | None]) -> DifferenceColumns:
    """Return the columns of the differences from a baseline with that title, all plots on one axis."""
    scale = difference_scale([one.estimate for one in found if one])
    cells = {
        "difference": [_difference_cell(one) for one in found],
        "p": [Cell(text=p_value(one.p), value=one.p) if one else UNKNOWN for one in found],
        "detectable": [
            _number(one.detectable if one else None, lambda value: percent(value, "")) for one in found
        ],
        "improvement": [
            _number(one.improvement if one else None, lambda value: f"{value:.2f}") for one in found
        ],
    }
    below = {"difference": baseline, "p": "Holm", "detectable": "points", "improvement": ""}
    columns = {name: Filled(below=below[name], cells=some) for name, some in cells.items()}
    columns["plot"] = Filled(below=f"{points(scale.low, '')} to {points(scale.high, '')}", cells=[])
    return DifferenceColumns(
        columns=columns,
        plots=[
            difference_plot(one.estimate, one.detectable, told_apart(one.estimate, one.p), scale)
            if one
            else None
            for one in found
        ],
    )


def table_link(inputs: Inputs, row: dict) -> str:
    """Return the link to the table of methods that shows the comparison of a row of `comparisons.csv`."""
    return f"#methods?base={_baseline(row)}&on={row['benchmark']}&pin={inputs.key(variant_of(row))}"


def _kind(row: Mapping[Any, Any]) -> str:
    return str(row["contrast"]).removesuffix("s")


def _baseline(row: Mapping[Any, Any]) -> str:
    """Return the name of the baseline in links: ``lora``, ``preset.recommended``, ``setting.main``."""
    name = str(row[KINDS[row["contrast"]]])
    return name if row["contrast"] == "methods" else f"{_kind(row)}.{name}"


def _difference_cell(one: Difference | None) -> Cell:
    if one is None:
        return UNKNOWN
    low, high = points(one.estimate.low, ""), points(one.estimate.high, "")
    small = f"{low} to {high}" if len(one.estimate.bounds) == 3 else ""
    return Cell(text=points(one.estimate.value, ""), small=small, value=one.estimate.value)


def _number(value: float | None, words: Callable[[float], str]) -> Cell:
    return UNKNOWN if value is None or math.isnan(value) else Cell(text=words(value), value=value)
