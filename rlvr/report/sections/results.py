"""The accuracy of every method on every benchmark, and the numbers beside it."""

from dataclasses import dataclass

from markupsafe import Markup

from rlvr.config.overview import rate_words
from rlvr.config.resolved import Variant
from rlvr.report.charts.intervals import domain_of, dot_and_whisker
from rlvr.report.details import (
    LENGTHS,
    RATES,
    EstimateTable,
    NumberTable,
    contamination_table,
    numbers_table,
    other_means,
)
from rlvr.report.inputs import Inputs
from rlvr.report.queries import (
    Measured,
    accuracies,
    benchmark_order,
    benchmark_title,
    faults_of,
    rows_of,
    seeds_text,
)
from rlvr.report.section import Section


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One benchmark of the results table; the small plots of the column span ``low`` to ``high``."""

    title: str
    metric: str
    n_problems: int
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One accuracy as numbers and as a plot."""

    measured: Measured
    plot: Markup


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultRow:
    """One variant of the results table; a cell that was not measured is None, and ``absence`` says why.

    ``rate`` is its learning rate and what it was chosen from; empty where it was not tuned.
    """

    label: str
    model: str
    seeds: str
    absence: str
    faults: str
    rate: str
    cells: list[Cell | None]
    trainable_parameters: float
    device_seconds: float

    @property
    def run(self) -> bool:
        """Whether any benchmark of the variant has been measured."""
        return any(cell is not None for cell in self.cells)


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Context of the section."""

    columns: list[Column]
    rows: list[ResultRow]
    several_seeds: bool
    contamination: EstimateTable
    other_means: EstimateTable
    rates: NumberTable
    lengths: NumberTable


def build(inputs: Inputs) -> Results:
    """Return all tables of the section."""
    measured = accuracies(inputs)
    names = benchmark_order(inputs)
    columns = [_column(inputs, name, measured) for name in names]
    cells = [_cells(inputs, name, column, measured) for name, column in zip(names, columns, strict=True)]
    return Results(
        columns=columns,
        rows=[_row(inputs, variant, [column[variant] for column in cells]) for variant in inputs.variants],
        several_seeds=len({run.train_seed for run in inputs.study.runs} - {None}) > 1,
        contamination=contamination_table(inputs),
        other_means=other_means(inputs),
        rates=numbers_table(inputs, RATES),
        lengths=numbers_table(inputs, LENGTHS),
    )


def _column(inputs: Inputs, benchmark: str, measured: dict[tuple[Variant, str], Measured]) -> Column:
    here = [cell for (_, name), cell in measured.items() if name == benchmark]
    scale = domain_of([cell.estimate for cell in here], 0.0, 1.0)
    planned = {entry.benchmark: f"avg@{entry.samples_per_problem}" for entry in inputs.study.benchmarks}
    return Column(
        title=benchmark_title(inputs, benchmark),
        metric=here[0].metric if here else planned.get(benchmark, "avg@k"),
        n_problems=here[0].n_problems if here else 0,
        low=scale.low,
        high=scale.high,
    )


def _cells(
    inputs: Inputs, benchmark: str, column: Column, measured: dict[tuple[Variant, str], Measured]
) -> dict[Variant, Cell | None]:
    """Return one column of cells; the untrained model is the reference line of the others' plots."""
    here = {variant: cell for (variant, name), cell in measured.items() if name == benchmark}
    scale = domain_of([cell.estimate for cell in here.values()], 0.0, 1.0)
    cells: dict[Variant, Cell | None] = dict.fromkeys(inputs.variants)
    for variant, cell in here.items():
        untrained = here.get(inputs.untrained(variant.model))
        reference = untrained.estimate.value if untrained and untrained is not cell else None
        title = f"{inputs.label(variant)}, {column.title}"
        cells[variant] = Cell(measured=cell, plot=dot_and_whisker(cell.estimate, scale, reference, title))
    return cells


def _row(inputs: Inputs, variant: Variant, cells: list[Cell | None]) -> ResultRow:
    seeds = [cell.measured.train_seeds for cell in cells if cell]
    mine = rows_of(inputs.summary, variant)
    return ResultRow(
        label=inputs.label(variant),
        model=variant.model,
        seeds=seeds_text(inputs, variant, max(seeds)) if seeds else "",
        absence=inputs.absence(variant),
        faults=faults_of(inputs, variant),
        rate=tuned_rate(inputs, variant),
        cells=cells,
        trainable_parameters=float(mine["trainable_parameters"].max()),
        device_seconds=float(mine["device_seconds"].max()),
    )


def tuned_rate(inputs: Inputs, variant: Variant) -> str:
    """Return the learning rate of a variant and what it was chosen from; nothing where it was not tuned."""
    runs = inputs.study.runs_of(variant)
    factor, ended = runs[0].rate_factor, [run.run for run in runs if run.run in inputs.ended]
    if factor is None or factor.given_by != "tuned" or not ended:
        return ""
    rate = inputs.ended[ended[0]].run_info.config.training.learning_rate
    return f"rate {rate:g}: {rate_words(rate, factor)}"


SECTION = Section(order=30, id="results", title="Results", template="results.html", build=build)
