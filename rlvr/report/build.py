"""The builder: reads one study, draws its figures, renders one self-contained page."""

from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from rlvr.config.resolved import BASE, Variant
from rlvr.files import write_text
from rlvr.report import text
from rlvr.report.answer import answer, caveats
from rlvr.report.charts.curves import (
    budget_panels,
    pass_at_k_panels,
    pretraining_panel,
    training_curve,
    training_panels,
    value_label,
)
from rlvr.report.charts.intervals import Mark, accuracy_against_parameters, percent_tick
from rlvr.report.details import LENGTHS, RATES, contamination_table, numbers_table, other_means
from rlvr.report.examples import examples
from rlvr.report.inputs import TRAINING_CURVES, Inputs, read_inputs
from rlvr.report.provenance import provenance
from rlvr.report.tables import (
    Forest,
    accuracies,
    benchmark_title,
    budget_curves,
    faults_of,
    forests,
    headline_benchmark,
    pass_curves,
    results_table,
    seeds_of_model,
)

REFERENCE_METHOD = "lora"  # drawn dashed behind the training curves of the others


@dataclass(frozen=True)
class Panels:
    """One group of small panels under one heading."""

    title: str
    figures: list[Markup]


@dataclass(frozen=True)
class ModelSection:
    """Everything that is drawn or said once for each model."""

    model: str
    answer: str
    caveats: list[str]
    seeds: str
    forests: list[Forest]
    parameters: list[Panels]
    training: list[Panels]
    pass_at_k: list[Panels]
    budget: list[Panels]
    pretraining: list[Markup]


def build_report(study_manifest: Path, results: Path, resources: Path, output: Path) -> None:
    """Write the report of one study as one HTML file that requests nothing from anywhere.

    The page holds what has been run so far; what has not is marked so. The same inputs give the same
    bytes.

    Args:
        study_manifest: the resolved study, ``results/<study>/configs/study.json``.
        results: the folder ``results/<study>``.
        resources: the folder that holds ``data/`` and ``models/``.
        output: the page to write, ``reports/<study>.html``.

    Raises:
        UserError: an input is missing or damaged; the message names the file.
    """
    inputs = read_inputs(study_manifest, results, resources)
    write_text(output, render(inputs))


def render(inputs: Inputs) -> str:
    """Return the page of one study."""
    columns, rows = results_table(inputs)
    return (
        _environment()
        .get_template("report.html")
        .render(
            study=inputs.study,
            headline=headline_benchmark(inputs),
            trained=[variant for variant in inputs.study.variants if variant.method != BASE],
            steps=sorted({record.train_info.steps for record in inputs.records.values()}),
            seeds=sorted({run.train_seed for run in inputs.study.runs if run.train_seed is not None}),
            overlap=inputs.overlap,
            columns=columns,
            rows=rows,
            rates=numbers_table(inputs, RATES),
            lengths=numbers_table(inputs, LENGTHS),
            other_means=other_means(inputs),
            contamination=contamination_table(inputs),
            faulty=_faulty(inputs),
            sections=[_section(inputs, model) for model in inputs.study.models],
            examples=examples(inputs),
            provenance=provenance(inputs),
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rlvr.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("percent", "points", "p_value", "number", "count", "listing", "visible"):
        environment.filters[name] = getattr(text, name)
    environment.globals["BASE"] = BASE
    return environment


def _section(inputs: Inputs, model: str) -> ModelSection:
    return ModelSection(
        model,
        answer(inputs, model),
        caveats(inputs, model),
        seeds_of_model(inputs, model),
        forests(inputs, model),
        _parameters(inputs, model),
        _training(inputs, model),
        _pass_at_k(inputs, model),
        _budget(inputs, model),
        _pretraining(inputs, model),
    )


def _parameters(inputs: Inputs, model: str) -> list[Panels]:
    """Return one figure a preset and setting, so that each holds one point a method; all on the same axes."""
    benchmark = headline_benchmark(inputs)
    measured = accuracies(inputs)
    costs = inputs.summary.drop_duplicates(["model", "method", "preset", "setting"])
    groups: dict[str, list[Mark]] = {}
    for row in costs.to_dict("records"):
        variant = Variant(row["model"], row["method"], row["preset"], row["setting"])
        cell = measured.get((variant, benchmark))
        if variant.model == model and row["trainable_parameters"] > 0 and cell:
            mark = Mark(inputs.names[variant], row["trainable_parameters"], cell.estimate)
            groups.setdefault(inputs.conditions(variant), []).append(mark)
    base = measured.get((Variant(model, BASE, "-", "-"), benchmark))
    untrained = base.estimate if base else None
    everything = [mark for marks in groups.values() for mark in marks]
    panels = []
    for conditions, marks in groups.items():
        title = f"Accuracy ({benchmark}) against trainable parameters, {model} {conditions}".strip()
        drawn = accuracy_against_parameters(marks, untrained, title, everything)
        panels.append(Panels(conditions, [drawn]))
    return panels


def _training(inputs: Inputs, model: str) -> list[Panels]:
    """Return the curves of training: the reward of every step first."""
    variants = [
        variant for variant in inputs.study.variants if variant.model == model and variant.method != BASE
    ]
    reference = next((variant for variant in variants if variant.method == REFERENCE_METHOD), None)
    dashed = inputs.label(reference) if reference else None
    groups = []
    for title, column, ceiling in TRAINING_CURVES:
        curves = {}
        for variant in variants:
            runs = inputs.study.runs_of(variant)
            logs = [log for run in runs if (log := inputs.train_logs.get(run.run)) is not None and len(log)]
            curves[inputs.label(variant)] = training_curve(logs, column) if logs else None
        groups.append(Panels(title, training_panels(curves, dashed, title, ceiling)))
    return [group for group in groups if group.figures]


def _pass_at_k(inputs: Inputs, model: str) -> list[Panels]:
    groups = []
    for entry in inputs.study.benchmarks:
        curves = pass_curves(inputs, model, entry.benchmark)
        title = benchmark_title(inputs, entry.benchmark)
        groups.append(Panels(title, pass_at_k_panels(curves, _base_label(inputs, model), title)))
    return [group for group in groups if group.figures]


def _budget(inputs: Inputs, model: str) -> list[Panels]:
    groups = []
    for entry in inputs.study.benchmarks:
        curves = budget_curves(inputs, model, entry.benchmark)
        title = benchmark_title(inputs, entry.benchmark)
        groups.append(Panels(title, budget_panels(curves, _base_label(inputs, model), title)))
    return [group for group in groups if group.figures]


def _faulty(inputs: Inputs) -> list[tuple[str, str]]:
    """Return the rows that repeat faults of the released code, with the faults in words."""
    faults = [(inputs.label(variant), faults_of(inputs, variant)) for variant in inputs.study.variants]
    return [(label, words) for label, words in faults if words]


def _base_label(inputs: Inputs, model: str) -> str | None:
    base = next(
        (variant for variant in inputs.study.variants if variant.model == model and variant.method == BASE),
        None,
    )
    return inputs.label(base) if base else None


def _pretraining(inputs: Inputs, model: str) -> list[Markup]:
    curve = inputs.pretraining.get(model, [])
    if not curve:
        return []
    steps, losses = [point.step for point in curve], [point.loss for point in curve]
    figures = [pretraining_panel(model, "Training loss", steps, losses, value_label(max(losses)))]
    tested = [(point.step, point.accuracy) for point in curve if point.accuracy is not None]
    if tested:
        accuracy_steps, values = [step for step, _ in tested], [value for _, value in tested]
        figures.append(pretraining_panel(model, "Accuracy (%)", accuracy_steps, values, percent_tick))
    return figures
