"""Charts with intervals: one value, a paired difference, accuracy against trainable parameters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from rlvr.report.charts import svg
from rlvr.report.charts.svg import Scale, element
from rlvr.report.text import compact, percent

CELL_WIDTH, CELL_HEIGHT, CELL_EDGE = 180, 18, 6
SCATTER_WIDTH, SCATTER_HEIGHT = 820, 440
LABEL_HEIGHT = 15
CHARACTER_WIDTH = 6.7
LABEL_SHIFTS = (9, 24, 48, 80, 120)
# Places for a label: side of its dot, distance to it, rise; the nearest first, right before left.
LABEL_PLACES = sorted(
    ((side, shift, rise) for side in (1, -1) for shift in LABEL_SHIFTS for rise in range(-180, 181, 6)),
    key=lambda place: (abs(place[2]) + place[1] + (place[0] < 0), place),
)
DODGE = 9  # pixels between marks that would overlap

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; NaN where unknown."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether the value is known."""
        return not math.isnan(self.value)

    @property
    def bounds(self) -> list[float]:
        """The value and the ends of its interval, without unknown ones."""
        return [number for number in (self.value, self.low, self.high) if not math.isnan(number)]


def difference_scale(differences: Sequence[Estimate]) -> Scale:
    """Return one scale for all small plots of a column of differences; it includes zero."""
    bounds = [bound for difference in differences for bound in difference.bounds]
    return Scale(*svg.padded([0.0, *bounds]), CELL_EDGE, CELL_WIDTH - CELL_EDGE)


def difference_plot(difference: Estimate | None, detectable: float, scale: Scale) -> Markup:
    """Return the small plot of a table cell: zero, what is too small to be found, interval and dot.

    It repeats the numbers beside it, so that it is hidden from screen readers. Without a difference it is
    hidden; the script of the page moves its parts.
    """
    zero, middle = scale(0.0), CELL_HEIGHT / 2
    known = difference or Estimate(0.0, 0.0, 0.0)
    width = 0.0 if math.isnan(detectable) else detectable
    left, right = scale.clamped(-width), scale.clamped(width)
    low, high = (known.low, known.high) if len(known.bounds) == 3 else (known.value, known.value)
    return element(
        "svg",
        element("rect", x=left, y=0, width=right - left, height=CELL_HEIGHT, class_="band"),
        svg.line(zero, 0, zero, CELL_HEIGHT, "zero"),
        svg.line(scale(low), middle, scale(high), middle, "whisker"),
        element("circle", cx=scale(known.value), cy=middle, r=3.6, class_="dot"),
        viewBox=f"0 0 {CELL_WIDTH} {CELL_HEIGHT}",
        class_="spark",
        aria_hidden="true",
        visibility=None if difference else "hidden",
    )


@dataclass(frozen=True)
class Mark:
    """One method in the plot of accuracy against trainable parameters."""

    label: str
    parameters: float
    accuracy: Estimate


def accuracy_against_parameters(
    marks: Sequence[Mark], untrained: Estimate | None, title: str, spanned: Sequence[Mark] = ()
) -> Markup:
    """Return the scatter plot: log x, interval whiskers, the untrained model as a line with its band.

    Marks with (nearly) the same number of parameters are placed side by side, so that all intervals show.

    Args:
        marks: one per method.
        untrained: the accuracy of the untrained model.
        title: of the figure.
        spanned: further marks that the axes span, so that several figures can be compared.
    """
    left, right, top, bottom = 56.0, SCATTER_WIDTH - 24.0, 16.0, SCATTER_HEIGHT - 52.0
    counts = [mark.parameters for mark in [*marks, *spanned]]
    x = Scale(min(counts) / 1.8, max(counts) * 1.8, left, right, logarithmic=True)
    everything = [bound for mark in [*marks, *spanned] for bound in mark.accuracy.bounds]
    y = Scale(*svg.padded(everything + (untrained.bounds if untrained else []), 0.0, 1.0), bottom, top)
    placed = _dodged(marks, x)
    taken = [_box_of(mark, center, y) for mark, center in placed]
    parts = [
        svg.y_axis(y, left, right, percent_tick),
        svg.x_axis(x, bottom, svg.log_ticks(x, compact)),
        svg.text((left + right) / 2, bottom + 42, "trainable parameters (log scale)", "label", "middle"),
    ]
    if untrained and untrained.known:
        parts.append(_untrained_band(untrained, y, left, right, taken))
    for mark, center in placed:
        parts += _whisker_upright(mark.accuracy, center, y)
    parts += _labels(placed, y, (left, top, right, bottom), taken)
    described = "; ".join(
        f"{mark.label}: {mark.parameters:,.0f} parameters, {percent(mark.accuracy.value)}" for mark in marks
    )
    return svg.figure(title, described, SCATTER_WIDTH, SCATTER_HEIGHT, *parts, class_="wide")


def percent_tick(fraction: float) -> str:
    """Return a fraction as a percentage for an axis: 0.65 -> ``65``."""
    return percent(fraction, "").removesuffix(".0")


def _whisker(estimate: Estimate, scale: Scale, y: float) -> list[Markup]:
    parts = []
    if not math.isnan(estimate.low) and not math.isnan(estimate.high):
        parts.append(svg.line(scale(estimate.low), y, scale(estimate.high), y, "whisker"))
    return [*parts, element("circle", cx=scale(estimate.value), cy=y, r=3.6, class_="dot")]


def _whisker_upright(estimate: Estimate, x: float, y: Scale) -> list[Markup]:
    parts = []
    if not math.isnan(estimate.low) and not math.isnan(estimate.high):
        parts.append(svg.line(x, y(estimate.low), x, y(estimate.high), "whisker"))
    return [*parts, element("circle", cx=x, cy=y(estimate.value), r=4.2, class_="dot")]


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
    parts.append(svg.text(box[0], box[3] - 4, name, "label"))
    return Markup("").join(parts)


def _dodged(marks: Sequence[Mark], x: Scale) -> list[tuple[Mark, float]]:
    """Return each mark with its x in pixels; marks closer than ``DODGE`` are spread around their middle."""
    clusters: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: (mark.parameters, mark.label)):
        if clusters and x(mark.parameters) - x(clusters[-1][-1].parameters) < DODGE:
            clusters[-1].append(mark)
        else:
            clusters.append([mark])
    placed = []
    for cluster in clusters:
        middle = sum(x(mark.parameters) for mark in cluster) / len(cluster)
        for index, mark in enumerate(cluster):
            placed.append((mark, middle + (index - (len(cluster) - 1) / 2) * DODGE))
    return placed


def _labels(placed: Sequence[tuple[Mark, float]], y: Scale, frame: Box, taken: list[Box]) -> list[Markup]:
    """Place each label at the nearest free place around its dot, with a thin leader where that is far."""
    parts = []
    for mark, center in placed:
        dot = y(mark.accuracy.value)
        width = CHARACTER_WIDTH * len(mark.label)
        for side, shift, rise in LABEL_PLACES:
            start = center + shift if side > 0 else center - shift - width
            box = _label_box(start, dot + rise, width)
            if _inside(box, frame) and not any(_overlap(box, other) for other in taken):
                break
        taken.append(box)
        near = start - 3 if side > 0 else start + width + 3
        if shift > min(LABEL_SHIFTS) or abs(rise) > LABEL_HEIGHT:
            parts.append(svg.line(center + 5 * side, dot, near, dot + rise, "leader"))
        parts.append(svg.text(start, dot + rise + 4, mark.label, "label"))
    return parts


def _box_of(mark: Mark, center: float, y: Scale) -> Box:
    return center - 5, y(max(mark.accuracy.bounds)), center + 5, y(min(mark.accuracy.bounds))


def _label_box(start: float, middle: float, width: float) -> Box:
    return start, middle - LABEL_HEIGHT / 2, start + width, middle + LABEL_HEIGHT / 2


def _inside(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
