"""How fast each method learned."""

import math
from dataclasses import dataclass

from rlvr.report.inputs import Inputs
from rlvr.report.queries import rows_of
from rlvr.report.section import Section
from rlvr.report.text import number


@dataclass(frozen=True, kw_only=True, slots=True)
class LearningRow:
    """One variant: the mean reward of its training, and the steps until it reached the level of its model."""

    key: str
    label: str
    model: str
    area: float
    spread: float
    steps: str
    rank: float
    reached: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Learning:
    """Context of the section; ``levels``: model -> the reward halfway from the first step to the best end."""

    rows: list[LearningRow]
    levels: dict[str, float]
    several_seeds: bool


def build(inputs: Inputs) -> Learning | None:
    """Return the fastest methods first; None where the table is absent or empty."""
    if inputs.learning.empty:
        return None
    rows = [
        _row(inputs.key(variant), inputs.label(variant), found[0])
        for variant in inputs.trained
        if (found := rows_of(inputs.learning, variant).to_dict("records"))
    ]
    levels = inputs.learning.dropna(subset="level").groupby("model")["level"].first()
    return Learning(
        rows=sorted(rows, key=lambda row: row.rank),
        levels={str(model): float(level) for model, level in levels.items()},
        several_seeds=bool((inputs.learning["train_seeds"] > 1).any()),
    )


def _row(key: str, label: str, row: dict) -> LearningRow:
    steps, planned = row["steps_to_level"], row["planned_steps"]
    known = not math.isnan(steps)
    return LearningRow(
        key=key,
        label=label,
        model=row["model"],
        area=row["area"],
        spread=row["area_sd"],
        steps=number(steps) if known else f"> {number(planned)}",
        rank=steps if known else math.inf,
        reached=f"{row['reached']} of {row['train_seeds']}",
    )


SECTION = Section(
    part="training", order=15, id="learning", title="Learning speed", template="learning.html", build=build
)
