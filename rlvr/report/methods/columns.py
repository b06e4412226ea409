"""The columns of the table of methods, in groups of which one is shown at a time."""

import math
from dataclasses import dataclass
from typing import Literal

from rlvr.report.text import compact, number, percent

Format = Literal["estimate", "percent", "points", "tokens", "seconds", "count", "words", "plot"]
GROUPS = {
    "accuracy": "Accuracy",
    "benchmarks": "By benchmark",
    "cost": "Cost",
    "behaviour": "Behaviour",
    "configuration": "Configuration",
}
"""Group of columns -> the text of its button."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column.

    Attributes:
        group: its group.
        id: its name in links.
        title: its heading.
        below: a second line of the heading.
        format: how its values are written.
        metric: of `summary.csv` without its k, where the column follows the benchmark that is chosen; else
            empty.
        help: what it means.
    """

    group: str
    id: str
    title: str
    below: str = ""
    format: Format = "percent"
    metric: str = ""
    help: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One cell: what it shows, the smaller text after it, and the number it is sorted by (None: by text)."""

    text: str
    small: str = ""
    value: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Filled:
    """A column as a menu shows it: the second line of its heading, and one cell per row."""

    below: str
    cells: list[Cell]


UNKNOWN = Cell(text="–", value=float("nan"))


def _metric(group: str, metric: str, title: str, format: Format = "percent", help: str = "") -> Column:
    return Column(
        group=group, id=metric.replace("/", "-"), title=title, format=format, metric=metric, help=help
    )


ACCURACY = [
    _metric("accuracy", "avg", "Accuracy", "estimate", "share of correct samples, with its 95 % interval"),
    _metric("accuracy", "pass", "pass@k", help="at least one of all k samples is correct"),
    _metric("accuracy", "maj", "maj@k", help="a majority vote of all k samples is correct"),
]
DIFFERENCE = [
    Column(group="accuracy", id="difference", title="Difference", format="points"),
    Column(group="accuracy", id="plot", title="", format="plot"),
    Column(group="accuracy", id="p", title="p"),
    Column(
        group="accuracy",
        id="detectable",
        title="Detectable",
        help="minimum detectable difference, at 80 % power",
    ),
    Column(
        group="accuracy",
        id="improvement",
        title="P (improvement)",
        help="probability that a run of the method beats one of the baseline",
    ),
]
"""Columns of the difference from the baseline that is chosen; they follow the accuracy."""
BEHAVIOUR = [
    _metric("behaviour", "tokens_mean", "Tokens", "tokens", "mean tokens of a completion"),
    _metric("behaviour", "tokens_p50", "p50", "tokens", "median"),
    _metric("behaviour", "tokens_p95", "p95", "tokens", "95th percentile"),
    _metric("behaviour", "tokens_mean/correct", "Correct", "tokens", "mean tokens of the correct ones"),
    _metric("behaviour", "tokens_mean/incorrect", "Incorrect", "tokens", "mean tokens of the incorrect ones"),
    _metric("behaviour", "truncation_rate", "Truncated", help="cut at the token limit"),
    _metric("behaviour", "avg/untruncated", "Untruncated", help="accuracy of those that ended by themselves"),
    _metric("behaviour", "avg/truncated_as_incorrect", "Strict", help="accuracy, truncated as incorrect"),
    _metric("behaviour", "avg/lenient", "Lenient", help="accuracy, answers in any format accepted"),
    _metric("behaviour", "no_answer_rate", "No answer", help="none in the requested format"),
    _metric("behaviour", "unevaluated_rate", "Not evaluated", help="the answer repeats the problem"),
    _metric(
        "behaviour",
        "verifier_failure_rate",
        "Not graded",
        help="the verifier failed; counted as incorrect",
    ),
    _metric("behaviour", "verifier_timeout_rate", "Timeout", help="the verifier timed out"),
    _metric(
        "behaviour",
        "rerun_se",
        "Rerun SE",
        "points",
        "standard error of the accuracy if the same models answered again, in points",
    ),
]
COST = [
    Column(group="cost", id="parameters", title="Trainable", below="parameters", format="count"),
    Column(group="cost", id="share", title="Trainable", below="% of the model"),
    Column(group="cost", id="minutes", title="Training", below="device-min, as run", format="tokens",
           help="summed over training seeds; runs that share a machine slow each other down"),
    Column(group="cost", id="step_seconds", title="Step", below="median seconds", format="seconds",
           help="runs that share a machine slow each other down"),
    Column(group="cost", id="completions", title="Completions", below="sampled per run", format="count"),
    Column(group="cost", id="tokens", title="Tokens", below="sampled per run", format="count"),
    Column(group="cost", id="memory", title="Peak", below="GB", format="tokens"),
    Column(group="cost", id="generation", title="Evaluation", below="seconds per sample", format="seconds",
           metric="seconds_mean"),
]  # fmt: skip
CONFIGURATION = [
    Column(group="configuration", id="rate", title="Learning rate", format="words"),
    Column(group="configuration", id="rank", title="Rank", format="words"),
    Column(group="configuration", id="alpha", title="Alpha", format="words"),
    Column(group="configuration", id="dropout", title="Dropout", format="words"),
    Column(group="configuration", id="layers", title="Layers", format="words"),
    Column(group="configuration", id="other", title="Other settings", format="words"),
    Column(group="configuration", id="departs", title="Departs in", format="words"),
]


def written(value: float, format: Format) -> str:
    """Return a number as the table shows it; empty for an unknown one."""
    if math.isnan(value):
        return "–"
    if format == "tokens":
        return number(value, 1)
    if format == "seconds":
        return number(value, 4 if value < 1 else 1)
    if format == "count":
        return compact(value) if value >= 1e6 else number(value)
    return percent(value, "")
