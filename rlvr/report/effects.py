"""What the differences of the released code change, as a figure: the answer of a study of the audit."""

import math
from dataclasses import dataclass
from textwrap import shorten

from markupsafe import Markup

from rlvr.report.charts.forest import ForestRow, ranking_forest
from rlvr.report.inputs import Inputs
from rlvr.report.queries import estimate_of, told_apart
from rlvr.report.text import p_value

LABEL = 40
"""Characters of the label of a row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effects:
    """The measured differences of one model, and how many of them have an effect."""

    figure: Markup
    measured: int
    told_apart: int


def effects(inputs: Inputs, model: str) -> Effects | None:
    """Return the figure of the measured differences, the most harmful first; None where there are none."""
    audit = inputs.audit
    here = audit[(audit["status"] == "measured") & (audit["model"] == model)].sort_values("difference")
    rows = [
        ForestRow(
            key="",
            label=shorten(f"{row['id']} {_method(row)}: {row['title']}", LABEL, placeholder=" …"),
            difference=estimate_of(row, "difference"),
            told_apart=told_apart(estimate_of(row, "difference"), row["p_holm"]),
            paper=None,
            others=[],
            numbers=[p_value(row["p_holm"])],
            about=f"{row['title']}: {row['code_side']} against {row['text_side']}",
        )
        for row in here.to_dict("records")
    ]
    if not rows:
        return None
    return Effects(
        figure=ranking_forest(
            rows, ["p (Holm)"], math.nan, "points: as the code did it minus as described", first="difference"
        ),
        measured=len(rows),
        told_apart=sum(row.told_apart for row in rows),
    )


def _method(row: dict) -> str:
    """Return the method that ran as the code did it: the first word of its side."""
    return str(row["code_side"]).partition(" ")[0]
