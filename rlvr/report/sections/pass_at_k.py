"""pass@k against k: what more samples find, and whether training made it more likely or possible at all."""

from collections.abc import Mapping

from rlvr.config.resolved import Variant
from rlvr.report.charts.intervals import Estimate
from rlvr.report.charts.lines import Axis, Line, LinePanel, share_axis
from rlvr.report.inputs import Inputs
from rlvr.report.panels import Found, Panels, line_kind, page_panels
from rlvr.report.queries import estimate_of, pass_at_k, rows_of
from rlvr.report.section import Section
from rlvr.report.text import points

Curve = Mapping[int, Estimate]
"""k -> pass@k."""


def build(inputs: Inputs) -> Panels | None:
    """Return the curves of every model; None where every benchmark has one sample per problem."""
    found = [Found(model, model, panel) for model in inputs.study.models if (panel := _panel(inputs, model))]
    return page_panels(inputs, "pass-at-k", found) if found else None


def _panel(inputs: Inputs, model: str) -> LinePanel | None:
    variants = [variant for variant in inputs.variants if variant.model == model]
    titles = {
        entry.benchmark: entry.title for entry in inputs.study.benchmarks if entry.samples_per_problem > 1
    }
    curves = {variant: _curves(inputs, variant) for variant in variants}
    if not titles or not any(curves.values()):
        return None
    base = curves.get(inputs.untrained(model), {})
    gains = {f"{name}-gain": _gain_axis(title) for name, title in titles.items() if name in base}
    return LinePanel(
        title=f"pass@k of all methods, {model}",
        x={"k": Axis(title="k (log scale)", label=lambda k: f"{k:g}", logarithmic=True)},
        y=gains | {name: share_axis(f"{title}: pass@k (%)") for name, title in titles.items()},
        lines=[_line(inputs, variant, curves[variant], base) for variant in variants],
    )


def _gain_axis(title: str) -> Axis:
    return Axis(
        title=f"{title}: pass@k minus the untrained model’s (points)",
        label=lambda value: points(value, ""),
        times=100.0,
    )


def _curves(inputs: Inputs, variant: Variant) -> Mapping[str, Curve]:
    """Return the curve of a variant on every benchmark."""
    curves: dict[str, dict[int, Estimate]] = {}
    for row in rows_of(inputs.summary, variant).to_dict("records"):
        k = pass_at_k(row["metric"])
        if k is not None:
            curves.setdefault(row["benchmark"], {})[k] = estimate_of(row, "value")
    return curves


def _line(inputs: Inputs, variant: Variant, curves: Mapping[str, Curve], base: Mapping[str, Curve]) -> Line:
    x: dict[str, list[float]] = {}
    y: dict[str, list[float]] = {}
    for name, curve in curves.items():
        ks = sorted(curve)
        x[f"k:{name}"], y[name] = [float(k) for k in ks], [curve[k].value for k in ks]
        if name in base and all(k in base[name] for k in ks):
            x[f"k:{name}-gain"] = x[f"k:{name}"]
            y[f"{name}-gain"] = [curve[k].value - base[name][k].value for k in ks]
    return Line(key=inputs.key(variant), label=inputs.label(variant), x=x, y=y, kind=line_kind(variant))


SECTION = Section(
    part="methods", order=15, id="pass-at-k", title="pass@k", template="pass_at_k.html", build=build
)
