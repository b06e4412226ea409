"""Accuracy against a cost: who gets more for less."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from rlvr.report.charts import svg
from rlvr.report.charts.intervals import Estimate, percent_tick
from rlvr.report.charts.svg import Scale, element
from rlvr.report.text import compact, percent

WIDTH, HEIGHT = 900, 400
LABEL_HEIGHT, CHARACTER_WIDTH = 13, 6.3
LABEL_SHIFTS = (8, 22, 44, 76, 116)
# Places for a label: side of its dot, distance to it, rise; the nearest first, right before left.
LABEL_PLACES = sorted(
    ((side, shift, rise) for side in (1, -1) for shift in LABEL_SHIFTS for rise in range(-180, 181, 6)),
    key=lambda place: (abs(place[2]) + place[1] + (place[0] < 0), place),
)
DOT = 4.2

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """One method: its name for the page's script, its label, what it costs, its accuracy, the paper's."""

    key: str
    label: str
    cost: float
    accuracy: Estimate
    paper: float | None = None


def cost_against_accuracy(
    marks: Sequence[Mark], untrained: Estimate | None, title: str, cost: str, logarithmic: bool
) -> Markup:
    """Return the figure: interval whiskers, the Pareto line, the untrained model as a line with its band.

    Args:
        marks: one per method.
        untrained: the accuracy of the untrained model.
        title: of the figure.
        cost: title of the horizontal axis.
        logarithmic: whether that axis is.
    """
    left, right, top, bottom = 46.0, WIDTH - 24.0, 14.0, HEIGHT - 40.0
    x = _cost_scale([mark.cost for mark in marks], left, right, logarithmic)
    bounds = [bound for mark in marks for bound in mark.accuracy.bounds]
    bounds += [mark.paper for mark in marks if mark.paper is not None]
    y = Scale(*svg.padded(bounds + (untrained.bounds if untrained else []), 0.0, 1.0), bottom, top)
    ticks = (
        svg.log_ticks(x, compact)
        if logarithmic
        else [(at, compact(at)) for at in svg.nice_ticks(x.low, x.high, 8)]
    )
    taken = [_dot_box(mark, x, y) for mark in marks]
    parts = [
        svg.y_axis(y, left, right, percent_tick),
        svg.x_axis(x, bottom, ticks),
        svg.text((left + right) / 2, bottom + 34, cost, "head", "middle"),
    ]
    if untrained and untrained.known:
        parts.append(_untrained_band(untrained, y, left, right, taken))
    front = pareto(marks)
    parts.append(
        svg.path([x(mark.cost) for mark in front], [y(mark.accuracy.value) for mark in front], "pareto")
    )
    labels = _labels(marks, x, y, (left, top, right, bottom), taken)
    parts += [
        element("g", *_whisker(mark, x, y), label, class_="row", data_v=mark.key)
        for mark, label in zip(marks, labels, strict=True)
    ]
    described = "; ".join(
        f"{mark.label}: {compact(mark.cost)}, {percent(mark.accuracy.value)}" for mark in marks
    )
    return svg.figure(title, described, WIDTH, HEIGHT, *parts, class_="panel-all")


def pareto(marks: Sequence[Mark]) -> list[Mark]:
    """Return the methods of which none is cheaper and at least as accurate, the cheapest first."""
    front: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (mark.cost, -mark.accuracy.value)):
        if not front or mark.accuracy.value > front[-1].accuracy.value:
            front.append(mark)
    return front


def _cost_scale(costs: Sequence[float], left: float, right: float, logarithmic: bool) -> Scale:
    if logarithmic:
        return Scale(min(costs) / 1.6, max(costs) * 1.6, left, right, logarithmic=True)
    low, high = svg.padded(costs, 0.0)
    return Scale(low, high, left, right)


def _whisker(mark: Mark, x: Scale, y: Scale) -> list[Markup]:
    at, parts = x(mark.cost), []
    if len(mark.accuracy.bounds) == 3:
        parts.append(svg.line(at, y(mark.accuracy.low), at, y(mark.accuracy.high), "whisker thin"))
    if mark.paper is not None:
        parts.append(svg.diamond(at, y(mark.paper), "paper"))
    return [*parts, element("circle", cx=at, cy=y(mark.accuracy.value), r=DOT, class_="dot")]


def _untrained_band(untrained: Estimate, y: Scale, left: float, right: float, taken: list[Box]) -> Markup:
    parts = []
    if len(untrained.bounds) == 3:
        top = y(untrained.high)
        height = y(untrained.low) - top
        parts.append(element("rect", x=left, y=top, width=right - left, height=height, class_="band"))
    level = y(untrained.value)
    name = "base (untrained)"
    width = CHARACTER_WIDTH * len(name)
    places = [(x, rise) for rise in (-12, 12) for x in np.linspace(left + 8, right - width - 8, 12)]
    boxes = [_label_box(x, level + rise, width) for x, rise in places]
    free = (box for box in boxes if not any(_overlap(box, other) for other in taken))
    box = next(free, boxes[0])
    taken.append(box)
    parts.append(svg.line(left, level, right, level, "reference"))
    parts.append(svg.text(box[0], box[3] - 4, name, "end"))
    return Markup("").join(parts)


def _labels(marks: Sequence[Mark], x: Scale, y: Scale, frame: Box, taken: list[Box]) -> list[Markup]:
    """Place each label at the nearest free place around its dot, with a thin leader where that is far."""
    labels = []
    for mark in marks:
        center, dot = x(mark.cost), y(mark.accuracy.value)
        width = CHARACTER_WIDTH * len(mark.label)
        for side, shift, rise in LABEL_PLACES:
            start = center + shift if side > 0 else center - shift - width
            box = _label_box(start, dot + rise, width)
            if _inside(box, frame) and not any(_overlap(box, other) for other in taken):
                break
        taken.append(box)
        near = start - 3 if side > 0 else start + width + 3
        text = element("text", mark.label, x=start, y=dot + rise + 4, class_="end", data_pin=mark.key)
        far = shift > min(LABEL_SHIFTS) or abs(rise) > LABEL_HEIGHT
        leader = svg.line(center + 5 * side, dot, near, dot + rise, "leader") if far else Markup("")
        labels.append(leader + text)
    return labels


def _dot_box(mark: Mark, x: Scale, y: Scale) -> Box:
    at, dot = x(mark.cost), y(mark.accuracy.value)
    return at - DOT, dot - DOT, at + DOT, dot + DOT


def _label_box(start: float, middle: float, width: float) -> Box:
    return start, middle - LABEL_HEIGHT / 2, start + width, middle + LABEL_HEIGHT / 2


def _inside(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
