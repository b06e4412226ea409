"""The paired differences of all methods from every baseline that the study compares with."""

from collections.abc import Mapping
from dataclasses import dataclass

from rlvr.config.resolved import BASE, Variant
from rlvr.report.charts.intervals import Estimate
from rlvr.report.inputs import Inputs
from rlvr.report.methods.cells import MethodRow
from rlvr.report.queries import estimate_of, headline_benchmark, variant_of
from rlvr.report.ranking import ranking

KINDS = {"methods": "baseline", "presets": "baseline_preset", "settings": "baseline_setting"}
"""Kind of contrast -> the column that names the baseline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One paired difference.

    Attributes:
        p: corrected by Holm within its family.
        detectable: smallest difference that is found with 80 % power.
        improvement: probability of improvement, NaN with fewer than three training seeds.
    """

    estimate: Estimate
    p: float
    detectable: float
    n_problems: int
    train_seeds: int
    improvement: float

    @property
    def told_apart(self) -> bool:
        """Whether p and interval both exclude no difference."""
        return self.p < 0.05 and not self.estimate.low <= 0 <= self.estimate.high


Differences = dict[str, dict[str, list[Difference | None]]]
"""Baseline -> benchmark -> one per row of the table."""


def baseline_titles(inputs: Inputs) -> dict[str, str]:
    """Return every baseline of the study, by its name in links, with its title."""
    titles: dict[str, str] = {}
    same = " of the same preset" if len({variant.preset for variant in inputs.trained}) > 1 else ""
    pairs = inputs.comparisons[["contrast", *KINDS.values()]].drop_duplicates()
    for row in pairs.to_dict("records"):
        name = row[KINDS[row["contrast"]]]
        if row["contrast"] == "methods":
            titles[name] = "the untrained model" if name == BASE else f"{name}{same}"
        else:
            kind = row["contrast"].removesuffix("s")
            titles[f"{kind}.{name}"] = f"the same method, {kind} {name}"
    return titles


def default_baseline(inputs: Inputs) -> str:
    """Return the baseline that is shown first: that of the ranking."""
    titles = baseline_titles(inputs)
    orders = (ranking(inputs, model) for model in inputs.study.models)
    wanted = next((order.reference for order in orders if order), BASE)
    return wanted if wanted in titles else next(iter(titles), "")


def all_differences(inputs: Inputs, rows: list[MethodRow]) -> Differences:
    """Return all comparisons of the study, by baseline and benchmark, in the order of the rows."""
    place = {row.variant: index for index, row in enumerate(rows)}
    found: Differences = {}
    for row in inputs.comparisons.to_dict("records"):
        name = row[KINDS[row["contrast"]]]
        baseline = name if row["contrast"] == "methods" else f"{row['contrast'].removesuffix('s')}.{name}"
        empty: list[Difference | None] = [None] * len(rows)
        here = found.setdefault(baseline, {}).setdefault(row["benchmark"], empty)
        here[place[variant_of(row)]] = Difference(
            estimate=estimate_of(row, "difference"),
            p=row["p_holm"],
            detectable=row["minimum_detectable"],
            n_problems=row["n_problems"],
            train_seeds=row["train_seeds"],
            improvement=row["probability_of_improvement"],
        )
    return found


def table_link(inputs: Inputs, row: Mapping[str, str]) -> str:
    """Return the link to the table of methods that shows the comparison of a row of `comparisons.csv`."""
    variant = Variant(row["model"], row["method"], row["preset"], row["setting"])
    if row["method"] != row["baseline"]:
        baseline = row["baseline"]
    elif row["preset"] != row["baseline_preset"]:
        baseline = f"preset.{row['baseline_preset']}"
    else:
        baseline = f"setting.{row['baseline_setting']}"
    return f"#methods?base={baseline}&on={row['benchmark']}&pin={inputs.key(variant)}"


def shown_first(inputs: Inputs, differences: Differences, rows: int) -> list[Difference | None]:
    """Return the differences that the page shows before anything is chosen."""
    nothing: list[Difference | None] = [None] * rows
    return differences.get(default_baseline(inputs), {}).get(headline_benchmark(inputs), nothing)
