"""Line charts: training, pass@k, token budget and pretraining, one small panel per method."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from rlvr.report.charts import svg
from rlvr.report.charts.intervals import Estimate, percent_tick
from rlvr.report.charts.svg import Scale
from rlvr.report.text import compact, number, percent

PANEL_WIDTH, PANEL_HEIGHT = 240, 165
LEFT, RIGHT, TOP, BOTTOM = 36.0, PANEL_WIDTH - 18.0, 30.0, PANEL_HEIGHT - 28.0
MOST_POINTS = 400  # more than a panel has pixels; longer runs are plotted as means of consecutive steps
SMOOTHING = 1 / 10  # width of the moving mean, as a share of the run


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One training curve of one method: every seed as logged, and their smoothed mean.

    Attributes:
        steps: step numbers, ascending, shape [T].
        seeds: the logged values, one array of shape [T] per training seed; NaN where a seed has no value.
        smooth: the moving mean over steps of the mean over seeds, shape [T].
    """

    steps: np.ndarray
    seeds: list[np.ndarray]
    smooth: np.ndarray


def training_curve(logs: Sequence[pd.DataFrame], column: str) -> Curve:
    """Return the curve of ``column`` over the training logs of one method, one log per seed."""
    table = pd.concat([log.set_index("step")[column].astype(float) for log in logs], axis=1).sort_index()
    thinning = math.ceil(len(table) / MOST_POINTS)
    if thinning > 1:
        steps = table.index.to_series().groupby(np.arange(len(table)) // thinning).last()
        table = table.groupby(np.arange(len(table)) // thinning).mean().set_index(steps.to_numpy())
    width = max(3, round(len(table) * SMOOTHING))
    smooth = table.mean(axis=1).rolling(width, center=True, min_periods=1).mean()
    seeds = [table.iloc[:, index].to_numpy() for index in range(table.shape[1])]
    return Curve(steps=table.index.to_numpy(dtype=float), seeds=seeds, smooth=smooth.to_numpy())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Axes:
    """The axes that all panels of one quantity share, and how its values are written."""

    x: Scale
    y: Scale
    quantity: str
    label: Callable[[float], str]


def training_panels(
    curves: Mapping[str, Curve | None],
    references: Mapping[str, str],
    quantity: str,
    ceiling: float | None = None,
) -> list[Markup]:
    """Return one panel per method, all on the same axes; None is a method that has not been run.

    Args:
        curves: by the label of the method.
        references: label -> label of the method whose smoothed curve is dashed in its panel.
        quantity: title of the y axis.
        ceiling: the largest value the quantity can take.
    """
    present = [curve for curve in curves.values() if curve is not None]
    if not present:
        return []
    values = [float(value) for curve in present for seed in curve.seeds for value in seed]
    values = [value for value in values if not math.isnan(value)]
    first = min(float(curve.steps[0]) for curve in present)
    last = max(float(curve.steps[-1]) for curve in present)
    axes = _Axes(
        x=Scale(first, last, LEFT, RIGHT),
        y=Scale(*svg.padded([*values, 0.0], min([*values, 0.0]), ceiling), BOTTOM, TOP),
        quantity=quantity,
        label=value_label(max(values, default=0.0)),
    )
    return [
        _training_panel(name, curve, axes, (dashed, curves.get(dashed)) if dashed else None)
        for name, curve in curves.items()
        for dashed in [references.get(name)]
    ]


def pass_at_k_panels(
    curves: Mapping[str, Mapping[int, Estimate]], reference: str | None, benchmark: str
) -> list[Markup]:
    """Return one panel per method: pass@k against k (log), the untrained model dashed, intervals as whiskers.

    Args:
        curves: by the label of the method, pass@k by k; empty where a method has not been run.
        reference: the label of the untrained model.
        benchmark: title of the benchmark.
    """
    ks = sorted({k for curve in curves.values() for k in curve})
    return _estimate_panels(
        curves,
        reference,
        title=lambda name: f"pass@k of {name}, {benchmark}",
        prefix="pass@",
        ticks=[(float(k), str(k)) for k in ks],
    )


def budget_panels(
    curves: Mapping[str, Mapping[int, Estimate]], reference: str | None, benchmark: str
) -> list[Markup]:
    """Return one panel per method: accuracy against token budget (log), the untrained model dashed.

    Args:
        curves: by the label of the method, accuracy by budget; empty where a method has not been run.
        reference: the label of the untrained model.
        benchmark: title of the benchmark.
    """
    budgets = [float(budget) for curve in curves.values() for budget in curve]
    if not budgets:
        return []
    scale = Scale(min(budgets), max(budgets), LEFT, RIGHT, logarithmic=True)
    ticks = svg.log_ticks(scale, compact)
    if len(ticks) > 5:
        ticks = [(end, compact(end)) for end in (scale.low, scale.high)]
    return _estimate_panels(
        curves,
        reference,
        title=lambda name: f"Accuracy of {name} within a token budget, {benchmark}",
        prefix="",
        ticks=ticks,
    )


def _estimate_panels(
    curves: Mapping[str, Mapping[int, Estimate]],
    reference: str | None,
    *,
    title: Callable[[str], str],
    prefix: str,
    ticks: list[svg.Tick],
) -> list[Markup]:
    """Return the panels of estimates against a whole number (log); none where there is only one number."""
    numbers = sorted({x for curve in curves.values() for x in curve})
    if len(numbers) < 2:
        return []
    x = Scale(numbers[0], numbers[-1], LEFT + 10, RIGHT - 10, logarithmic=True)
    bounds = [bound for curve in curves.values() for estimate in curve.values() for bound in estimate.bounds]
    y = Scale(*svg.padded(bounds, 0.0, 1.0), BOTTOM, TOP)
    axes = [svg.y_axis(y, LEFT, RIGHT, percent_tick, 4), svg.x_axis(x, BOTTOM, ticks)]
    untrained = curves.get(reference, {}) if reference else {}
    panels = []
    for name, curve in curves.items():
        if name == reference:
            continue
        parts = [*axes, svg.text(LEFT, 16, name, "panel-title")]
        if untrained and curve:
            parts.append(_line(untrained, x, y, "dashed"))
        for place in sorted(curve):
            if len(curve[place].bounds) == 3:
                low, high = y(curve[place].low), y(curve[place].high)
                parts.append(svg.line(x(place), low, x(place), high, "whisker thin"))
        parts.append(_line(curve, x, y, "smooth") if curve else _not_run())
        values = [f"{prefix}{place} {percent(curve[place].value)}" for place in sorted(curve)]
        described = "; ".join(values) or "Not run."
        panels.append(svg.figure(title(name), described, PANEL_WIDTH, PANEL_HEIGHT, *parts, class_="panel"))
    return panels


def _line(curve: Mapping[int, Estimate], x: Scale, y: Scale, class_: str) -> Markup:
    places = sorted(curve)
    return svg.path([x(place) for place in places], [y(curve[place].value) for place in places], class_)


def pretraining_panel(
    model: str, quantity: str, values: Mapping[int, float], label: Callable[[float], str]
) -> Markup:
    """Return one quantity, by step, over the supervised pretraining of a built-in model."""
    steps, heights = list(values), list(values.values())
    x = Scale(min(steps), max(steps), LEFT, RIGHT)
    y = Scale(*svg.padded([*heights, 0.0], 0.0), BOTTOM, TOP)
    parts = [
        *_axis_lines(x, y, label),
        svg.text(LEFT, 16, quantity, "panel-title"),
        svg.path([x(step) for step in steps], [y(height) for height in heights], "smooth"),
    ]
    described = f"From {label(heights[0])} at step {steps[0]} to {label(heights[-1])} at step {steps[-1]}."
    title = f"Pretraining of {model}: {quantity}"
    return svg.figure(title, described, PANEL_WIDTH, PANEL_HEIGHT, *parts, class_="panel")


def value_label(largest: float) -> Callable[[float], str]:
    """Return the format of the values of an axis that reaches up to ``largest``."""
    if largest >= 1000:
        return compact
    return (lambda tick: number(tick)) if largest >= 10 else (lambda tick: f"{tick:.2g}")


def _training_panel(
    name: str, curve: Curve | None, axes: _Axes, dashed: tuple[str, Curve | None] | None
) -> Markup:
    x, y, label = axes.x, axes.y, axes.label
    parts = [*_axis_lines(x, y, label), svg.text(LEFT, 16, name, "panel-title")]
    title = f"{axes.quantity} of {name}"
    if curve is None:
        parts.append(_not_run())
        return svg.figure(title, "Not run.", PANEL_WIDTH, PANEL_HEIGHT, *parts, class_="panel")
    parts += [_steps(curve, seed, axes, "raw") for seed in curve.seeds]
    described = _smoothed_in_words(curve, label)
    if dashed and dashed[1] is not None:
        parts.append(_steps(dashed[1], dashed[1].smooth, axes, "dashed"))
        described += f" The dashed line is {dashed[0]}."
    parts.append(_steps(curve, curve.smooth, axes, "smooth"))
    return svg.figure(title, described, PANEL_WIDTH, PANEL_HEIGHT, *parts, class_="panel")


def _steps(curve: Curve, values: np.ndarray, axes: _Axes, class_: str) -> Markup:
    xs = [axes.x(float(step)) for step in curve.steps]
    return svg.path(xs, [axes.y(float(value)) for value in values], class_)


def _smoothed_in_words(curve: Curve, label: Callable[[float], str]) -> str:
    logged = np.flatnonzero(~np.isnan(curve.smooth))
    if not len(logged):
        return "Nothing was logged."
    first, last = logged[0], logged[-1]
    return (
        f"Smoothed, from {label(float(curve.smooth[first]))} at step {curve.steps[first]:.0f} "
        f"to {label(float(curve.smooth[last]))} at step {curve.steps[last]:.0f}."
    )


def _axis_lines(x: Scale, y: Scale, label: Callable[[float], str]) -> list[Markup]:
    steps = [(tick, number(tick)) for tick in svg.nice_ticks(x.low, x.high, 3) if tick == int(tick)]
    return [svg.y_axis(y, LEFT, RIGHT, label, 4), svg.x_axis(x, BOTTOM, steps)]


def _not_run() -> Markup:
    return svg.text((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2, "not run", "label", "middle")
