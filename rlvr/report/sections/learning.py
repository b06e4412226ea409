"""What training unlearned, and how fast it learned: tables `forgetting` and `learning`."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from rlvr.artifacts import ForgettingRow, LearningRow, Row, read_rows
from rlvr.config.resolved import Variant
from rlvr.report.inputs import Inputs
from rlvr.report.queries import benchmark_title
from rlvr.report.section import Section


class Named(NamedTuple):
    """A row of a table with the name of its method."""

    label: str
    values: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Learning:
    """Context of the section."""

    forgetting: list[Named]
    learning: list[Named]
    titles: dict[str, str]
    """Benchmark -> its title."""


def build(inputs: Inputs) -> Learning | None:
    """Return both tables; None where neither has a row."""
    forgetting = _rows(inputs, "forgetting", ForgettingRow)
    learning = _rows(inputs, "learning", LearningRow)
    if not forgetting and not learning:
        return None
    names = {row.values["benchmark"] for row in forgetting}
    return Learning(
        forgetting=forgetting,
        learning=learning,
        titles={name: benchmark_title(inputs, name) for name in names},
    )


def _rows(inputs: Inputs, name: str, kind: type[Row]) -> list[Named]:
    path = inputs.folder.table(name)
    rows = read_rows(path, kind).to_dict("records") if path.exists() else []
    return [
        Named(inputs.label(variant), {str(key): value for key, value in row.items()})
        for row in rows
        if (variant := Variant(row["model"], row["method"], row["preset"], row["setting"])) in inputs.names
    ]


SECTION = Section(
    order=72, id="learning", title="Forgetting and learning speed", template="learning.html", build=build
)
