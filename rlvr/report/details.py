"""The tables that are folded away: other means, seen and unseen problems, rates, lengths and time."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from rlvr.report.charts.intervals import Estimate
from rlvr.report.inputs import OVERALL, SAMPLE_WEIGHTED, Inputs, rows_of
from rlvr.report.tables import benchmark_title, seeds_text
from rlvr.report.text import count, number, percent

Show = Callable[[float], str]
Heading = tuple[str, str]
"""Title of a column, and what stands below it."""


@dataclass(frozen=True)
class Quantity:
    """One column of numbers: the metric without its k, what stands above it, how a value is written."""

    metric: str
    title: str
    below: str
    show: Show


def _tokens(value: float) -> str:
    return number(value, 1)


def _seconds(value: float) -> str:
    return number(value, 4 if value < 1 else 1)


RATES = [
    Quantity("avg/untruncated", "Right", "if finished", percent),
    Quantity("avg/truncated_as_incorrect", "Right", "if cut is wrong", percent),
    Quantity("avg/lenient", "Right", "wherever it stands", percent),
    Quantity("no_answer_rate", "No answer", "", percent),
    Quantity("verifier_failure_rate", "No verdict", "", percent),
    Quantity("verifier_timeout_rate", "No verdict", "in time", percent),
    Quantity("truncation_rate", "Cut off", "", percent),
    Quantity("rerun_se", "Rerun", "SE, points", lambda value: percent(value, "")),
]
LENGTHS = [
    Quantity("tokens_mean", "Mean", "tokens", _tokens),
    Quantity("tokens_p50", "p50", "tokens", number),
    Quantity("tokens_p95", "p95", "tokens", number),
    Quantity("tokens_mean/correct", "Right", "mean tokens", _tokens),
    Quantity("tokens_mean/incorrect", "Wrong", "mean tokens", _tokens),
    Quantity("seconds_mean", "A sample", "seconds", _seconds),
    Quantity("generation_device_seconds", "All samples", "device seconds", _tokens),
]


@dataclass(frozen=True)
class NumberRow:
    """The values of one method on one benchmark; None where it has not been run, NaN where there is none."""

    model: str
    label: str
    seeds: str
    benchmark: str
    values: list[float | None]


@dataclass(frozen=True)
class EstimateRow:
    """The estimates of one method, one a column; None where it has not been measured."""

    model: str
    label: str
    seeds: str
    values: list[Estimate | None]


def numbers_table(inputs: Inputs, quantities: list[Quantity]) -> tuple[list[Quantity], list[NumberRow]]:
    """Return those of the quantities that the study has, and a row for each method and benchmark."""
    frame = inputs.summary.assign(metric=inputs.summary["metric"].map(_without_k))
    present = [quantity for quantity in quantities if (frame["metric"] == quantity.metric).any()]
    rows = []
    for variant in inputs.study.variants:
        mine = rows_of(frame, variant)
        seeds = seeds_text(inputs, variant, int(mine["train_seeds"].max())) if len(mine) else ""
        for entry in inputs.study.benchmarks:
            here = mine[mine["benchmark"] == entry.benchmark].set_index("metric")["value"]
            values = [
                float(here.get(quantity.metric, math.nan)) if len(here) else None for quantity in present
            ]
            rows.append(NumberRow(variant.model, inputs.label(variant), seeds, entry.benchmark, values))
    return present, rows


def other_means(inputs: Inputs) -> tuple[list[Heading], list[EstimateRow]]:
    """Return the means over benchmarks beside the macro mean: sample-weighted, interquartile."""
    columns = {"Interquartile (IQM)": (OVERALL, "iqm")}
    if len(inputs.study.benchmarks) > 1:
        columns = {"Sample-weighted": (SAMPLE_WEIGHTED, "avg"), **columns}
    return _estimates(inputs, columns)


def contamination_table(inputs: Inputs) -> tuple[list[Heading], list[EstimateRow]]:
    """Return the accuracy on the seen and on the unseen problems of every contaminated benchmark."""
    columns = {
        f"{benchmark_title(inputs, entry.benchmark)}, {part}": (entry.benchmark, f"avg/{part}")
        for entry in inputs.study.benchmarks
        for part in ("contaminated", "uncontaminated")
    }
    return _estimates(inputs, columns)


def _estimates(
    inputs: Inputs, columns: dict[str, tuple[str, str]]
) -> tuple[list[Heading], list[EstimateRow]]:
    """Return those columns (title -> benchmark and metric) that the study has, and a row a method."""
    frame = inputs.summary.assign(metric=inputs.summary["metric"].map(_without_k))
    problems = {(row["benchmark"], row["metric"]): int(row["n_problems"]) for row in frame.to_dict("records")}
    present = {title: place for title, place in columns.items() if place in problems}
    rows = []
    for variant in inputs.study.variants:
        mine = {(row["benchmark"], row["metric"]): row for row in rows_of(frame, variant).to_dict("records")}
        seeds = max((int(row["train_seeds"]) for row in mine.values()), default=0)
        values = [
            Estimate(row["value"], row["ci_low"], row["ci_high"]) if (row := mine.get(place)) else None
            for place in present.values()
        ]
        label, text = inputs.label(variant), seeds_text(inputs, variant, seeds) if mine else ""
        rows.append(EstimateRow(variant.model, label, text, values))
    return [(title, count(problems[place], "problem")) for title, place in present.items()], rows


def _without_k(metric: str) -> str:
    return re.sub(r"@\d+", "", metric)
