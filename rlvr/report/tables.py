"""The tables of the report, as plain rows for the template."""

from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from rlvr.config.resolved import BASE, Variant
from rlvr.errors import UserError
from rlvr.report.charts.intervals import (
    Estimate,
    domain_of,
    dot_and_whisker,
    forest_axis,
    forest_row,
    forest_scale,
)
from rlvr.report.inputs import (
    OVERALL,
    UNCONTAMINATED,
    Inputs,
    is_accuracy,
    pass_at_k,
    rows_of,
)
from rlvr.report.text import count, listing

BASELINES = [BASE, "lora", "full"]


@dataclass(frozen=True)
class Measured:
    """The accuracy (avg@k) of one variant on one benchmark."""

    metric: str
    estimate: Estimate
    se: float
    n_problems: int
    n_samples: int
    train_seeds: int


@dataclass(frozen=True)
class Column:
    """One benchmark of the results table."""

    benchmark: str
    title: str
    metric: str
    n_problems: int
    n_samples: int
    low: float  # what the small plots of the column span
    high: float


@dataclass(frozen=True)
class ResultRow:
    """One variant of the results table; a cell that has not been measured is None."""

    label: str
    model: str
    seeds: str
    faults: str
    cells: list[tuple[Measured, Markup] | None]
    trainable_parameters: float
    device_seconds: float

    @property
    def run(self) -> bool:
        """Whether anything of the variant has been measured."""
        return any(cell is not None for cell in self.cells)


@dataclass(frozen=True)
class ForestRow:
    """One paired difference; where ``difference`` is None, ``note`` says why."""

    label: str
    note: str
    difference: Estimate | None
    p: float
    p_holm: float
    detectable: float
    plot: Markup | None
    improvement: Estimate | None = None


@dataclass(frozen=True)
class Forest:
    """The paired differences against one baseline on one benchmark."""

    model: str
    baseline: str
    benchmark: str
    n_problems: int
    rows: list[ForestRow]
    axis: Markup

    @property
    def improvements(self) -> bool:
        """Whether a row has a probability of improvement: three training seeds a side, or more."""
        return any(row.improvement for row in self.rows)


def accuracies(inputs: Inputs) -> dict[tuple[Variant, str], Measured]:
    """Return avg@k by variant and benchmark.

    Raises:
        UserError: a variant has more than one avg@k on a benchmark.
    """
    found: dict[tuple[Variant, str], Measured] = {}
    for row in inputs.summary[inputs.summary["metric"].map(is_accuracy)].to_dict("records"):
        variant = Variant(row["model"], row["method"], row["preset"], row["setting"])
        if (variant, row["benchmark"]) in found:
            raise UserError(
                f"{inputs.results / 'tables' / 'summary.csv'}: {inputs.label(variant)} has more than "
                f"one avg@k on {row['benchmark']}; delete the table to rebuild it"
            )
        found[variant, row["benchmark"]] = Measured(
            row["metric"],
            _estimate(row, "value"),
            row["se"],
            int(row["n_problems"]),
            int(row["n_samples"]),
            int(row["train_seeds"]),
        )
    return found


def headline_benchmark(inputs: Inputs) -> str:
    """The benchmark that the answer speaks of: the macro mean, or the first one where there is no mean."""
    measured = set(inputs.summary["benchmark"])
    return OVERALL if OVERALL in measured else inputs.study.benchmarks[0].benchmark


def benchmark_order(inputs: Inputs) -> list[str]:
    """The macro means first, then the benchmarks in the order of the study.

    Where no problem was seen in training the uncontaminated mean is the mean, and left out.
    """
    means = [OVERALL, UNCONTAMINATED] if inputs.contaminated else [OVERALL]
    present = set(inputs.summary["benchmark"])
    return [mean for mean in means if mean in present] + [
        benchmark.benchmark for benchmark in inputs.study.benchmarks
    ]


def benchmark_title(inputs: Inputs, name: str) -> str:
    """The title of a benchmark, or of a mean over benchmarks."""
    titles = {benchmark.benchmark: benchmark.title for benchmark in inputs.study.benchmarks}
    return titles.get(name, name.removeprefix(f"{OVERALL}_").capitalize())


def seeds_text(inputs: Inputs, variant: Variant, done: int) -> str:
    """How many training seeds stand behind a number, and how many were planned."""
    if variant.method == BASE:
        return ""
    planned = inputs.planned_seeds[variant]
    return count(done, "training seed") if done >= planned else f"{done} of {count(planned, 'training seed')}"


def seeds_of_model(inputs: Inputs, model: str) -> str:
    """How many training seeds stand behind the figures of a model: "1 training seed a method"."""
    frame = inputs.summary[(inputs.summary["model"] == model) & (inputs.summary["method"] != BASE)]
    done = sorted({int(seeds) for seeds in frame["train_seeds"]})
    if not done:
        return ""
    few = f"{done[0]} to " if len(done) > 1 else ""
    return f"{few}{count(done[-1], 'training seed')} a method"


def faults_of(inputs: Inputs, variant: Variant) -> str:
    """Which faults of the released code the runs of a row repeat, in words; usually none."""
    faults = [fault for run in inputs.study.runs_of(variant) for fault in run.faults]
    return listing([fault.replace("_", " ") for fault in dict.fromkeys(faults)])


def results_table(inputs: Inputs) -> tuple[list[Column], list[ResultRow]]:
    """Return the columns and rows of the results table, in the order of the study."""
    measured = accuracies(inputs)
    columns, plots = [], {}
    for benchmark in benchmark_order(inputs):
        here = {variant: cell for (variant, name), cell in measured.items() if name == benchmark}
        scale = domain_of([cell.estimate for cell in here.values()], 0.0, 1.0)
        for variant, cell in here.items():
            untrained = here.get(Variant(variant.model, BASE, "-", "-"))
            reference = untrained.estimate.value if untrained and untrained is not cell else None
            title = f"{inputs.label(variant)} on {benchmark}"
            plots[variant, benchmark] = dot_and_whisker(cell.estimate, scale, reference, title)
        any_cell = next(iter(here.values()), None)
        planned = {b.benchmark: f"avg@{b.samples_per_problem}" for b in inputs.study.benchmarks}
        columns.append(
            Column(
                benchmark,
                benchmark_title(inputs, benchmark),
                any_cell.metric if any_cell else planned.get(benchmark, "avg@k"),
                any_cell.n_problems if any_cell else 0,
                max((cell.n_samples for cell in here.values()), default=0),
                scale.low,
                scale.high,
            )
        )
    rows = [_result_row(inputs, variant, columns, measured, plots) for variant in inputs.study.variants]
    return columns, rows


def pass_curves(inputs: Inputs, model: str, benchmark: str) -> dict[str, dict[int, Estimate]]:
    """Return pass@k by the label of the method and k; empty where a method has not been run."""
    frame = inputs.summary.assign(k=inputs.summary["metric"].map(pass_at_k)).dropna(subset="k")
    return _curves(inputs, model, benchmark, frame, "k")


def budget_curves(inputs: Inputs, model: str, benchmark: str) -> dict[str, dict[int, Estimate]]:
    """Return the accuracy by the label of the method and token budget."""
    return _curves(inputs, model, benchmark, inputs.budget, "budget")


def _curves(
    inputs: Inputs, model: str, benchmark: str, frame: pd.DataFrame, x: str
) -> dict[str, dict[int, Estimate]]:
    here = frame[frame["benchmark"] == benchmark]
    return {
        inputs.label(variant): {
            int(row[x]): _estimate(row, "value") for row in rows_of(here, variant).to_dict("records")
        }
        for variant in inputs.study.variants
        if variant.model == model
    }


def forests(inputs: Inputs, model: str) -> list[Forest]:
    """Return the paired differences of one model: each baseline, on each benchmark, overall first."""
    frame = inputs.comparisons[inputs.comparisons["model"] == model]
    present = [name for name in BASELINES if name in set(frame["baseline"])]
    compared = set(frame["benchmark"])
    return [
        _forest(inputs, model, baseline, benchmark, frame)
        for baseline in present
        for benchmark in benchmark_order(inputs)
        if benchmark in compared
    ]


def _forest(inputs: Inputs, model: str, baseline: str, benchmark: str, frame: pd.DataFrame) -> Forest:
    here = frame[(frame["baseline"] == baseline) & (frame["benchmark"] == benchmark)]
    measured = accuracies(inputs)
    scale = forest_scale([_estimate(row, "difference") for row in here.to_dict("records")])
    rows = []
    for variant in inputs.study.variants:
        mine = rows_of(here, variant).to_dict("records")
        if variant.model != model or variant.method == BASE or (variant.method == baseline and not mine):
            continue
        label = inputs.label(variant)
        if not mine:
            note = "no fair partner" if (variant, benchmark) in measured else "not run"
            rows.append(ForestRow(label, note, None, float("nan"), float("nan"), float("nan"), None))
            continue
        row = mine[0]
        difference, detectable = _estimate(row, "difference"), row["minimum_detectable"]
        rows.append(
            ForestRow(
                label,
                seeds_text(inputs, variant, int(row["train_seeds"])),
                difference,
                row["p_value"],
                row["p_holm"],
                detectable,
                forest_row(difference, detectable, scale, f"{label} minus {baseline} on {benchmark}"),
                _improvement(row),
            )
        )
    return Forest(model, baseline, benchmark, int(here["n_problems"].max()), rows, forest_axis(scale))


def _result_row(
    inputs: Inputs,
    variant: Variant,
    columns: list[Column],
    measured: dict[tuple[Variant, str], Measured],
    plots: dict[tuple[Variant, str], Markup],
) -> ResultRow:
    cells: list[tuple[Measured, Markup] | None] = []
    for column in columns:
        cell = measured.get((variant, column.benchmark))
        cells.append((cell, plots[variant, column.benchmark]) if cell else None)
    seeds = max((cell[0].train_seeds for cell in cells if cell), default=0)
    mine = rows_of(inputs.summary, variant)
    return ResultRow(
        inputs.label(variant),
        variant.model,
        seeds_text(inputs, variant, seeds) if any(cells) else "",
        faults_of(inputs, variant),
        cells,
        float(mine["trainable_parameters"].max()),
        float(mine["device_seconds"].max()),
    )


def _improvement(row: dict) -> Estimate | None:
    chance = row["probability_of_improvement"]
    known = chance == chance
    return Estimate(chance, row["improvement_ci_low"], row["improvement_ci_high"]) if known else None


def _estimate(row: dict, value: str) -> Estimate:
    return Estimate(row[value], row["ci_low"], row["ci_high"])
