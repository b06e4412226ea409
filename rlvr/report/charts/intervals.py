"""Estimates with intervals, and the small plots of differences in tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rlvr.report.charts import svg
from rlvr.report.charts.svg import Scale, element
from rlvr.report.text import percent

CELL_WIDTH, CELL_HEIGHT, CELL_EDGE = 180, 18, 6


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


def percent_tick(fraction: float) -> str:
    """Return a fraction as a percentage for an axis: 0.65 -> ``65``."""
    return percent(fraction, "").removesuffix(".0")
