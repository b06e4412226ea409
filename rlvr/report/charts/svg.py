"""Scales, axes and escaped SVG elements. Colours come from the page's CSS classes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Tick = tuple[float, str]


@dataclass(frozen=True)
class Scale:
    """A map from data to pixels, linear or logarithmic (base 10)."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of ``value``; values outside the domain are outside the range."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def clamped(self, value: float) -> float:
        """Return the pixel of ``value``, limited to the range."""
        return self(min(max(value, self.low), self.high))


def element(name: str, *children: str, **attributes: object) -> Markup:
    """Return one SVG element; children and attribute values are escaped unless they are Markup.

    A trailing underscore of an attribute is dropped (``class_``), others become hyphens; None is left out.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _attribute(value))
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    tag = Markup(name)
    if not inside:
        return Markup("<{}{}/>").format(tag, written)
    return Markup("<{}{}>{}</{}>").format(tag, written, inside, tag)


def figure(
    title: str, description: str, width: float, height: float, *children: str, **attributes: object
) -> Markup:
    """Return a complete ``<svg>`` with a role, and with a title and a description for screen readers.

    It is as wide as the page's style says; with ``fixed=True`` it has the given size in pixels.
    """
    fixed = {"width": width, "height": height} if attributes.pop("fixed", False) else {}
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *children,
        viewBox=f"0 0 {_attribute(width)} {_attribute(height)}",
        role="img",
        aria_label=f"{title}. {description}",
        **fixed,
        **attributes,
    )


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def diamond(x: float, y: float, class_: str) -> Markup:
    """Return a hollow diamond around a point."""
    return element("path", d=f"M{x - 5:.1f},{y:.1f}l5,-5l5,5l-5,5z", class_=class_)


def text(x: float, y: float, content: str, class_: str = "tick", anchor: str = "start") -> Markup:
    """Return a text whose baseline starts, ends or is centred at (x, y)."""
    return element("text", content, x=x, y=y, class_=class_, text_anchor=anchor)


def path(xs: Sequence[float], ys: Sequence[float], class_: str) -> Markup:
    """Return a polyline through the points, broken wherever a value is NaN."""
    commands = []
    pen_down = False
    for x, y in zip(xs, ys, strict=True):
        if math.isnan(x) or math.isnan(y):
            pen_down = False
            continue
        commands.append(f"{'L' if pen_down else 'M'}{x:.1f},{y:.1f}")
        pen_down = True
    return element("path", d="".join(commands), class_=class_)


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers within [low, high], about ``about`` of them, in steps of 1, 2 or 5 times 10^n."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda size: abs(size - raw))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def padded(
    values: Sequence[float], floor: float | None = None, ceiling: float | None = None
) -> tuple[float, float]:
    """Return a domain a little wider than the finite values, limited to [floor, ceiling]."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    low, high = low - margin, high + margin
    return (
        low if floor is None else max(low, floor),
        high if ceiling is None else min(high, ceiling),
    )


def y_axis(scale: Scale, left: float, right: float, label: Callable[[float], str], about: int = 5) -> Markup:
    """Return horizontal grid lines with their values on the left."""
    parts = []
    for tick in nice_ticks(scale.low, scale.high, about):
        y = scale(tick)
        parts += [line(left, y, right, y, "grid"), text(left - 8, y + 4, label(tick), anchor="end")]
    return Markup("").join(parts)


def x_axis(scale: Scale, bottom: float, ticks: Sequence[Tick]) -> Markup:
    """Return the base line with its ticks and their labels below."""
    parts = [line(scale.start, bottom, scale.end, bottom, "axis")]
    for value, label in ticks:
        x = scale(value)
        parts += [line(x, bottom, x, bottom + 4, "axis"), text(x, bottom + 18, label, anchor="middle")]
    return Markup("").join(parts)


def log_ticks(scale: Scale, label: Callable[[float], str]) -> list[Tick]:
    """Return ticks at powers of ten; where that leaves fewer than three, also at multiples of them."""
    low, high = math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high))
    for factors in ((1,), (1, 2, 5), range(1, 10)):
        values = [factor * 10.0**power for power in range(low, high + 1) for factor in factors]
        values = [value for value in values if scale.low <= value <= scale.high]
        if len(values) >= 3:
            break
    return [(value, label(value)) for value in values]


def _attribute(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
