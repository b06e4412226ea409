"""The same method in another preset or setting: what the audit and the ablations are about."""

from dataclasses import dataclass
from statistics import median

import pandas as pd
from markupsafe import Markup

from rlvr.config.resolved import Variant
from rlvr.report.charts.forest import ForestRow, ranking_forest
from rlvr.report.inputs import Inputs
from rlvr.report.methods.differences import KINDS
from rlvr.report.queries import (
    accuracies,
    benchmark_title,
    estimate_of,
    headline_benchmark,
    seeds_of_model,
    told_apart,
    variant_of,
)
from rlvr.report.section import Section
from rlvr.report.seeds import seed_accuracies
from rlvr.report.text import percent


@dataclass(frozen=True, kw_only=True, slots=True)
class ContrastFigure:
    """The differences from one preset or setting: of all methods of one model."""

    model: str
    title: str
    seeds: str
    figure: Markup


@dataclass(frozen=True, kw_only=True, slots=True)
class ContrastFigures:
    """Context of the section; ``benchmark`` is the title of what the accuracy was measured on."""

    benchmark: str
    figures: list[ContrastFigure]


def build(inputs: Inputs) -> ContrastFigures | None:
    """Return a figure per model and baseline; None where the study compares no presets and no settings."""
    benchmark = headline_benchmark(inputs)
    frame = inputs.comparisons
    if not frame["contrast"].isin(["presets", "settings"]).any():
        return None
    seeds = {
        variant: found
        for model in inputs.study.models
        for variant, found in seed_accuracies(inputs, model).items()
    }
    figures = [
        _figure(inputs, str(model), kind.removesuffix("s"), str(baseline), some, seeds)
        for kind in ("presets", "settings")
        for (model, baseline), some in frame[
            (frame["contrast"] == kind) & (frame["benchmark"] == benchmark)
        ].groupby(["model", KINDS[kind]], sort=False)
    ]
    return ContrastFigures(benchmark=benchmark_title(inputs, benchmark), figures=figures)


def _figure(
    inputs: Inputs,
    model: str,
    kind: str,
    baseline: str,
    some: pd.DataFrame,
    seeds: dict[Variant, list[float]],
) -> ContrastFigure:
    measured, benchmark = accuracies(inputs), headline_benchmark(inputs)
    found = {variant_of(row): row for row in some.to_dict("records")}
    each = seeds_of_model(inputs, model)

    def accuracy(variant: Variant) -> float:
        return measured[variant, benchmark].estimate.value

    rows = []
    for variant, row in sorted(found.items(), key=lambda pair: inputs.variants.index(pair[0])):
        estimate = estimate_of(row, "difference")
        against = Variant(model, row["baseline"], row["baseline_preset"], row["baseline_setting"])
        rows.append(
            ForestRow(
                key=inputs.key(variant),
                label=inputs.label(variant),
                difference=estimate,
                told_apart=told_apart(estimate, row["p_holm"]),
                paper=None,
                others=[],
                numbers=[percent(accuracy(variant), ""), percent(accuracy(against), "")],
                seeds=[value - accuracy(against) for value in seeds.get(variant, [])],
            )
        )
    detectable = median(some["minimum_detectable"])
    title = f"points against {kind} {baseline}"
    return ContrastFigure(
        model=model,
        title=f"Other {kind}s against {baseline}",
        seeds=f"{each}, each a tick" if any(row.seeds for row in rows) else each,
        figure=ranking_forest(rows, ["accuracy", baseline], detectable, title),
    )


SECTION = Section(
    part="audit",
    order=20,
    id="contrasts",
    title="Same method, other preset or setting",
    template="contrasts.html",
    build=build,
)
