"""The verdict of a study in a few lines, for the end of a run in a terminal."""

from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from rlvr.artifacts import OVERALL, RunRow, StudyFolder, read_rows
from rlvr.config.resolved import BASE, Variant
from rlvr.errors import FailedStatus
from rlvr.report.inputs import Inputs, read_inputs
from rlvr.report.queries import accuracies, benchmark_title, headline_benchmark, variant_of
from rlvr.report.sections.claims import VERDICTS
from rlvr.report.text import count, listing, percent, points
from rlvr.status.show import duration

SIGNIFICANT = 0.05
NAMED = 4
"""Up to this many methods are named; of more, only their number is given."""


def verdict_lines(results: Path, resources: Path, page: Path) -> list[str]:
    """Return five lines: the best method, how sure that is, the claims, what it took, and the page.

    A study with several models has a first line for each of them.

    Args:
        results: the folder ``results/STUDY``.
        resources: the folder that holds ``data/`` and ``models/``.
        page: the report.

    Raises:
        UserError: a table is missing or damaged.
    """
    folder = StudyFolder(results)
    inputs = read_inputs(folder.manifest, results, resources)
    runs = read_rows(folder.table("runs"), RunRow)
    return [
        *(f"Best      {best(inputs, model)}" for model in inputs.study.models),
        f"How sure  {how_sure(inputs)}",
        f"Claims    {claims(inputs)}",
        f"Took      {took(runs)}",
        f"Report    {page}",
    ]


def best(inputs: Inputs, model: str) -> str:
    """Return the method with the highest accuracy, its gain, and which methods it is not told apart from.

    Told apart: the comparison of the two in ``comparisons.csv``, corrected by Holm, and its interval agree.
    """
    benchmark = headline_benchmark(inputs)
    measured = accuracies(inputs)
    values = {
        variant: measured[variant, benchmark].estimate.value
        for variant in inputs.trained_of(model)
        if (variant, benchmark) in measured
    }
    where = f" ({model})" if inputs.several_models else ""
    if not values:
        return f"no method has been evaluated yet{where}"
    leader = max(values, key=lambda variant: values[variant])
    title = "overall" if benchmark == OVERALL else benchmark_title(inputs, benchmark)
    text = f"{inputs.label(leader)}{where}, {percent(values[leader])} {title}"
    untrained = measured.get((inputs.untrained(model), benchmark))
    if untrained:
        text += f", {points(values[leader] - untrained.estimate.value)} over the untrained model"
    others = [variant for variant in values if variant != leader]
    return text + (f"; {_beside(inputs, leader, others, benchmark)}" if others else "")


def _beside(inputs: Inputs, leader: Variant, others: list[Variant], benchmark: str) -> str:
    """Return which methods the best one is told apart from, and with which it is not compared."""
    apart = {other: _told_apart(inputs, leader, other, benchmark) for other in others}
    groups = {
        "not told apart: ": [inputs.label(other) for other in others if apart[other] is False],
        "behind it: ": [inputs.label(other) for other in others if apart[other]],
        "not compared with it: ": [inputs.label(other) for other in others if apart[other] is None],
    }
    return "; ".join(words + _few(labels) for words, labels in groups.items() if labels)


def _few(labels: list[str]) -> str:
    return listing(labels) if len(labels) <= NAMED else count(len(labels), "other")


def _told_apart(inputs: Inputs, one: Variant, other: Variant, benchmark: str) -> bool | None:
    """Return whether a study tells two of its methods apart; None: it does not compare them."""
    frame = inputs.comparisons[inputs.comparisons["benchmark"] == benchmark]
    for row in frame.to_dict("records"):
        if {variant_of(row), _baseline_of(row)} == {one, other}:
            return bool(row["p_holm"] < SIGNIFICANT and not row["ci_low"] <= 0 <= row["ci_high"])
    return None


def _baseline_of(row: dict[Any, Any]) -> Variant:
    return Variant(row["model"], row["baseline"], row["baseline_preset"], row["baseline_setting"])


def how_sure(inputs: Inputs) -> str:
    """Return the number of training seeds, what they can tell apart, and the smallest difference detected."""
    frame = inputs.comparisons[inputs.comparisons["benchmark"] == headline_benchmark(inputs)]
    frame = frame[frame["baseline"] != BASE] if (frame["baseline"] != BASE).any() else frame
    if frame.empty:
        return "nothing has been compared yet"
    seeds = int(frame["train_seeds"].min())
    what = "runs are told apart, not methods" if seeds == 1 else "the variation between seeds is included"
    text = f"{count(seeds, 'training seed')}: {what}"
    smallest = frame["minimum_detectable"].median()
    if pd.notna(smallest):
        text += f"; differences below {points(smallest).lstrip('+')} mostly go unseen"
    return text


def claims(inputs: Inputs) -> str:
    """Return how many claims of the paper have each verdict."""
    if not inputs.claims:
        return "not answered"
    found = Counter(record.verdict for record in inputs.claims)
    return ", ".join(f"{found[verdict]} {words}" for verdict, words in VERDICTS.items())


def took(runs: pd.DataFrame) -> str:
    """Return how many runs were trained, how many failed or are missing, and the device time."""
    trained = runs[runs["method"] != BASE]
    failed = int(trained["status"].isin(get_args(FailedStatus)).sum())
    missing = int(trained["status"].isin(["not_trained", "not_evaluated"]).sum())
    time = duration(trained["device_seconds"].fillna(0).sum())
    absent = f", {missing} missing" if missing else ""
    return f"{count(len(trained), 'training run')}, {failed} failed{absent}; {time} on a device"
