"""Where in the spectrum of the base the updates are (Figure 3 of the paper)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rlvr.config.resolved import BASE, Variant
from rlvr.report.charts.curves import Curve, training_panels
from rlvr.report.charts.spectra import Cumulative, Energy, energy_panels
from rlvr.report.inputs import Inputs
from rlvr.report.panels import ModelPanels, Panels, panels_of_models
from rlvr.report.section import Section

TENTH, REST = 0.1, 0.9
"""Shares of the components that bound the principal tenth and the minor tenth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UpdateRow:
    """Means over layers and training seeds of one variant, NaN where it has no such weights."""

    label: str
    model: str
    relative_norm: float
    principal: float
    minor: float
    effective_rank: float
    float32: float
    bfloat16: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlaps:
    """Mean overlap of the updates of every two variants of a model; NaN where they were not compared."""

    model: str
    labels: list[str]
    rows: list[list[float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spectra:
    """Context of the section."""

    models: list[ModelPanels]
    rows: list[UpdateRow]
    overlaps: list[Overlaps]


def build(inputs: Inputs) -> Spectra | None:
    """Return curves, means and overlaps; None where no spectra were measured."""
    if inputs.spectra.empty:
        return None
    return Spectra(
        models=panels_of_models(inputs, _groups),
        rows=[_update_row(inputs, variant) for variant in inputs.trained],
        overlaps=[found for model in inputs.study.models if (found := _overlaps(inputs, model))],
    )


def _groups(inputs: Inputs, model: str) -> list[Panels]:
    variants = inputs.trained_of(model)
    curves = {
        inputs.label(variant): Energy(
            right=_cumulative(_last(inputs, variant), "energy/right"),
            left=_cumulative(_last(inputs, variant), "energy/left"),
        )
        for variant in variants
    }
    base = inputs.spectra[inputs.spectra["run"] == f"{model}--{BASE}"]
    along = {inputs.label(variant): _along_training(inputs, variant) for variant in variants}
    several_steps = any(curve is not None and len(curve.steps) > 1 for curve in along.values())
    title = "Energy in the first tenth of the components, along training"
    return [
        Panels(
            title="Cumulative energy of the update, singular components of the base from the largest",
            figures=energy_panels(curves, _cumulative(base, "energy/base")),
        ),
        Panels(title=title, figures=training_panels(along, {}, title, 1.0) if several_steps else []),
    ]


def _rows(inputs: Inputs, variant: Variant) -> pd.DataFrame:
    runs = [run.run for run in inputs.study.runs_of(variant)]
    return inputs.spectra[inputs.spectra["run"].isin(runs) & inputs.spectra["other"].isna()]


def _last(inputs: Inputs, variant: Variant) -> pd.DataFrame:
    """Return the rows of the last saved state of every run."""
    rows = _rows(inputs, variant)
    return rows[rows["step"] == rows.groupby("run")["step"].transform("max")]


def _cumulative(rows: pd.DataFrame, measure: str) -> Cumulative:
    """Return the mean curve over layers and runs."""
    chosen = rows[rows["measure"] == measure].dropna(subset="value")
    means = chosen.groupby("components")["value"].mean()
    return {float(str(share)): float(value) for share, value in means.items()}


def _along_training(inputs: Inputs, variant: Variant) -> Curve | None:
    rows = _rows(inputs, variant)
    rows = rows[(rows["measure"] == "energy/right") & (rows["components"] == TENTH)]
    by_step = rows.groupby(["step", "run"])["value"].mean().unstack()
    if by_step.empty:
        return None
    seeds = [by_step[run].to_numpy() for run in by_step]
    steps = by_step.index.to_numpy(dtype=float)
    return Curve(steps=steps, seeds=seeds, smooth=by_step.mean(axis=1).to_numpy())


def _update_row(inputs: Inputs, variant: Variant) -> UpdateRow:
    rows = _last(inputs, variant)
    right = _cumulative(rows, "energy/right")

    def mean(measure: str) -> float:
        return float(rows.loc[rows["measure"] == measure, "value"].mean())

    return UpdateRow(
        label=inputs.label(variant),
        model=variant.model,
        relative_norm=mean("update/relative_norm"),
        principal=right.get(TENTH, np.nan),
        minor=1 - right.get(REST, np.nan),
        effective_rank=mean("update/effective_rank"),
        float32=mean("unchanged/float32"),
        bfloat16=mean("unchanged/bfloat16"),
    )


def _overlaps(inputs: Inputs, model: str) -> Overlaps | None:
    """Return the mean over layers, sides and training seeds; None where no two variants were compared."""
    label_of = {
        run.run: inputs.label(variant)
        for variant in inputs.trained_of(model)
        for run in inputs.study.runs_of(variant)
    }
    rows = inputs.spectra[inputs.spectra["measure"].str.startswith("overlap/")]
    rows = rows[rows["run"].isin(label_of)]
    if rows.empty:
        return None
    pairs = [
        frozenset(pair) for pair in zip(rows["run"].map(label_of), rows["other"].map(label_of), strict=True)
    ]
    means = rows["value"].groupby(pd.Series(pairs, index=rows.index)).mean()
    labels = [
        label for label in dict.fromkeys(label_of.values()) if any(label in pair for pair in means.index)
    ]
    values = [[float(means.get(frozenset({one, other}), np.nan)) for other in labels] for one in labels]
    return Overlaps(model=model, labels=labels, rows=values)


SECTION = Section(
    part="audit", order=30, id="spectra", title="Spectra of the updates", template="spectra.html", build=build
)
