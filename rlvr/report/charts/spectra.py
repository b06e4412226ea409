"""Figure 3 of the paper: cumulative energy of an update in the singular components of its base."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from rlvr.report.charts import svg
from rlvr.report.charts.curves import BOTTOM, LEFT, PANEL_HEIGHT, PANEL_WIDTH, RIGHT, TOP
from rlvr.report.charts.intervals import percent_tick
from rlvr.report.charts.svg import Scale
from rlvr.report.text import percent

Cumulative = Mapping[float, float]
"""Share of the components, largest first -> share of the energy in them."""
TOLD = (0.1, 0.5, 0.9)
"""Shares of the components that the description for screen readers gives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Energy:
    """The curves of one method on both sides of the base; empty where they were not measured."""

    right: Cumulative
    left: Cumulative


def energy_panels(curves: Mapping[str, Energy], base: Cumulative) -> list[Markup]:
    """Return one panel per method: thick the right singular vectors, thin the left ones, dashed the base.

    The straight line from corner to corner is an update without any preference.

    Args:
        curves: by the label of the method.
        base: cumulative energy of the base itself.
    """
    x, y = Scale(0, 1, LEFT, RIGHT), Scale(0, 1, BOTTOM, TOP)
    ticks = [(share, percent_tick(share)) for share in (0.0, 0.5, 1.0)]
    axes = [
        svg.y_axis(y, LEFT, RIGHT, percent_tick, 4),
        svg.x_axis(x, BOTTOM, ticks),
        svg.line(x(0), y(0), x(1), y(1), "reference"),
        _curve(base, x, y, "dashed"),
    ]
    return [
        svg.figure(
            f"Cumulative energy of the update of {name}",
            _described(energy),
            PANEL_WIDTH,
            PANEL_HEIGHT,
            *axes,
            _curve(energy.left, x, y, "raw"),
            _curve(energy.right, x, y, "smooth"),
            svg.text(LEFT, 16, name, "panel-title"),
            class_="panel",
        )
        for name, energy in curves.items()
    ]


def _curve(curve: Cumulative, x: Scale, y: Scale, class_: str) -> Markup:
    places = [0.0, *curve] if curve else []
    return svg.path([x(place) for place in places], [y(curve.get(place, 0.0)) for place in places], class_)


def _described(energy: Energy) -> str:
    if not energy.right:
        return "No linear layer was trained, or the run has not been measured."
    told = [f"{percent(energy.right[share])} in the first {percent(share)}" for share in TOLD]
    return f"Right singular vectors: {', '.join(told)} of the components."
