"""The cells of the table of methods."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, median

from rlvr.artifacts import OVERALL, SAMPLE_WEIGHTED, RunRecord
from rlvr.config.resolved import BASE, Variant
from rlvr.report.charts.intervals import Estimate
from rlvr.report.inputs import Inputs
from rlvr.report.methods.columns import UNKNOWN, Cell, Column, Filled, Format, written
from rlvr.report.methods.settings import settings_cells
from rlvr.report.queries import (
    about_method,
    benchmark_order,
    benchmark_title,
    estimate_of,
    faults_of,
    headline_benchmark,
    pass_at_k,
    rows_of,
    without_k,
)
from rlvr.report.text import count

Values = Mapping[tuple[str, str], Estimate]
"""(Benchmark, metric without its k) -> estimate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodRow:
    """One variant.

    Attributes:
        note: what is missing of it.
        faults: what it reproduces.
        about: what its method is, in a sentence.
        values: all of its estimates.
        cells: those that no menu changes, by column.
    """

    variant: Variant
    key: str
    label: str
    note: str
    faults: str
    about: str
    values: Values
    cells: dict[str, Cell]


def all_values(inputs: Inputs, variant: Variant) -> Values:
    """Return all estimates of a variant; of pass@k the one with the largest k."""
    found: dict[tuple[str, str], Estimate] = {}
    largest: dict[str, int] = {}
    for row in rows_of(inputs.summary, variant).to_dict("records"):
        k = pass_at_k(row["metric"])
        if k is not None and k < largest.get(row["benchmark"], 0):
            continue
        largest[row["benchmark"]] = k or largest.get(row["benchmark"], 0)
        found[row["benchmark"], without_k(row["metric"])] = estimate_of(row, "value")
    return found


def method_rows(inputs: Inputs) -> list[MethodRow]:
    """Return all variants, the untrained models first, then the best first; those without numbers last."""
    settings = settings_cells(inputs)
    headline, models = headline_benchmark(inputs), inputs.study.models
    by_benchmark = [column.id for column in benchmark_columns(inputs)]
    rows = []
    for variant in inputs.variants:
        values = all_values(inputs, variant)
        named = {_column_id(*name): found for name, found in values.items()}
        cells = {name: estimate_cell(named.get(name), "estimate") for name in by_benchmark}
        rows.append(
            MethodRow(
                variant=variant,
                key=inputs.key(variant),
                label=inputs.label(variant),
                note=_note(inputs, variant, bool(values)),
                faults=faults_of(inputs, variant),
                about=about_method(variant.method),
                values=values,
                cells=cells | cost_cells(inputs, variant) | settings.get(variant, {}),
            )
        )

    def place(row: MethodRow) -> tuple[int, bool, float]:
        known = row.values.get((headline, "avg"))
        value = known.value if known else -1.0
        return models.index(row.variant.model), row.variant.method != BASE, -value

    return sorted(rows, key=place)


def metric_columns(
    inputs: Inputs, rows: list[MethodRow], columns: list[Column], benchmark: str
) -> dict[str, Filled]:
    """Return the columns of metrics on one benchmark; a mean has few of them, then of the first benchmark."""
    filled = {}
    for column in columns:
        measured = any((benchmark, column.metric) in row.values for row in rows)
        shown = benchmark if measured else inputs.study.averaged[0].benchmark
        estimates = [row.values.get((shown, column.metric)) for row in rows]
        filled[column.id] = Filled(
            below=column.below or benchmark_title(inputs, shown),
            cells=[estimate_cell(one, column.format) for one in estimates],
        )
    return filled


def benchmark_columns(inputs: Inputs) -> list[Column]:
    """Return the columns of accuracies by benchmark: means, benchmarks, contaminated and other problems."""
    present = {
        (name, without_k(metric)) for name, metric in inputs.summary[["benchmark", "metric"]].values.tolist()
    }
    wanted = [(name, "avg", benchmark_title(inputs, name), "") for name in benchmark_order(inputs)]
    wanted += [
        (entry.benchmark, f"avg/{part}", entry.title, part)
        for entry in inputs.study.benchmarks
        for part in ("contaminated", "uncontaminated")
    ]
    wanted += [(OVERALL, "iqm", "IQM", "middle half of seeds × benchmarks")]
    if len(inputs.study.averaged) > 1:
        wanted += [(SAMPLE_WEIGHTED, "avg", "Sample-weighted", "as the authors’ script prints")]
    return [
        Column(
            group="benchmarks",
            id=_column_id(name, metric),
            title=title,
            below=below,
            format="estimate",
        )
        for name, metric, title, below in wanted
        if (name, metric) in present
    ]


def estimate_cell(estimate: Estimate | None, format: Format) -> Cell:
    """Return the cell of a number, with its interval where the format has one."""
    if estimate is None or not estimate.known:
        return UNKNOWN
    interval = format == "estimate" and len(estimate.bounds) == 3
    small = f"{written(estimate.low, format)}–{written(estimate.high, format)}" if interval else ""
    return Cell(text=written(estimate.value, format), small=small, value=estimate.value)


def _column_id(benchmark: str, metric: str) -> str:
    return f"{benchmark}-{metric.replace('/', '-')}"


def cost_cells(inputs: Inputs, variant: Variant) -> dict[str, Cell]:
    """Return the cells of the columns about cost; none where no run has finished."""
    runs = [run.run for run in inputs.study.runs_of(variant)]
    records = [inputs.records[run] for run in runs if run in inputs.records]
    if not records:
        return {}
    logs = [inputs.train_logs[run] for run in runs if run in inputs.records and run in inputs.train_logs]
    parameters = max(record.train_info.trainable_parameters for record in records)
    numbers: dict[str, tuple[float, Format]] = {
        "parameters": (parameters, "count"),
        "share": (parameters / _total(records), "percent"),
        "minutes": (sum(record.run_info.device_seconds for record in records) / 60, "tokens"),
        "memory": (max(record.train_info.peak_memory_bytes for record in records) / 1e9, "tokens"),
    }
    if logs:
        seconds = [value for log in logs for value in log["time/step_seconds"].dropna()]
        numbers |= {
            "step_seconds": (median(seconds) if seconds else float("nan"), "seconds"),
            "completions": (fmean(float(log["rollouts/completions"].max()) for log in logs), "count"),
            "tokens": (fmean(float(log["tokens/generated"].sum()) for log in logs), "count"),
        }
    return {
        name: Cell(text=_share(value) if name == "share" else written(value, format), value=value)
        for name, (value, format) in numbers.items()
    }


def _total(records: list[RunRecord]) -> int:
    return max(record.train_info.total_parameters for record in records)


def _share(value: float) -> str:
    return f"{100 * value:.3g}"


def _note(inputs: Inputs, variant: Variant, measured: bool) -> str:
    if variant.method == BASE:
        return ""
    if not measured:
        return inputs.absence(variant)
    done = int(rows_of(inputs.summary, variant)["train_seeds"].max())
    planned = inputs.planned_seeds[variant]
    return "" if done >= planned else f"{done} of {count(planned, 'seed')}"
