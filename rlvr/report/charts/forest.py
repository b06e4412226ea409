"""The ranking: one row per method with its difference, the paper's and others' beside it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rlvr.report.charts import svg
from rlvr.report.charts.intervals import Estimate
from rlvr.report.charts.svg import Scale, element
from rlvr.report.text import listing, points

WIDTH, ARROW = 640.0, 48.0  # of the figure; of a difference that lies outside
TOP, BOTTOM = 24.0, 34.0  # above and below the rows
TALLEST, SHORTEST, TOTAL = 23.0, 13.0, 350.0  # a row; all rows
SEED = 5.0  # half the height of the tick of a training seed
NUMBERS, CHARACTER = 58.0, 6.6  # least width of a column of numbers; width of a letter


@dataclass(frozen=True, kw_only=True, slots=True)
class ForestRow:
    """One row.

    Attributes:
        key: name of the method for the script of the page.
        label: its name.
        difference: from the reference; None for the reference itself.
        told_apart: whether its dot is filled.
        paper: the paper's difference.
        others: those of others.
        numbers: the columns of text at the right.
        about: what it is, shown where the pointer rests on the label.
        seeds: the difference of each training seed from the reference, where there are several.
        outside: whether it may lie outside the axis, as the untrained model does where all methods are near
            each other.
    """

    key: str
    label: str
    difference: Estimate | None
    told_apart: bool
    paper: float | None
    others: Sequence[float]
    numbers: Sequence[str]
    about: str = ""
    seeds: Sequence[float] = ()
    outside: bool = False


def ranking_forest(
    rows: Sequence[ForestRow], heads: Sequence[str], detectable: float, title: str, first: str = "method"
) -> Markup:
    """Return the figure.

    Args:
        rows: from top to bottom.
        heads: titles of the columns of numbers.
        detectable: half the width of the band of differences that are too small to detect; NaN: no band.
        title: what the differences are.
        first: title of the column of labels.
    """
    height = min(TALLEST, max(SHORTEST, TOTAL / len(rows)))
    wide = max(NUMBERS, *(CHARACTER * len(head) + 10 for head in heads))
    columns = [WIDTH - wide * at for at in reversed(range(len(heads)))]
    left, plot_right = CHARACTER * max(len(row.label) for row in rows) + ARROW, WIDTH - wide * len(heads)
    bottom = TOP + height * len(rows)
    scale = _scale(rows, left, plot_right)
    parts = [
        svg.text(0, 12, first, "head"),
        svg.text((left + plot_right) / 2, 12, title, "head", "middle"),
        *[svg.text(x, 12, head, "head", "end") for x, head in zip(columns, heads, strict=True)],
        *_background(scale, detectable, bottom),
    ]
    parts += [_row(row, TOP + height * (index + 0.5), scale, columns) for index, row in enumerate(rows)]
    described = "; ".join(_in_words(row) for row in rows) + "."
    return svg.figure(title, described, WIDTH, bottom + BOTTOM, *parts, class_="ranking")


def _scale(rows: Sequence[ForestRow], left: float, right: float) -> Scale:
    """Return the axis of our own differences; those of the paper may lie outside."""
    inside = [row for row in rows if not row.outside]
    bounds = [bound for row in inside if row.difference for bound in row.difference.bounds]
    bounds += [seed for row in inside for seed in row.seeds]
    return Scale(*svg.padded([0.0, *bounds]), left, right - ARROW)


def _background(scale: Scale, detectable: float, bottom: float) -> list[Markup]:
    ticks = [(tick, points(tick, "").removesuffix(".0")) for tick in svg.nice_ticks(scale.low, scale.high, 7)]
    parts = []
    if not math.isnan(detectable):
        left, right = scale.clamped(-detectable), scale.clamped(detectable)
        parts.append(element("rect", x=left, y=TOP, width=right - left, height=bottom - TOP, class_="band"))
    parts += [svg.line(scale(tick), TOP, scale(tick), bottom, "grid") for tick, _ in ticks]
    parts += [
        svg.line(scale(0), TOP, scale(0), bottom, "zero"),
        *[svg.text(scale(tick), bottom + 15, label, "tick", "middle") for tick, label in ticks],
    ]
    return parts


def _row(row: ForestRow, y: float, scale: Scale, columns: Sequence[float]) -> Markup:
    about = [element("title", row.about)] if row.about else []
    parts = [element("text", row.label, *about, x=0, y=y + 4, class_="label")]
    parts += [svg.line(scale(seed), y - SEED, scale(seed), y + SEED, "seed") for seed in row.seeds]
    if row.difference is None:
        parts.append(element("circle", cx=scale(0), cy=y, r=3, class_="reference-dot"))
    elif row.outside and not scale.low <= row.difference.value <= scale.high:
        parts.append(_beyond(row.difference.value, y, scale, "tick"))
    else:
        parts += _estimate(row.difference, row.told_apart, y, scale)
    parts += [_published(value, y, scale, "others", "▵") for value in row.others]
    if row.paper is not None and row.difference is not None:
        parts.append(_published(row.paper, y, scale, "paper", "◇"))
    parts += [svg.text(x, y + 4, text, "value", "end") for x, text in zip(columns, row.numbers, strict=True)]
    return element("g", *parts, class_="row", data_v=row.key)


def _estimate(estimate: Estimate, told_apart: bool, y: float, scale: Scale) -> list[Markup]:
    parts = []
    if len(estimate.bounds) == 3:
        parts.append(svg.line(scale.clamped(estimate.low), y, scale.clamped(estimate.high), y, "whisker"))
    dot = "dot" if told_apart else "dot hollow"
    return [*parts, element("circle", cx=scale(estimate.value), cy=y, r=4.2, class_=dot)]


def _published(value: float, y: float, scale: Scale, class_: str, mark: str) -> Markup:
    """Return a mark, or at the edge of the plot an arrow with the number where it lies outside."""
    if not scale.low <= value <= scale.high:
        return _beyond(value, y, scale, class_)
    x = scale(value)
    if mark == "◇":
        return svg.diamond(x, y, class_)
    return element("path", d=f"M{x - 4.5:.1f},{y + 4:.1f}l4.5,-8l4.5,8z", class_=class_)


def _beyond(value: float, y: float, scale: Scale, class_: str) -> Markup:
    if value < scale.low:
        return svg.text(scale.start - 2, y + 4, f"◂ {points(value, '')}", class_, "end")
    return svg.text(scale.end + 2, y + 4, f"{points(value, '')} ▸", class_)


def _in_words(row: ForestRow) -> str:
    if row.difference is None:
        return f"{row.label}: the reference"
    one = row.difference
    told = "told apart" if row.told_apart else "not told apart"
    paper = f", the paper {points(row.paper, '')}" if row.paper is not None else ""
    interval = f"{points(one.low, '')} to {points(one.high, '')}"
    seeds = f", training seeds {listing([points(seed, '') for seed in row.seeds])}" if row.seeds else ""
    return f"{row.label} {points(one.value, '')} ({interval}), {told}{seeds}{paper}"
