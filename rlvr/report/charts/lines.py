"""One panel with a line per method, whose quantities can be switched.

Python draws the first view, with all axes; the script of the page draws the others from the same data.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from rlvr.report.charts import svg
from rlvr.report.charts.intervals import percent_tick
from rlvr.report.charts.svg import Scale, element

WIDTH, LEFT, TOP, BOTTOM = 900.0, 46.0, 14.0, 40.0  # of the figure; margins of the plot
HEIGHT, LABEL = 270.0, 11.5  # of the plot; of the label of a line
CHARACTER = 6.3
POINTS = 100  # of a line; more are not seen

Label = Callable[[float], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One quantity.

    Attributes:
        title: its title, with the unit.
        label: how its ticks are written.
        logarithmic: whether the axis is.
        floor: the axis begins there at the lowest.
        ceiling: the axis ends there at the highest.
        times: a value in the unit of the title, of one in the data: 100 for a share in percent.
    """

    title: str
    label: Label
    logarithmic: bool = False
    floor: float | None = None
    ceiling: float | None = None
    times: float = 1.0


def share_axis(title: str) -> Axis:
    """Return the axis of a share, in percent."""
    return Axis(title=title, label=percent_tick, floor=0.0, ceiling=1.0, times=100.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """The line of one method.

    Attributes:
        key: its name for the script.
        label: its name.
        x: values by quantity; where they differ by the quantity on y, by ``X:Y``.
        y: values by quantity; NaN where there is none.
        kind: `lora` is drawn dark, `base` dashed.
        marks: quantity on y -> (values by quantity on x, value) where a run failed.
    """

    key: str
    label: str
    x: Mapping[str, Sequence[float]]
    y: Mapping[str, Sequence[float]]
    kind: str = ""
    marks: Mapping[str, Sequence[tuple[Mapping[str, float], float]]] = field(default_factory=dict)

    def points(self, x: str, y: str) -> list[tuple[float, float]]:
        """Return the known points of one view."""
        xs = self.x.get(f"{x}:{y}", self.x.get(x, ()))
        pairs = zip(xs, self.y.get(y, ()), strict=False)
        return [pair for pair in pairs if not any(map(math.isnan, pair))]


@dataclass(frozen=True, kw_only=True, slots=True)
class LinePanel:
    """The panel: the quantities of both axes, the first of each shown first, and the lines."""

    title: str
    x: Mapping[str, Axis]
    y: Mapping[str, Axis]
    lines: Sequence[Line]
    diagonal: bool = False

    @property
    def right(self) -> float:
        """The right end of the plot, before the labels."""
        longest = max((len(line.label) for line in self.lines), default=0)
        return WIDTH - CHARACTER * min(longest, 34) - 18

    @property
    def bottom(self) -> float:
        """The lower end of the plot, which has room for a label per line."""
        return TOP + max(HEIGHT, LABEL * len(self.lines))

    def titles(self, axis: str) -> dict[str, str]:
        """Return the titles of the quantities of the axis ``x`` or ``y``, by name."""
        quantities = self.x if axis == "x" else self.y
        return {name: one.title for name, one in quantities.items()}

    def x_scale(self, x: str, y: str) -> Scale:
        """Return the horizontal scale of one view."""
        values = [at for line in self.lines for at, _ in line.points(x, y)] or [0.0, 1.0]
        return Scale(min(values), max(values), LEFT, self.right, logarithmic=self.x[x].logarithmic)

    def y_scale(self, x: str, y: str) -> Scale:
        """Return the vertical scale of one view."""
        values = [at for line in self.lines for _, at in line.points(x, y)]
        axis = self.y[y]
        return Scale(*svg.padded(values, axis.floor, axis.ceiling), self.bottom, TOP)

    def figure(self) -> Markup:
        """Return the first view."""
        x, y = next(iter(self.x)), next(iter(self.y))
        scales = self.x_scale(x, y), self.y_scale(x, y)
        ends, places = self._ends(x, y), self._label_places(x, y)
        drawn = [self._line(line, x, y, scales, places.get(line.key)) for line in self.lines]
        described = "; ".join(
            f"{line.label} {self.y[y].label(ends[line.key])}" for line in self.lines if line.key in ends
        )
        return svg.figure(
            self.title,
            f"{self.y[y].title} at the right end: {described}." if ends else "Nothing to show.",
            WIDTH,
            self.bottom + BOTTOM,
            element("g", *self._axes(x, y), class_="axes"),
            element("g", *drawn, class_="lines"),
            class_="panel-all",
        )

    def _ends(self, x: str, y: str) -> dict[str, float]:
        """Return the value at the right end of every line that has one in a view."""
        return {line.key: points[-1][1] for line in self.lines if (points := line.points(x, y))}

    def _label_places(self, x: str, y: str) -> dict[str, float]:
        """Return where the labels at the right are, from the top."""
        scale = self.y_scale(x, y)
        ends = {key: scale(end) for key, end in self._ends(x, y).items()}
        return spread(ends, LABEL, TOP, self.bottom)

    def _axes(self, x: str, y: str) -> list[Markup]:
        across, up = self.x_scale(x, y), self.y_scale(x, y)
        about = [(at, self.x[x].label(at)) for at in ticks_of(across)]
        parts = [
            svg.y_axis(up, LEFT, self.right, self.y[y].label, 6),
            svg.x_axis(across, self.bottom, about),
            svg.text((LEFT + self.right) / 2, self.bottom + 34, self.x[x].title, "head", "middle"),
        ]
        if self.diagonal:
            ends = [(scale.low, scale.high) for scale in (across, up)]
            parts.append(svg.path([across(e) for e in ends[0]], [up(e) for e in ends[1]], "reference"))
        return parts

    def _line(self, line: Line, x: str, y: str, scales: tuple[Scale, Scale], label_y: float | None) -> Markup:
        points = line.points(x, y)
        across, up = scales
        parts = [svg.path([across(at) for at, _ in points], [up(at) for _, at in points], "line")]
        if label_y is not None:
            parts.append(
                element("text", line.label, x=self.right + 8, y=label_y + 4, class_="end", data_pin=line.key)
            )
        for place, value in line.marks.get(y, ()):
            parts.append(svg.text(across(place[x]), up.clamped(value) + 4, "✗", "failed", "middle"))
        return element("g", *parts, class_=f"row {line.kind}".strip(), data_v=line.key)

    def data(self) -> dict[str, Any]:
        """Return what the script draws the other views from."""
        views = {
            f"{x}|{y}": {
                "x": _plain(self.x_scale(x, y)),
                "y": _plain(self.y_scale(x, y)),
                "ends": {key: round(place, 1) for key, place in self._label_places(x, y).items()},
                "axes": str(Markup("").join(self._axes(x, y))),
            }
            for x in self.x
            for y in self.y
        }
        return {
            "x": self.titles("x"),
            "y": self.titles("y"),
            "times": {name: axis.times for name, axis in [*self.x.items(), *self.y.items()]},
            "right": self.right,
            "views": views,
            "lines": [
                {
                    "key": line.key,
                    "label": line.label,
                    "kind": line.kind,
                    "x": {name: _short(values) for name, values in line.x.items()},
                    "y": {name: _short(values) for name, values in line.y.items()},
                    "marks": {name: list(marks) for name, marks in line.marks.items()},
                }
                for line in self.lines
            ],
        }


def spread(places: Mapping[str, float], gap: float, top: float, bottom: float) -> dict[str, float]:
    """Return places at least ``gap`` apart in the same order, as near to the wanted ones as that allows."""
    ordered = sorted(places, key=lambda key: places[key])
    found: dict[str, float] = {}
    lowest = top
    for key in ordered:
        found[key] = max(places[key], lowest)
        lowest = found[key] + gap
    highest = bottom
    for key in reversed(ordered):
        found[key] = min(found[key], highest)
        highest = found[key] - gap
    return found


def thinned(values: Sequence[float], points: int = POINTS) -> list[float]:
    """Return at most ``points`` of the values, evenly spaced, the first and the last among them."""
    if len(values) <= points:
        return list(values)
    last = len(values) - 1
    return [values[round(index * last / (points - 1))] for index in range(points)]


def ticks_of(scale: Scale) -> list[float]:
    """Return the ticks of a horizontal axis."""
    if scale.logarithmic:
        ticks = [value for value, _ in svg.log_ticks(scale, str)]
        return ticks if len(ticks) < 9 else [scale.low, scale.high]
    return svg.nice_ticks(scale.low, scale.high, 8)


def _plain(scale: Scale) -> list[float]:
    return [scale.low, scale.high, scale.start, scale.end, int(scale.logarithmic)]


def _short(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.3g}") for value in values]
