"""The supervised pretraining of the built-in models."""

from dataclasses import dataclass

from markupsafe import Markup

from rlvr.report.charts.curves import pretraining_panel, value_label
from rlvr.report.charts.intervals import percent_tick
from rlvr.report.inputs import Inputs, PretrainingStep
from rlvr.report.panels import Panels
from rlvr.report.section import Section


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretraining:
    """Context of the section; the panels of each model that was pretrained here."""

    models: list[Panels]


def build(inputs: Inputs) -> Pretraining | None:
    """Return the curves of every built-in model; None where the study has none."""
    models = [
        Panels(title=model, figures=_figures(model, curve))
        for model, curve in inputs.pretraining.items()
        if curve
    ]
    return Pretraining(models=models) if models else None


def _figures(model: str, curve: list[PretrainingStep]) -> list[Markup]:
    losses = {point.step: point.loss for point in curve}
    tested = {point.step: point.accuracy for point in curve if point.accuracy is not None}
    figures = [pretraining_panel(model, "Training loss", losses, value_label(max(losses.values())))]
    if tested:
        figures.append(pretraining_panel(model, "Accuracy (%)", tested, percent_tick))
    return figures


SECTION = Section(
    part="training", order=20, id="pretraining", title="Pretraining", template="pretraining.html", build=build
)
