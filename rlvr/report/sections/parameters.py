"""Accuracy against the number of trainable parameters."""

from dataclasses import dataclass, replace

from rlvr.config.resolved import Variant
from rlvr.report.charts.intervals import Mark, accuracy_against_parameters
from rlvr.report.inputs import Inputs
from rlvr.report.panels import ModelPanels, Panels, panels_of_models
from rlvr.report.queries import accuracies, benchmark_title, headline_benchmark, rows_of
from rlvr.report.section import Section

FEWEST_POINTS = 3  # in a figure; smaller groups share one


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """Context of the section; ``benchmark`` is the title of what the accuracy was measured on."""

    benchmark: str
    models: list[ModelPanels]


def build(inputs: Inputs) -> Parameters:
    """Return the figures of every model."""
    return Parameters(
        benchmark=benchmark_title(inputs, headline_benchmark(inputs)),
        models=panels_of_models(inputs, _figures),
    )


def figure_groups(inputs: Inputs, variants: list[Variant]) -> dict[str, dict[Variant, str]]:
    """Return title -> variants with their labels, one entry per figure.

    A figure compares methods under one preset and setting or, where that gives fewer figures, the presets and
    settings of one method. Groups of fewer than three variants, or of less than half the largest, share a
    figure with full labels.
    """
    by_conditions: dict[str, dict[Variant, str]] = {}
    by_method: dict[str, dict[Variant, str]] = {}
    for variant in variants:
        name, conditions = inputs.names[variant], inputs.conditions(variant)
        by_conditions.setdefault(conditions, {})[variant] = name
        by_method.setdefault(name, {})[variant] = conditions or name
    groups = min(by_conditions, by_method, key=len)
    if len(groups) <= 1:
        return groups
    fewest = max(FEWEST_POINTS, max(map(len, groups.values())) / 2)
    large = {title: group for title, group in groups.items() if len(group) >= fewest}
    if len(large) <= 1:
        return {"": {variant: inputs.label(variant) for variant in variants}}
    placed = {variant for group in large.values() for variant in group}
    rest = {variant: inputs.label(variant) for variant in variants if variant not in placed}
    return {**large, "Other presets and settings": rest} if rest else large


def _figures(inputs: Inputs, model: str) -> list[Panels]:
    """Return the figures of one model, all on the same axes."""
    benchmark = headline_benchmark(inputs)
    marks = _marks(inputs, model, benchmark)
    untrained = accuracies(inputs).get((inputs.untrained(model), benchmark))
    title = f"Accuracy ({benchmark_title(inputs, benchmark)}) against trainable parameters, {model}"

    def figure(group: str, labels: dict[Variant, str]) -> Panels:
        plot = accuracy_against_parameters(
            [replace(marks[variant], label=label) for variant, label in labels.items()],
            untrained.estimate if untrained else None,
            f"{title} {group}".strip(),
            spanned=list(marks.values()),
        )
        return Panels(title=group, figures=[plot])

    return [figure(group, labels) for group, labels in figure_groups(inputs, list(marks)).items()]


def _marks(inputs: Inputs, model: str, benchmark: str) -> dict[Variant, Mark]:
    measured = accuracies(inputs)
    parameters = {
        variant: float(rows_of(inputs.summary, variant)["trainable_parameters"].max())
        for variant in inputs.trained_of(model)
        if (variant, benchmark) in measured
    }
    return {
        variant: Mark(inputs.label(variant), count, measured[variant, benchmark].estimate)
        for variant, count in parameters.items()
        if count > 0
    }


SECTION = Section(
    part="cost",
    order=10,
    id="parameters",
    title="Accuracy and parameters",
    template="parameters.html",
    build=build,
)
