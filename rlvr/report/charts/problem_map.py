"""A map of problems x methods: the darker a cell, the more samples are correct."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from rlvr.report.charts.svg import element, figure, text
from rlvr.report.text import percent

LEVELS = 10
"""Shades between none and all samples correct."""
VALUES, ROW, MARKS, WIDTH = 60, 18, 10, 860  # pixels


def problem_map(
    title: str,
    description: str,
    labels: Sequence[str],
    rows: Sequence[NDArray[np.float64] | None],
    contaminated: NDArray[np.bool_],
) -> Markup:
    """Return a map with one path for each shade, so that it has few elements whatever its size.

    The group with the class ``cells`` has one unit for a problem and one for a method: the page's script
    finds the cell under the pointer by the rectangle ``area``, and marks it with the rectangle ``cursor``.

    Args:
        title: of the figure.
        description: of the figure, for screen readers.
        labels: names of the rows.
        rows: share of correct samples [N] of each row; None for those without samples, the last.
        contaminated: whether each column [N] is marked.
    """
    columns = len(contaminated)
    measured = sum(row is not None for row in rows)
    unit = min(max(WIDTH / columns, 1.6), 14.0)
    width = columns * unit
    left = min(max(map(len, labels), default=0) * 7.2 + 12, 320)
    parts = [
        text(left - 8, MARKS + ROW * (row + 0.7), label, "label", "end") for row, label in enumerate(labels)
    ]
    for row, shares in enumerate(rows):
        shown = percent(float(shares.mean())) if shares is not None and columns else "no samples"
        parts.append(text(left + width + 8, MARKS + ROW * (row + 0.7), shown))
    cells = element(
        "g",
        element("rect", width=columns, height=measured, class_="area"),
        *_shades(rows),
        element("rect", width=1, height=1, class_="cursor"),
        class_="cells",
        transform=f"translate({left:.4g},{MARKS}) scale({unit:.4g},{ROW})",
    )
    marked = _segments(contaminated, 1)
    if marked:
        place = f"translate({left:.4g},{MARKS - 5}) scale({unit:.4g},1)"
        parts.append(element("path", d=_path(marked, 0), class_="contaminated", transform=place))
    height = MARKS + ROW * len(rows) + 4
    size = left + width + VALUES, float(height)
    return figure(title, description, *size, *parts, cells, class_="map", fixed=True)


def _shades(rows: Sequence[NDArray[np.float64] | None]) -> list[Markup]:
    """Return one path for each shade but the lightest, which is the background."""
    levels = [None if shares is None else np.ceil(shares * LEVELS - 1e-9).astype(int) for shares in rows]
    paths = []
    for level in range(1, LEVELS + 1):
        drawn = "".join(
            _path(_segments(row, level), number) for number, row in enumerate(levels) if row is not None
        )
        if drawn:
            paths.append(element("path", d=drawn, class_=f"shade{level}"))
    return paths


def _segments(values: NDArray[np.int64] | NDArray[np.bool_], wanted: int) -> list[tuple[int, int]]:
    """Return the first position and the length of each unbroken series of a value."""
    found, position = [], 0
    for value, series in groupby(values.tolist()):
        length = len(list(series))
        if value == wanted:
            found.append((position, length))
        position += length
    return found


def _path(segments: list[tuple[int, int]], row: int) -> str:
    return "".join(f"M{start} {row}.5h{length}" for start, length in segments)
