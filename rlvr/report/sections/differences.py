"""The paired differences of every trained method from every baseline."""

from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from rlvr.config.resolved import BASE, Variant
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

BASELINES = [BASE, "lora", "full"]


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
    """One variant; where ``difference`` is None, ``note`` says why, else how many training seeds it has."""

    label: str
    note: str
    difference: Difference | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Forest:
    """The paired differences from one baseline on one benchmark.

    Attributes:
        baseline: its method, with its setting where settings of that method are compared.
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
    """Return all comparisons by baseline and benchmark, then those of the settings of one method."""
    forests = {model: _forests(inputs, model) for model in inputs.study.models}
    return Differences(
        forests=forests,
        improvements=any(forest.improvements for some in forests.values() for forest in some),
        several_presets=len({variant.preset for variant in inputs.trained}) > 1,
        several_settings=len({variant.setting for variant in inputs.trained}) > 1,
    )


def _forests(inputs: Inputs, model: str) -> list[Forest]:
    frame = inputs.comparisons[inputs.comparisons["model"] == model]
    settings = frame["method"] == frame["baseline"]
    between, within = frame[~settings], frame[settings]
    present = [(between, name) for name in BASELINES if name in set(between["baseline"])]
    present += [(within, name) for name in dict.fromkeys(within["baseline"])]
    compared = set(frame["benchmark"])
    return [
        _forest(inputs, model, some[(some["baseline"] == baseline) & (some["benchmark"] == benchmark)])
        for some, baseline in present
        for benchmark in benchmark_order(inputs)
        if benchmark in compared
    ]


def _forest(inputs: Inputs, model: str, here: pd.DataFrame) -> Forest:
    """Return the table of the rows ``here``, which share model, baseline and benchmark."""
    baseline, benchmark = here["baseline"].iloc[0], here["benchmark"].iloc[0]
    settings = baseline in set(here["method"])
    measured = accuracies(inputs)
    scale = forest_scale([estimate_of(row, "difference") for row in here.to_dict("records")])
    rows = []
    for variant in inputs.trained_of(model):
        mine = rows_of(here, variant).to_dict("records")
        if mine:
            rows.append(_row(inputs, variant, mine[0], scale))
        elif variant.method != baseline and not settings:
            note = (
                "no comparable baseline run" if (variant, benchmark) in measured else inputs.absence(variant)
            )
            rows.append(ForestRow(label=inputs.label(variant), note=note, difference=None))
    return Forest(
        model=model,
        baseline=f"{baseline} · {here['baseline_setting'].iloc[0]}" if settings else baseline,
        title=benchmark_title(inputs, benchmark),
        open=benchmark == headline_benchmark(inputs),
        n_problems=here["n_problems"].max(),
        rows=rows,
        axis=forest_axis(scale),
        improvements=any(row.difference and row.difference.improvement for row in rows),
    )


def _row(inputs: Inputs, variant: Variant, row: dict, scale: Scale) -> ForestRow:
    label, estimate = inputs.label(variant), estimate_of(row, "difference")
    setting = f" · {row['baseline_setting']}" if row["method"] == row["baseline"] else ""
    title = f"{label} minus {row['baseline']}{setting}, {benchmark_title(inputs, row['benchmark'])}"
    difference = Difference(
        estimate=estimate,
        p=row["p_value"],
        p_holm=row["p_holm"],
        detectable=row["minimum_detectable"],
        improvement=_improvement(row),
        compares=row["compares"],
        plot=forest_row(estimate, row["minimum_detectable"], scale, title),
    )
    return ForestRow(label=label, note=seeds_text(inputs, variant, row["train_seeds"]), difference=difference)


def _improvement(row: dict) -> Estimate | None:
    chance = Estimate(
        row["probability_of_improvement"], row["improvement_ci_low"], row["improvement_ci_high"]
    )
    return chance if chance.known else None


SECTION = Section(
    order=40, id="differences", title="Paired differences", template="differences.html", build=build
)
