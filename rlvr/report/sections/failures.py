"""Training runs that failed, and why; the tables are made of the others."""

from dataclasses import dataclass

from rlvr.artifacts import FailedRun
from rlvr.report.inputs import Inputs
from rlvr.report.section import Section


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedRow:
    """One failed run."""

    run: str
    record: FailedRun


@dataclass(frozen=True, kw_only=True, slots=True)
class Failures:
    """Context of the section."""

    rows: list[FailedRow]


def build(inputs: Inputs) -> Failures | None:
    """Return the failed runs in the order of the study; None where there are none."""
    rows = [
        FailedRow(run=run, record=record)
        for run, record in inputs.ended.items()
        if isinstance(record, FailedRun)
    ]
    return Failures(rows=rows) if rows else None


SECTION = Section(
    part="audit", order=40, id="failures", title="Failed runs", template="failures.html", build=build
)
