"""The tables beside the accuracies: other means, contaminated problems, rates, lengths and time."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from rlvr.artifacts import OVERALL, SAMPLE_WEIGHTED
from rlvr.report.charts.intervals import Estimate
from rlvr.report.inputs import Inputs
from rlvr.report.queries import benchmark_title, estimate_of, rows_of, seeds_text, without_k
from rlvr.report.text import count, number, percent

Show = Callable[[float], str]
Heading = tuple[str, str]
"""Title of a column, and the small text below it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """One column of numbers: the metric without its k, the two lines of the heading, the format."""

    metric: str
    title: str
    below: str = ""
    show: Show


def _tokens(value: float) -> str:
    return number(value, 1)


def _seconds(value: float) -> str:
    return number(value, 4 if value < 1 else 1)


def _points(value: float) -> str:
    return percent(value, "")


RATES = [
    Quantity(metric="avg/untruncated", title="Accuracy", below="untruncated only", show=percent),
    Quantity(
        metric="avg/truncated_as_incorrect", title="Accuracy", below="truncated as incorrect", show=percent
    ),
    Quantity(metric="avg/lenient", title="Accuracy", below="any answer format", show=percent),
    Quantity(metric="no_answer_rate", title="No answer", show=percent),
    Quantity(metric="unevaluated_rate", title="Not evaluated", show=percent),
    Quantity(metric="verifier_failure_rate", title="Not graded", show=percent),
    Quantity(metric="verifier_timeout_rate", title="Not graded", below="timeout", show=percent),
    Quantity(metric="truncation_rate", title="Truncated", show=percent),
    Quantity(metric="rerun_se", title="Rerun SE", below="points", show=_points),
]
LENGTHS = [
    Quantity(metric="tokens_mean", title="Mean", below="tokens", show=_tokens),
    Quantity(metric="tokens_p50", title="p50", below="tokens", show=number),
    Quantity(metric="tokens_p95", title="p95", below="tokens", show=number),
    Quantity(metric="tokens_mean/correct", title="Correct", below="mean tokens", show=_tokens),
    Quantity(metric="tokens_mean/incorrect", title="Incorrect", below="mean tokens", show=_tokens),
    Quantity(metric="seconds_mean", title="Per sample", below="seconds", show=_seconds),
    Quantity(metric="generation_device_seconds", title="All samples", below="device seconds", show=_tokens),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberRow:
    """The values of one variant on one benchmark; None where ``absence`` says why, NaN where undefined."""

    model: str
    label: str
    seeds: str
    absence: str
    benchmark: str
    values: list[float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberTable:
    """Values without intervals, one row per variant and benchmark."""

    quantities: list[Quantity]
    rows: list[NumberRow]


@dataclass(frozen=True, kw_only=True, slots=True)
class EstimateRow:
    """The estimates of one variant, one per column; None where it has not been measured."""

    model: str
    label: str
    seeds: str
    values: list[Estimate | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class EstimateTable:
    """Estimates with intervals, one row per variant; without headings there is nothing to show."""

    headings: list[Heading]
    rows: list[EstimateRow]


def numbers_table(inputs: Inputs, quantities: list[Quantity]) -> NumberTable:
    """Return those of the quantities that the study has."""
    frame = inputs.summary.assign(metric=inputs.summary["metric"].map(without_k))
    present = [quantity for quantity in quantities if (frame["metric"] == quantity.metric).any()]
    rows = []
    for variant in inputs.variants:
        mine = rows_of(frame, variant)
        seeds = seeds_text(inputs, variant, mine["train_seeds"].max()) if len(mine) else ""
        for entry in inputs.study.benchmarks:
            here = mine[mine["benchmark"] == entry.benchmark].set_index("metric")["value"]
            row = NumberRow(
                model=variant.model,
                label=inputs.label(variant),
                seeds=seeds,
                absence=inputs.absence(variant),
                benchmark=entry.title,
                values=[float(here.get(q.metric, math.nan)) if len(here) else None for q in present],
            )
            rows.append(row)
    return NumberTable(quantities=present, rows=rows)


def other_means(inputs: Inputs) -> EstimateTable:
    """Return the means over benchmarks beside the macro mean: sample-weighted, interquartile."""
    columns = {"Interquartile (IQM)": (OVERALL, "iqm")}
    if len(inputs.study.benchmarks) > 1:
        columns = {"Sample-weighted": (SAMPLE_WEIGHTED, "avg"), **columns}
    return _estimates(inputs, columns)


def contamination_table(inputs: Inputs) -> EstimateTable:
    """Return the accuracy on the contaminated and on the other problems of every contaminated benchmark."""
    columns = {
        f"{benchmark_title(inputs, entry.benchmark)}, {part}": (entry.benchmark, f"avg/{part}")
        for entry in inputs.study.benchmarks
        for part in ("contaminated", "uncontaminated")
    }
    return _estimates(inputs, columns)


def _estimates(inputs: Inputs, columns: dict[str, tuple[str, str]]) -> EstimateTable:
    """Return those columns (title -> benchmark and metric) that the study has."""
    frame = inputs.summary.assign(metric=inputs.summary["metric"].map(without_k))
    problems = {(row["benchmark"], row["metric"]): row["n_problems"] for row in frame.to_dict("records")}
    present = {title: place for title, place in columns.items() if place in problems}
    rows = []
    for variant in inputs.variants:
        mine = {(row["benchmark"], row["metric"]): row for row in rows_of(frame, variant).to_dict("records")}
        seeds = max((row["train_seeds"] for row in mine.values()), default=0)
        row = EstimateRow(
            model=variant.model,
            label=inputs.label(variant),
            seeds=seeds_text(inputs, variant, seeds) if mine else "",
            values=[
                estimate_of(mine[place], "value") if place in mine else None for place in present.values()
            ],
        )
        rows.append(row)
    headings = [(title, count(problems[place], "problem")) for title, place in present.items()]
    return EstimateTable(headings=headings, rows=rows)
