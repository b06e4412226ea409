"""The supervised pretraining of the built-in models."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rlvr.report.charts.intervals import percent_tick
from rlvr.report.charts.lines import Axis, Line, LinePanel
from rlvr.report.inputs import Inputs, PretrainingStep
from rlvr.report.section import Section


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelPretraining:
    """The panel of one model that was pretrained here."""

    model: str
    panel: LinePanel
    figure: Markup


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretraining:
    """Context of the section; ``data`` has the panels by model."""

    models: list[ModelPretraining]
    data: dict[str, Any]


def build(inputs: Inputs) -> Pretraining | None:
    """Return the curves of every built-in model; None where the study has none."""
    models = [
        ModelPretraining(model=model, panel=panel, figure=panel.figure())
        for model, curve in inputs.pretraining.items()
        if curve
        for panel in [_panel(model, curve)]
    ]
    return (
        Pretraining(models=models, data={one.model: one.panel.data() for one in models}) if models else None
    )


def _panel(model: str, curve: list[PretrainingStep]) -> LinePanel:
    tested = [point for point in curve if point.accuracy is not None]
    line = Line(
        key=model,
        label=model,
        x={
            "step:loss": [float(point.step) for point in curve],
            "step:accuracy": [float(point.step) for point in tested],
        },
        y={
            "loss": [point.loss for point in curve],
            "accuracy": [point.accuracy for point in tested if point.accuracy is not None],
        },
        kind="lora",
    )
    accuracy = Axis(title="Accuracy (%)", label=percent_tick, floor=0.0, ceiling=1.0)
    loss = Axis(title="Training loss", label=lambda value: f"{value:.3g}", floor=0.0)
    return LinePanel(
        title=f"Pretraining of {model}",
        x={"step": Axis(title="step", label=lambda value: f"{value:g}")},
        y={"accuracy": accuracy, "loss": loss} if tested else {"loss": loss},
        lines=[line],
    )


SECTION = Section(
    part="training", order=20, id="pretraining", title="Pretraining", template="pretraining.html", build=build
)
