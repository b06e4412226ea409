"""pass@k against k."""

from dataclasses import dataclass

from rlvr.report.charts.curves import pass_at_k_panels
from rlvr.report.inputs import Inputs
from rlvr.report.panels import Curves, ModelPanels, Panels, panels_of_benchmarks, panels_of_models
from rlvr.report.queries import curves_of, pass_at_k
from rlvr.report.section import Section


@dataclass(frozen=True, kw_only=True, slots=True)
class PassAtK:
    """Context of the section."""

    models: list[ModelPanels]


def build(inputs: Inputs) -> PassAtK | None:
    """Return the curves of every model; None where every benchmark has one sample per problem."""
    if all(entry.samples_per_problem == 1 for entry in inputs.study.benchmarks):
        return None
    return PassAtK(models=panels_of_models(inputs, _groups))


def _groups(inputs: Inputs, model: str) -> list[Panels]:
    untrained = inputs.untrained(model)
    reference = inputs.label(untrained) if untrained in inputs.names else None
    frame = inputs.summary.assign(k=inputs.summary["metric"].map(pass_at_k)).dropna(subset="k")

    def curves(benchmark: str) -> Curves:
        return curves_of(inputs, model, frame[frame["benchmark"] == benchmark], "k")

    return panels_of_benchmarks(inputs, curves, lambda some, title: pass_at_k_panels(some, reference, title))


SECTION = Section(
    part="methods", order=40, id="pass-at-k", title="pass@k", template="pass_at_k.html", build=build
)
