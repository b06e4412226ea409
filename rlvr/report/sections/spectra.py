"""Where in the spectrum of the base the updates are (Figure 3 of the paper)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rlvr.config.resolved import BASE, Variant
from rlvr.report.charts.lines import Axis, Line, LinePanel, share_axis
from rlvr.report.inputs import Inputs
from rlvr.report.panels import Found, PagePanel, line_kind, page_panels
from rlvr.report.section import Section

Cumulative = Mapping[float, float]
"""Share of the components, largest first -> share of the energy in them."""
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

    panels: list[PagePanel]
    rows: list[UpdateRow]
    overlaps: list[Overlaps]
    data: dict[str, Any]


def build(inputs: Inputs) -> Spectra | None:
    """Return curves, means and overlaps; None where no spectra were measured."""
    if inputs.spectra.empty:
        return None
    found = [
        Found(model, f"{model}{suffix}", panel)
        for model in inputs.study.models
        for suffix, panel in (("", _energy(inputs, model)), ("-steps", _steps(inputs, model)))
        if panel
    ]
    drawn = page_panels(inputs, "spectra", found)
    return Spectra(
        panels=drawn.panels,
        rows=[_update_row(inputs, variant) for variant in inputs.trained],
        overlaps=[one for model in inputs.study.models if (one := _overlaps(inputs, model))],
        data=drawn.data,
    )


def _energy(inputs: Inputs, model: str) -> LinePanel:
    """Return the cumulative energy of all updates; the diagonal is an update that prefers no component."""
    base = _cumulative(inputs.spectra[inputs.spectra["run"] == f"{model}--{BASE}"], "energy/base")
    lines = [
        _energy_line(
            inputs.key(variant),
            inputs.label(variant),
            {side: _cumulative(_last(inputs, variant), f"energy/{side}") for side in ("right", "left")},
            line_kind(variant),
        )
        for variant in inputs.trained_of(model)
    ]
    return LinePanel(
        title=f"Cumulative energy of the updates of {model}",
        x={"share": share_axis("singular components of the base, largest first (%)")},
        y={
            "right": share_axis("Energy, right singular vectors (%)"),
            "left": share_axis("Energy, left singular vectors (%)"),
        },
        lines=[*lines, _energy_line(BASE, "the base itself", {"right": base, "left": base}, "base")],
        diagonal=True,
    )


def _energy_line(key: str, label: str, sides: dict[str, Cumulative], kind: str) -> Line:
    known = {side: curve for side, curve in sides.items() if curve}
    return Line(
        key=key,
        label=label,
        kind=kind,
        x={f"share:{side}": [0.0, *curve] for side, curve in known.items()},
        y={side: [0.0, *curve.values()] for side, curve in known.items()},
    )


def _steps(inputs: Inputs, model: str) -> LinePanel | None:
    """Return the energy in the first tenth along training; None where one state was measured."""
    lines = []
    for variant in inputs.trained_of(model):
        rows = _rows(inputs, variant)
        rows = rows[(rows["measure"] == "energy/right") & (rows["components"] == TENTH)]
        means = rows.groupby("step")["value"].mean()
        lines.append(
            Line(
                key=inputs.key(variant),
                label=inputs.label(variant),
                kind=line_kind(variant),
                x={"step": [float(str(step)) for step in means.index]},
                y={"tenth": means.tolist()},
            )
        )
    if max((len(line.x["step"]) for line in lines), default=0) < 2:
        return None
    return LinePanel(
        title=f"Energy along training, {model}",
        x={"step": Axis(title="step", label=lambda step: f"{step:g}")},
        y={"tenth": share_axis("Energy in the first tenth of the components (%)")},
        lines=lines,
    )


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
