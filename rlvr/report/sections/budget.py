"""Accuracy within a token budget: does a method gain, or only answer at greater length?"""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rlvr.config.resolved import BASE, Variant
from rlvr.report.charts.intervals import percent_tick
from rlvr.report.charts.lines import Axis, Line, LinePanel
from rlvr.report.inputs import Inputs
from rlvr.report.queries import rows_of, seeds_of_model
from rlvr.report.ranking import LORA
from rlvr.report.section import Section
from rlvr.report.text import compact


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelBudget:
    """The panel of one model."""

    model: str
    seeds: str
    panel: LinePanel
    figure: Markup


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Context of the section; ``data`` has the panels by model."""

    models: list[ModelBudget]
    data: dict[str, Any]


def build(inputs: Inputs) -> Budget | None:
    """Return the curves of every model; None where there is nothing to plot."""
    if inputs.budget.empty or inputs.budget["budget"].nunique() < 2:
        return None
    models = [
        ModelBudget(model=model, seeds=seeds_of_model(inputs, model), panel=panel, figure=panel.figure())
        for model in inputs.study.models
        for panel in [_panel(inputs, model)]
    ]
    return Budget(models=models, data={one.model: one.panel.data() for one in models})


def _panel(inputs: Inputs, model: str) -> LinePanel:
    return LinePanel(
        title=f"Accuracy of all methods within a token budget, {model}",
        x={"budget": Axis(title="token budget (log scale)", label=compact, logarithmic=True)},
        y={
            entry.benchmark: Axis(
                title=f"{entry.title}: accuracy (%)", label=percent_tick, floor=0.0, ceiling=1.0
            )
            for entry in inputs.study.benchmarks
        },
        lines=[_line(inputs, variant) for variant in inputs.variants if variant.model == model],
    )


def _line(inputs: Inputs, variant: Variant) -> Line:
    mine = rows_of(inputs.budget, variant)
    curves = {str(name): some.sort_values("budget") for name, some in mine.groupby("benchmark")}
    kind = {BASE: "base", LORA: "lora"}.get(variant.method, "")
    return Line(
        key=inputs.key(variant),
        label=inputs.label(variant),
        kind=kind,
        x={f"budget:{name}": some["budget"].astype(float).tolist() for name, some in curves.items()},
        y={name: some["value"].tolist() for name, some in curves.items()},
    )


SECTION = Section(
    part="cost", order=20, id="budget", title="Token budget", template="budget.html", build=build
)
