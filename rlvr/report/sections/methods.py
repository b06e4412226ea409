"""The one table of all methods: accuracy, differences, cost, behaviour, configuration."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rlvr.report.charts.intervals import difference_plot, difference_scale
from rlvr.report.inputs import Inputs
from rlvr.report.methods.cells import MethodRow, benchmark_columns, method_rows
from rlvr.report.methods.columns import (
    ACCURACY,
    BEHAVIOUR,
    CONFIGURATION,
    COST,
    GROUPS,
    Column,
)
from rlvr.report.methods.differences import (
    Difference,
    Differences,
    all_differences,
    baseline_titles,
    default_baseline,
    shown_first,
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
        columns: all columns but those of the difference, which follow the first one.
        baselines: name in links -> title; ``baseline`` is the one that is shown first.
        benchmarks: name -> title; ``benchmark`` is the one that is shown first.
        of: title of the benchmark of the metrics that a mean does not have.
        differences: one per row; ``plots`` are their drawings on the axis from ``low`` to ``high``.
        seeds: how many training seeds the numbers are of, in words, where the models agree.
        improvements: whether there is a probability of improvement.
        data: all values and differences, for the menus.
    """

    groups: dict[str, str]
    columns: list[Column]
    rows: list[MethodRow]
    baselines: dict[str, str]
    baseline: str
    benchmarks: dict[str, str]
    benchmark: str
    of: str
    differences: list[Difference | None]
    plots: list[Markup]
    low: float
    high: float
    seeds: str
    improvements: bool
    data: dict[str, Any]


def build(inputs: Inputs) -> Methods:
    """Return the table of all variants of all models."""
    metrics = [column for column in (*ACCURACY, *BEHAVIOUR) if _measured(inputs, column.metric)]
    columns = [*metrics, *COST]
    rows = method_rows(inputs, columns)
    configured = [column for column in CONFIGURATION if any(column.id in row.cells for row in rows)]
    differences = all_differences(inputs, rows)
    first = shown_first(inputs, differences, len(rows))
    scale = difference_scale([one.estimate for one in first if one])
    seeds = list(dict.fromkeys(seeds_of_model(inputs, model) for model in inputs.study.models))
    benchmarks = {name: benchmark_title(inputs, name) for name in benchmark_order(inputs)}
    return Methods(
        groups={name: title for name, title in GROUPS.items() if configured or name != "configuration"},
        columns=[*metrics, *benchmark_columns(inputs), *COST, *configured],
        rows=rows,
        baselines=baseline_titles(inputs),
        baseline=default_baseline(inputs),
        benchmarks=benchmarks,
        benchmark=headline_benchmark(inputs),
        of=inputs.study.benchmarks[0].title,
        differences=first,
        plots=[
            difference_plot(one.estimate, one.detectable, scale) if one else difference_plot(None, 0, scale)
            for one in first
        ],
        low=scale.low,
        high=scale.high,
        seeds=seeds[0] if len(seeds) == 1 else "",
        improvements=any(one and one.improvement == one.improvement for one in first),
        data=_data(inputs, rows, columns, differences, benchmarks),
    )


def _measured(inputs: Inputs, metric: str) -> bool:
    return bool((inputs.summary["metric"].map(without_k) == metric).any())


def _data(
    inputs: Inputs,
    rows: list[MethodRow],
    columns: list[Column],
    differences: Differences,
    benchmarks: dict[str, str],
) -> dict[str, Any]:
    """Return what the menus of the table show.

    ``values``: metric -> benchmark -> per row [value, low, high]; ``differences``: baseline -> benchmark ->
    per row [difference, low, high, p, detectable, improvement]; null where there is none.
    """
    values: dict[str, dict[str, list[list[float] | None]]] = {}
    for metric in (column.metric for column in columns if column.metric):
        for name in benchmarks:
            found = [row.values.get((name, metric)) for row in rows]
            if any(found):
                cells = [[one.value, one.low, one.high] if one else None for one in found]
                values.setdefault(metric, {})[name] = cells
    return {
        "first": inputs.study.benchmarks[0].benchmark,
        "values": values,
        "differences": {
            baseline: {name: [_packed(one) for one in some] for name, some in by_benchmark.items()}
            for baseline, by_benchmark in differences.items()
        },
    }


def _packed(one: Difference | None) -> list[float] | None:
    if one is None:
        return None
    return [
        *(one.estimate.value, one.estimate.low, one.estimate.high),
        one.p,
        one.detectable,
        one.improvement,
    ]


SECTION = Section(part="methods", order=10, id="methods", title="", template="methods.html", build=build)
