"""Accuracy against what a method costs, and which methods are worth their cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from rlvr.artifacts import OVERALL
from rlvr.config.resolved import Variant
from rlvr.report.charts.scatter import Mark, cost_against_accuracy, pareto
from rlvr.report.inputs import Inputs
from rlvr.report.methods.cells import cost_cells
from rlvr.report.paper import MAIN, paper_models, paper_numbers
from rlvr.report.queries import accuracies, benchmark_title, headline_benchmark, seeds_of_model
from rlvr.report.section import Section
from rlvr.report.text import listing

COSTS = {
    "parameters": ("trainable parameters (log scale)", True),
    "tokens": ("tokens sampled per run", False),
    "memory": ("peak memory (GB)", False),
    "minutes": ("training time (device-minutes, as run)", False),
}
"""Column of the table of methods -> title of the axis, whether it is logarithmic."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CostFigure:
    """One figure: its name in links, its title, the methods on the Pareto line, whether the paper is in."""

    name: str
    title: str
    figure: Markup
    front: str
    published: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCosts:
    """The figures of one model."""

    model: str
    seeds: str
    figures: list[CostFigure]

    @property
    def titles(self) -> dict[str, str]:
        """The options of the menu."""
        return {one.name: one.title for one in self.figures}


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """Context of the section; ``benchmark`` is the title of what the accuracy was measured on."""

    benchmark: str
    models: list[ModelCosts]


def build(inputs: Inputs) -> Costs | None:
    """Return the figures of every model; None where nothing has been trained and evaluated."""
    models = [
        ModelCosts(model=model, seeds=seeds_of_model(inputs, model), figures=figures)
        for model in inputs.study.models
        if (figures := _figures(inputs, model))
    ]
    if not models:
        return None
    return Costs(benchmark=benchmark_title(inputs, headline_benchmark(inputs)), models=models)


def _figures(inputs: Inputs, model: str) -> list[CostFigure]:
    measured, benchmark = accuracies(inputs), headline_benchmark(inputs)
    untrained = measured.get((inputs.untrained(model), benchmark))
    title = f"Accuracy ({benchmark_title(inputs, benchmark)}) against {{}}, {model}"
    figures = []
    for name, (axis, logarithmic) in COSTS.items():
        marks = _marks(inputs, model, benchmark, _cost(inputs, name))
        if marks:
            plot = cost_against_accuracy(
                marks, untrained.estimate if untrained else None, title.format(axis), axis, logarithmic
            )
            front = listing([mark.label for mark in pareto(marks)])
            published = any(mark.paper is not None for mark in marks)
            figures.append(CostFigure(name=name, title=axis, figure=plot, front=front, published=published))
    return figures


def _cost(inputs: Inputs, name: str) -> Callable[[Variant], float]:
    def cost(variant: Variant) -> float:
        cell = cost_cells(inputs, variant).get(name)
        return float("nan") if cell is None or cell.value is None else cell.value

    return cost


def _marks(inputs: Inputs, model: str, benchmark: str, cost: Callable[[Variant], float]) -> list[Mark]:
    measured, published = accuracies(inputs), _published(inputs, model, benchmark)
    marks = [
        Mark(
            key=inputs.key(variant),
            label=inputs.label(variant),
            cost=cost(variant),
            accuracy=measured[variant, benchmark].estimate,
            paper=published.get(variant.method) if variant.setting == MAIN else None,
        )
        for variant in inputs.trained_of(model)
        if (variant, benchmark) in measured
    ]
    return [mark for mark in marks if mark.cost > 0]


def _published(inputs: Inputs, model: str, benchmark: str) -> Mapping[str, float]:
    """Return the paper's accuracies by method for the same model; they are means over benchmarks."""
    if benchmark != OVERALL or model not in paper_models(inputs):
        return {}
    return paper_numbers(inputs, model).accuracies


SECTION = Section(part="cost", order=10, id="cost", title="", template="costs.html", build=build)
