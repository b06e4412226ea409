"""What each difference between the paper and its released code changes."""

from dataclasses import dataclass
from typing import Any

from rlvr.report.inputs import Inputs
from rlvr.report.section import Section


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """Context of the section: the rows of the table `audit`, and how many differences were measured."""

    rows: list[dict[str, Any]]
    measured: int
    differences: int


def build(inputs: Inputs) -> Audit | None:
    """Return the rows; None for a study that measures no difference."""
    if inputs.audit.empty:
        return None
    measured = inputs.audit[inputs.audit["status"] == "measured"]
    return Audit(
        rows=[{str(name): value for name, value in row.items()} for row in inputs.audit.to_dict("records")],
        measured=measured["id"].nunique(),
        differences=inputs.audit["id"].nunique(),
    )


SECTION = Section(
    part="audit",
    order=10,
    id="released-code",
    title="Audit of the released code",
    template="audit.html",
    build=build,
)
