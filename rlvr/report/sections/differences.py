"""The paired differences that the study asks for: of methods, of presets and of settings."""

from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from rlvr.config.resolved import Variant
from rlvr.report.charts.intervals import Estimate, forest_axis, forest_row, forest_scale
from rlvr.report.charts.svg import Scale
from rlvr.report.inputs import Inputs
from rlvr.report.queries import (
    accuracies,
    benchmark_order,
    benchmark_title,
    estimate_of,
    headline_benchmark,
    rows_of,
    seeds_text,
)
from rlvr.report.section import Section

KINDS = {
    "methods": ["baseline"],
    "presets": ["baseline_preset"],
    "settings": ["baseline", "baseline_setting"],
}
"""Kind of contrast -> the columns that name what a table compares with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One paired difference."""

    estimate: Estimate
    p: float
    p_holm: float
    detectable: float
    improvement: Estimate | None
    compares: str
    plot: Markup


@dataclass(frozen=True, kw_only=True, slots=True)
class ForestRow:
    """One variant; where ``difference`` is None, ``note`` says why, else how many training seeds it has.

    ``id`` is the anchor of the row.
    """

    id: str
    label: str
    note: str
    difference: Difference | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Forest:
    """The paired differences from one baseline on one benchmark.

    Attributes:
        baseline: its method, its preset, or its method and setting, whichever the two sides differ in.
        open: whether the table is open; the others are collapsed.
        improvements: whether a row has a probability of improvement (three training seeds on both sides).
    """

    model: str
    baseline: str
    title: str
    open: bool
    n_problems: int
    rows: list[ForestRow]
    axis: Markup
    improvements: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Differences:
    """Context of the section.

    Attributes:
        forests: by model.
        improvements: whether a forest has a probability of improvement.
        several_presets: whether a baseline may have to be chosen by preset.
        several_settings: whether a baseline may have to be chosen by setting.
    """

    forests: dict[str, list[Forest]]
    improvements: bool
    several_presets: bool
    several_settings: bool


def build(inputs: Inputs) -> Differences:
    """Return all comparisons by baseline and benchmark: of methods, then of presets, then of settings."""
    forests = {model: _forests(inputs, model) for model in inputs.study.models}
    return Differences(
        forests=forests,
        improvements=any(forest.improvements for some in forests.values() for forest in some),
        several_presets=len({variant.preset for variant in inputs.trained}) > 1,
        several_settings=len({variant.setting for variant in inputs.trained}) > 1,
    )


def _forests(inputs: Inputs, model: str) -> list[Forest]:
    frame = inputs.comparisons[inputs.comparisons["model"] == model]
    forests = []
    for kind, columns in KINDS.items():
        some = frame[frame["contrast"] == kind]
        for _, compared in some.groupby(columns, sort=False):
            present = set(compared["benchmark"])
            forests += [
                _forest(inputs, model, compared[compared["benchmark"] == benchmark])
                for benchmark in benchmark_order(inputs)
                if benchmark in present
            ]
    return forests


def _forest(inputs: Inputs, model: str, here: pd.DataFrame) -> Forest:
    """Return the table of the rows ``here``, which share model, contrast, baseline and benchmark."""
    first = here.to_dict("records")[0]
    benchmark = first["benchmark"]
    measured = accuracies(inputs)
    scale = forest_scale([estimate_of(row, "difference") for row in here.to_dict("records")])
    rows = []
    for variant in inputs.trained_of(model):
        mine = rows_of(here, variant).to_dict("records")
        if mine:
            rows += [_row(inputs, variant, row, scale) for row in mine]
        elif variant.method != first["baseline"] and first["contrast"] == "methods":
            note = (
                "no comparable baseline run" if (variant, benchmark) in measured else inputs.absence(variant)
            )
            rows.append(ForestRow(id="", label=inputs.label(variant), note=note, difference=None))
    return Forest(
        model=model,
        baseline=baseline_name(first),
        title=benchmark_title(inputs, benchmark),
        open=benchmark == headline_benchmark(inputs),
        n_problems=here["n_problems"].max(),
        rows=rows,
        axis=forest_axis(scale),
        improvements=any(row.difference and row.difference.improvement for row in rows),
    )


def baseline_name(row: dict) -> str:
    """Return what a row of the comparisons compares with: a method, a preset, or a method and its setting."""
    return " · ".join(row[column] for column in KINDS[row["contrast"]])


def _row(inputs: Inputs, variant: Variant, row: dict, scale: Scale) -> ForestRow:
    label, estimate = inputs.label(variant), estimate_of(row, "difference")
    title = f"{label} minus {baseline_name(row)}, {benchmark_title(inputs, row['benchmark'])}"
    difference = Difference(
        estimate=estimate,
        p=row["p_value"],
        p_holm=row["p_holm"],
        detectable=row["minimum_detectable"],
        improvement=_improvement(row),
        compares=row["compares"],
        plot=forest_row(estimate, row["minimum_detectable"], scale, title),
    )
    note = seeds_text(inputs, variant, row["train_seeds"])
    return ForestRow(id=anchor(row), label=label, note=note, difference=difference)


def anchor(row: dict) -> str:
    """Return the anchor of a row of the comparisons on the page."""
    names = ("model", "method", "preset", "setting", "baseline", "baseline_preset", "baseline_setting")
    return "--".join(["difference", *(row[name] for name in names), row["benchmark"]])


def _improvement(row: dict) -> Estimate | None:
    chance = Estimate(
        row["probability_of_improvement"], row["improvement_ci_low"], row["improvement_ci_high"]
    )
    return chance if chance.known else None


SECTION = Section(
    part="methods",
    order=20,
    id="differences",
    title="Paired differences",
    template="differences.html",
    build=build,
)
