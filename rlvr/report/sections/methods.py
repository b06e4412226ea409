"""The one table of all methods: accuracy, differences, cost, behaviour, configuration."""

import math
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rlvr.report.charts.intervals import NO_PLOT
from rlvr.report.inputs import Inputs
from rlvr.report.methods.cells import MethodRow, benchmark_columns, method_rows, metric_columns
from rlvr.report.methods.columns import (
    ACCURACY,
    BEHAVIOUR,
    CONFIGURATION,
    COST,
    DIFFERENCE,
    GROUPS,
    Column,
    Filled,
)
from rlvr.report.methods.differences import (
    Difference,
    DifferenceColumns,
    all_differences,
    baseline_titles,
    default_baseline,
    difference_columns,
)
from rlvr.report.queries import (
    benchmark_order,
    benchmark_title,
    headline_benchmark,
    seeds_of_model,
    without_k,
)
from rlvr.report.section import Section


@dataclass(frozen=True, kw_only=True, slots=True)
class Methods:
    """Context of the section.

    Attributes:
        groups: group of columns -> the text of its button.
        columns: all columns.
        baselines: name in links -> title; ``baseline`` is the one that is shown first.
        benchmarks: name -> title; ``benchmark`` is the one that is shown first.
        first: the columns that menus change, as they are shown first; the others are in the rows.
        plots: the small plots of the differences, one per row, and whether their dots are filled.
        seeds: how many training seeds the numbers are of, in words, where the models agree.
        data: the same columns for every choice of baseline and benchmark.
    """

    groups: dict[str, str]
    columns: list[Column]
    rows: list[MethodRow]
    baselines: dict[str, str]
    baseline: str
    benchmarks: dict[str, str]
    benchmark: str
    first: dict[str, Filled]
    plots: list[tuple[Markup, bool]]
    seeds: str
    data: dict[str, Any]


def build(inputs: Inputs) -> Methods:
    """Return the table of all variants of all models."""
    rows = method_rows(inputs)
    metrics = [column for column in (*ACCURACY, *BEHAVIOUR) if _measured(inputs, column.metric)]
    changing = [column for column in (*metrics, *COST) if column.metric]
    benchmarks = {name: benchmark_title(inputs, name) for name in benchmark_order(inputs)}
    values = {name: metric_columns(inputs, rows, changing, name) for name in benchmarks}
    baselines, benchmark = baseline_titles(inputs), headline_benchmark(inputs)
    baseline = default_baseline(inputs, baselines)
    differences, improved = _differences(inputs, rows, baselines, benchmarks)
    nothing = difference_columns("", [None] * len(rows))
    shown = differences.get(baseline, {}).get(benchmark, nothing)
    compared = [column for column in DIFFERENCE if improved or column.id != "improvement"]
    configured = [column for column in CONFIGURATION if any(column.id in row.cells for row in rows)]
    seeds = list(dict.fromkeys(seeds_of_model(inputs, model) for model in inputs.study.models))
    columns = [*metrics[:1], *compared, *metrics[1:], *benchmark_columns(inputs), *COST, *configured]
    ids = {column.id for column in columns}
    return Methods(
        groups={name: title for name, title in GROUPS.items() if configured or name != "configuration"},
        columns=columns,
        rows=rows,
        baselines=baselines,
        baseline=baseline,
        benchmarks=benchmarks,
        benchmark=benchmark,
        first=values[benchmark] | shown.columns,
        plots=[(plot.figure(), plot.apart) if plot else (NO_PLOT, False) for plot in shown.plots],
        seeds=seeds[0] if len(seeds) == 1 else "",
        data={
            "values": {name: _packed(some, ids) for name, some in values.items()},
            "differences": {
                base: {
                    name: {"columns": _packed(one.columns, ids), "plots": one.plots}
                    for name, one in some.items()
                }
                for base, some in differences.items()
            },
        },
    )


def _measured(inputs: Inputs, metric: str) -> bool:
    return bool((inputs.summary["metric"].map(without_k) == metric).any())


def _differences(
    inputs: Inputs, rows: list[MethodRow], baselines: dict[str, str], benchmarks: dict[str, str]
) -> tuple[dict[str, dict[str, DifferenceColumns]], bool]:
    """Return the columns by baseline and benchmark, and whether one has a probability of improvement."""
    found = all_differences(inputs, rows)
    nothing: list[Difference | None] = [None] * len(rows)
    columns = {
        base: {
            name: difference_columns(title, found[base].get(name, nothing))
            for name in dict.fromkeys([*benchmarks, *found[base]])
        }
        for base, title in baselines.items()
    }
    all_of_them = (one for some in found.values() for rows_of in some.values() for one in rows_of)
    return columns, any(one and not math.isnan(one.improvement) for one in all_of_them)


def _packed(columns: dict[str, Filled], ids: Container[str]) -> dict[str, Any]:
    """Return the columns of the page for the script.

    Returns:
        Id -> [second line of the heading, [text, small text, value] by row].
    """
    return {
        name: [one.below, [[cell.text, cell.small, cell.value] for cell in one.cells]]
        for name, one in columns.items()
        if name in ids
    }


SECTION = Section(part="methods", order=10, id="methods", title="", template="methods.html", build=build)
