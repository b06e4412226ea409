"""What several sections look up in the tables of a study."""

import re
from dataclasses import dataclass

import pandas as pd

from rlvr.artifacts import OVERALL, UNCONTAMINATED
from rlvr.config.resolved import BASE, Variant
from rlvr.errors import UserError
from rlvr.methods import methods
from rlvr.report.charts.intervals import Estimate
from rlvr.report.inputs import Inputs
from rlvr.report.text import count, listing

SIGNIFICANT = 0.05
"""Level of corrected p-values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The accuracy (avg@k) of one variant on one benchmark."""

    estimate: Estimate
    n_problems: int


def accuracies(inputs: Inputs) -> dict[tuple[Variant, str], Measured]:
    """Return avg@k by variant and benchmark.

    Raises:
        UserError: a variant has more than one avg@k on a benchmark.
    """
    found: dict[tuple[Variant, str], Measured] = {}
    for row in inputs.summary[inputs.summary["metric"].map(is_accuracy)].to_dict("records"):
        variant = variant_of(row)
        if (variant, row["benchmark"]) in found:
            raise UserError(
                f"{inputs.folder.table('summary')}: {inputs.label(variant)} has more than one avg@k on "
                f"{row['benchmark']}; delete the table to rebuild it"
            )
        found[variant, row["benchmark"]] = Measured(
            estimate=estimate_of(row, "value"),
            n_problems=row["n_problems"],
        )
    return found


def headline_benchmark(inputs: Inputs) -> str:
    """Return the benchmark of the answer: the macro mean, or the first one where there is no mean."""
    measured = set(inputs.summary["benchmark"])
    return OVERALL if OVERALL in measured else inputs.study.averaged[0].benchmark


def benchmark_order(inputs: Inputs) -> list[str]:
    """Return the macro means, then the benchmarks that they are of, in the order of the study.

    Without contaminated problems the uncontaminated mean equals the overall mean and is left out, and so is a
    single benchmark, which equals it too.
    """
    means = [OVERALL, UNCONTAMINATED] if inputs.contaminated else [OVERALL]
    present = set(inputs.summary["benchmark"])
    shown = [mean for mean in means if mean in present]
    averaged = [benchmark.benchmark for benchmark in inputs.study.averaged]
    return shown if shown and len(averaged) == 1 else [*shown, *averaged]


def benchmark_title(inputs: Inputs, name: str) -> str:
    """Return the title of a benchmark, or of a mean over benchmarks; the mean over one is that benchmark."""
    titles = {benchmark.benchmark: benchmark.title for benchmark in inputs.study.benchmarks}
    if len(inputs.study.averaged) == 1:
        titles[OVERALL] = inputs.study.averaged[0].title
    return titles.get(name, name.removeprefix(f"{OVERALL}_").capitalize())


def seeds_of_model(inputs: Inputs, model: str) -> str:
    """Return the number of training seeds behind the figures of a model: ``1 training seed per method``."""
    frame = inputs.summary[(inputs.summary["model"] == model) & (inputs.summary["method"] != BASE)]
    done = sorted(set(frame["train_seeds"]))
    if not done:
        return ""
    few = f"{done[0]} to " if len(done) > 1 else ""
    return f"{few}{count(done[-1], 'training seed')} per {variant_noun(inputs, model)}"


def variant_noun(inputs: Inputs, model: str) -> str:
    """Return ``method``, or ``variant`` where a method has several presets or settings."""
    trained = inputs.trained_of(model)
    return "method" if len(trained) == len({variant.method for variant in trained}) else "variant"


def about_method(method: str) -> str:
    """Return where a method is from and what it trains; empty for the untrained model."""
    found = methods().get(method)
    return f"{found.citation}. {found.formula}" if found else ""


def faults_of(inputs: Inputs, variant: Variant) -> str:
    """Return the faults of the released code that a variant reproduces, in words; usually none."""
    faults = [fault for run in inputs.study.runs_of(variant) for fault in run.faults]
    return listing([fault.replace("_", " ") for fault in dict.fromkeys(faults)])


def told_apart(difference: Estimate, p: float) -> bool:
    """Tell whether p, corrected for its family, and the interval both exclude that there is no difference."""
    return p < SIGNIFICANT and not difference.low <= 0 <= difference.high


def is_accuracy(metric: str) -> bool:
    """Tell whether a metric is avg@k; the mean over benchmarks that differ in k is called ``avg``."""
    return re.fullmatch(r"avg(@\d+)?", metric) is not None


def pass_at_k(metric: str) -> int | None:
    """Return the k of a metric ``pass@k``, None for any other metric."""
    match = re.fullmatch(r"pass@(\d+)", metric)
    return int(match[1]) if match else None


def without_k(metric: str) -> str:
    """Return a metric without its number of samples: ``avg@8/lenient`` -> ``avg/lenient``."""
    return re.sub(r"@\d+", "", metric)


def rows_of(frame: pd.DataFrame, variant: Variant) -> pd.DataFrame:
    """Return the rows of a table that belong to one variant."""
    return frame[
        (frame["model"] == variant.model)
        & (frame["method"] == variant.method)
        & (frame["preset"] == variant.preset)
        & (frame["setting"] == variant.setting)
    ]


def variant_of(row: dict) -> Variant:
    """Return the variant that a row of a table belongs to."""
    return Variant(row["model"], row["method"], row["preset"], row["setting"])


def estimate_of(row: dict, value: str) -> Estimate:
    """Return the number in the column ``value`` of a row, with the row's interval."""
    return Estimate(row[value], row["ci_low"], row["ci_high"])
