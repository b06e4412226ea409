"""Accuracy within a token budget: does a method gain, or only answer at greater length?"""

from rlvr.config.resolved import Variant
from rlvr.report.charts.lines import Axis, Line, LinePanel, share_axis
from rlvr.report.inputs import Inputs
from rlvr.report.panels import Found, Panels, line_kind, page_panels
from rlvr.report.queries import rows_of
from rlvr.report.section import Section
from rlvr.report.text import compact


def build(inputs: Inputs) -> Panels | None:
    """Return the curves of every model; None where there is nothing to plot."""
    if inputs.budget.empty or inputs.budget["budget"].nunique() < 2:
        return None
    found = [Found(model, model, _panel(inputs, model)) for model in inputs.study.models]
    return page_panels(inputs, "budget", found)


def _panel(inputs: Inputs, model: str) -> LinePanel:
    return LinePanel(
        title=f"Accuracy of all methods within a token budget, {model}",
        x={"budget": Axis(title="token budget (log scale)", label=compact, logarithmic=True)},
        y={entry.benchmark: share_axis(f"{entry.title}: accuracy (%)") for entry in inputs.study.benchmarks},
        lines=[_line(inputs, variant) for variant in inputs.variants if variant.model == model],
    )


def _line(inputs: Inputs, variant: Variant) -> Line:
    mine = rows_of(inputs.budget, variant)
    curves = {str(name): some.sort_values("budget") for name, some in mine.groupby("benchmark")}
    return Line(
        key=inputs.key(variant),
        label=inputs.label(variant),
        kind=line_kind(variant),
        x={f"budget:{name}": some["budget"].astype(float).tolist() for name, some in curves.items()},
        y={name: some["value"].tolist() for name, some in curves.items()},
    )


SECTION = Section(
    part="cost", order=20, id="budget", title="Token budget", template="budget.html", build=build
)
