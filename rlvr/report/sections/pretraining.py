"""The supervised pretraining of the built-in models."""

from rlvr.report.charts.lines import Axis, Line, LinePanel, share_axis
from rlvr.report.inputs import Inputs, PretrainingStep
from rlvr.report.panels import Found, Panels, page_panels
from rlvr.report.section import Section


def build(inputs: Inputs) -> Panels | None:
    """Return the curves of every built-in model; None where the study has none."""
    found = [
        Found(model, model, _panel(model, curve)) for model, curve in inputs.pretraining.items() if curve
    ]
    return page_panels(inputs, "pretraining", found) if found else None


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
    accuracy = share_axis("Accuracy (%)")
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
