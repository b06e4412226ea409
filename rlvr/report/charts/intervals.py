"""Estimates with intervals, and the small plots of differences in tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
    def turned(self) -> "Estimate":
        """The same difference, seen from the other side."""
        return Estimate(-self.value, -self.high, -self.low)

    @property
    def bounds(self) -> list[float]:
        """The value and the ends of its interval, without unknown ones."""
        return [number for number in (self.value, self.low, self.high) if not math.isnan(number)]


def difference_scale(differences: Sequence[Estimate]) -> Scale:
    """Return one scale for all small plots of a column of differences; it includes zero."""
    bounds = [bound for difference in differences for bound in difference.bounds]
    return Scale(*svg.padded([0.0, *bounds]), CELL_EDGE, CELL_WIDTH - CELL_EDGE)


class DifferencePlot(NamedTuple):
    """The small plot of a table cell: where its parts are, from the left.

    Attributes:
        zero: no difference.
        left: left end of the band of what is too small to detect; ``right``: its right end.
        low: lower end of the interval; ``high``: its upper end.
        dot: the difference.
        apart: whether the dot is filled.
    """

    zero: float
    left: float
    right: float
    low: float
    high: float
    dot: float
    apart: bool

    def figure(self, hidden: bool = False) -> Markup:
        """Return the plot. It repeats the numbers beside it, so that screen readers do not see it."""
        middle = CELL_HEIGHT / 2
        return element(
            "svg",
            element(
                "rect", x=self.left, y=0, width=self.right - self.left, height=CELL_HEIGHT, class_="band"
            ),
            svg.line(self.zero, 0, self.zero, CELL_HEIGHT, "zero"),
            svg.line(self.low, middle, self.high, middle, "whisker"),
            element("circle", cx=self.dot, cy=middle, r=3.6, class_="dot"),
            viewBox=f"0 0 {CELL_WIDTH} {CELL_HEIGHT}",
            class_="spark",
            aria_hidden="true",
            visibility="hidden" if hidden else None,
        )


NO_PLOT = DifferencePlot(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, False).figure(hidden=True)
"""Where there is no difference; the script of the page moves its parts."""


def difference_plot(difference: Estimate, detectable: float, apart: bool, scale: Scale) -> DifferencePlot:
    """Return the small plot of a difference, with the band of what is too small to detect."""
    band = 0.0 if math.isnan(detectable) else detectable
    known = difference if len(difference.bounds) == 3 else Estimate(*[difference.value] * 3)
    return DifferencePlot(
        *(scale(0.0), scale.clamped(-band), scale.clamped(band)),
        *(scale(known.low), scale(known.high), scale(known.value)),
        apart,
    )


def percent_tick(fraction: float) -> str:
    """Return a fraction as a percentage for an axis: 0.65 -> ``65``."""
    return percent(fraction, "").removesuffix(".0")
