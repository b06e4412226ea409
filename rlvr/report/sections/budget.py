"""Accuracy against token budget."""

from dataclasses import dataclass

from rlvr.report.charts.curves import budget_panels
from rlvr.report.inputs import Inputs
from rlvr.report.panels import Curves, ModelPanels, Panels, panels_of_benchmarks, panels_of_models
from rlvr.report.queries import curves_of
from rlvr.report.section import Section


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Context of the section."""

    models: list[ModelPanels]


def build(inputs: Inputs) -> Budget | None:
    """Return the curves of every model; None where there is nothing to plot."""
    models = panels_of_models(inputs, _groups)
    return Budget(models=models) if any(model.groups for model in models) else None


def _groups(inputs: Inputs, model: str) -> list[Panels]:
    untrained = inputs.untrained(model)
    reference = inputs.label(untrained) if untrained in inputs.names else None

    def curves(benchmark: str) -> Curves:
        return curves_of(inputs, model, inputs.budget[inputs.budget["benchmark"] == benchmark], "budget")

    return panels_of_benchmarks(inputs, curves, lambda some, title: budget_panels(some, reference, title))


SECTION = Section(
    part="cost", order=20, id="budget", title="Token budget", template="budget.html", build=build
)
