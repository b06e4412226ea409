"""What training unlearned: benchmarks that it was not about."""

from dataclasses import dataclass

from rlvr.report.charts.intervals import Estimate
from rlvr.report.inputs import Inputs
from rlvr.report.queries import benchmark_title, estimate_of, variant_of
from rlvr.report.section import Section
from rlvr.report.text import MISSING, number, percent, points

MEASURES = {"accuracy": "accuracy, points", "logprob": "log-probability of a token, nats"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ForgettingRow:
    """One variant on one benchmark: the measure before and after training, and the difference."""

    key: str
    label: str
    benchmark: str
    measure: str
    before: str
    after: str
    difference: str
    interval: str
    value: float
    p: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Forgetting:
    """Context of the section."""

    rows: list[ForgettingRow]


def build(inputs: Inputs) -> Forgetting | None:
    """Return the rows of the table; None where the study measures no forgetting."""
    if inputs.forgetting.empty:
        return None
    return Forgetting(rows=[_row(inputs, row) for row in inputs.forgetting.to_dict("records")])


def _row(inputs: Inputs, row: dict) -> ForgettingRow:
    variant, accuracy = variant_of(row), row["measure"] == "accuracy"
    estimate = estimate_of(row, "difference")
    label = inputs.label(variant) + (f", {variant.model}" if inputs.several_models else "")
    return ForgettingRow(
        key=inputs.key(variant),
        label=label,
        benchmark=benchmark_title(inputs, row["benchmark"]),
        measure=MEASURES[row["measure"]],
        before=percent(row["before"], "") if accuracy else number(row["before"], 3),
        after=percent(row["after"], "") if accuracy else number(row["after"], 3),
        difference=points(estimate.value, "") if accuracy else number(estimate.value, 3),
        interval=_interval(estimate, accuracy),
        value=estimate.value,
        p=row["p_holm"],
    )


def _interval(estimate: Estimate, accuracy: bool) -> str:
    if len(estimate.bounds) < 3:
        return MISSING
    low, high = (points(end, "") if accuracy else number(end, 3) for end in (estimate.low, estimate.high))
    return f"{low} to {high}"


SECTION = Section(
    part="methods", order=17, id="forgetting", title="Forgetting", template="forgetting.html", build=build
)
