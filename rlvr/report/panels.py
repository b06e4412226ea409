"""Groups of small figures, one group of groups per model."""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from rlvr.report.charts.intervals import Estimate
from rlvr.report.inputs import Inputs
from rlvr.report.queries import benchmark_title, seeds_of_model

Curves = dict[str, dict[int, Estimate]]
"""Label of a variant -> estimates by a whole number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panels:
    """Figures under one heading."""

    title: str
    figures: list[Markup]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelPanels:
    """All figures of one section for one model; ``seeds`` says how many training seeds they show."""

    model: str
    seeds: str
    groups: list[Panels]


def panels_of_models(inputs: Inputs, build: Callable[[Inputs, str], list[Panels]]) -> list[ModelPanels]:
    """Return the panels of every model of the study; groups without figures are left out."""
    return [
        ModelPanels(
            model=model,
            seeds=seeds_of_model(inputs, model),
            groups=[group for group in build(inputs, model) if group.figures],
        )
        for model in inputs.study.models
    ]


def panels_of_benchmarks(
    inputs: Inputs, curves: Callable[[str], Curves], plot: Callable[[Curves, str], list[Markup]]
) -> list[Panels]:
    """Return one group per benchmark.

    Args:
        inputs: the study.
        curves: the curves of a benchmark, by its name.
        plot: makes the figures from the curves and the title of the benchmark.
    """
    titles = {entry.benchmark: benchmark_title(inputs, entry.benchmark) for entry in inputs.study.benchmarks}
    return [Panels(title=title, figures=plot(curves(name), title)) for name, title in titles.items()]
