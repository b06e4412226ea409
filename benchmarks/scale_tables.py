"""The tables of `scale.py`, and the verdicts on its hypotheses."""

import math
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from rlvr.analysis.stats import student_t
from rlvr.config.loading import load_yaml
from rlvr.config.values import Fraction, Name, Settings
from rlvr.files import write_csv, write_json

MEASURES = ("share", "noise_to_signal", "moved_fraction", "update_norm")


class Share(Settings):
    """A share of `shares.csv`, one value for each seed."""

    method: Name
    """Method, as `scale.py` names it."""
    merge: Literal["nearest", "stochastic", "peft"]
    """How its weights are rounded."""
    step: int
    """Steps taken."""
    gradient: Literal["fresh", "same"] = "fresh"
    """Kind of gradient."""


class Hypothesis(Settings):
    """A share, or the difference of two, and the range in which it is expected."""

    id: Name
    """Name."""
    claim: str
    """The statement, in one sentence."""
    share: Share
    """What is measured."""
    minus: Share | None = None
    """What is taken from it, seed by seed."""
    low: float = -math.inf
    """Lower end of the range."""
    high: float = math.inf
    """Upper end of the range."""


class Hypotheses(Settings):
    """`hypotheses.yaml`."""

    level: Fraction
    """Level of all tests together, two-sided."""
    hypotheses: list[Hypothesis] = Field(min_length=1)
    """The hypotheses."""


def interval(values: list[float], level: float) -> tuple[float, float]:
    """Return the Student t interval of a mean at confidence 1 - ``level``; NaN for fewer than two values."""
    if len(values) < 2:
        return math.nan, math.nan
    series = pd.Series(values)
    half = student_t.quantile(1 - level / 2, len(values) - 1) * float(series.sem())
    return float(series.mean()) - half, float(series.mean()) + half


def values_of(shares: pd.DataFrame, wanted: Share) -> "pd.Series[float]":
    """Return the measured values by seed."""
    keys = wanted.model_dump()
    found = shares[(shares[list(keys)] == pd.Series(keys)).all(axis=1)]
    return found.set_index("seed")["share"].sort_index()


def verdict(low: float, high: float, hypothesis: Hypothesis) -> str:
    """Return whether an interval lies in the range that was expected."""
    if math.isnan(low):
        return "not_tested"
    if hypothesis.low <= low and high <= hypothesis.high:
        return "holds"
    return "fails" if high < hypothesis.low or low > hypothesis.high else "inconclusive"


def verdicts(shares: pd.DataFrame, tests: Hypotheses) -> list[dict[str, Any]]:
    """Return the answer to every hypothesis, those that failed first."""
    answers = []
    for one in tests.hypotheses:
        values = values_of(shares, one.share)
        if one.minus:
            values = (values - values_of(shares, one.minus)).dropna()
        low, high = interval(values.tolist(), tests.level / len(tests.hypotheses))
        answers.append(
            {
                "id": one.id,
                "verdict": verdict(low, high, one),
                "claim": one.claim,
                "mean": _known(float(values.mean())),
                "low": _known(low),
                "high": _known(high),
                "seeds": len(values),
            }
        )
    order = ["fails", "inconclusive", "not_tested", "holds"]
    return sorted(answers, key=lambda answer: order.index(answer["verdict"]))


def summary(shares: pd.DataFrame) -> pd.DataFrame:
    """Return the means over seeds, with the 95 % interval of the share."""
    keys = ["method", "gradient", "merge", "step"]
    rows = []
    for names, group in shares.groupby(keys, sort=False):
        low, high = interval(group["share"].tolist(), 0.05)
        means = {measure: group[measure].mean() for measure in MEASURES}
        rows.append(
            {**dict(zip(keys, names, strict=True)), "seeds": len(group), **means, "low": low, "high": high}
        )
    return pd.DataFrame(rows)


def shares_of(results: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a line for every run, merge and step."""
    rows = []
    for result in results:
        merged = [{"merge": "peft", **row} for row in result.get("peft", {}).get("rows", [])]
        about = {key: result[key] for key in ("run", "method", "gradient", "seed")}
        rows += [{**about, **row} for row in [*result["rows"], *merged]]
    return pd.DataFrame(rows)


def runs_of(results: list[dict[str, Any]], machine: str) -> pd.DataFrame:
    """Return one line for every run."""
    kept = ("run", "method", "gradient", "seed", "learning_rate", "config_sha256", "trained_sha256")
    return pd.DataFrame(
        {
            **{key: result[key] for key in kept},
            "cpu_seconds": result["cpu_seconds"],
            "peft_cpu_seconds": result.get("peft", {}).get("cpu_seconds"),
            "peft": result.get("peft", {}).get("peft", ""),
            "peft_start_error": result.get("peft", {}).get("start_error"),
            "repeated": result.get("repeated", ""),
            "machine": machine,
        }
        for result in results
    )


def write_tables(results: list[dict[str, Any]], machine: str, output: Path) -> None:
    """Write `runs.csv`, `shares.csv`, `summary.csv` and `claims.json`."""
    shares = shares_of(results)
    write_csv(output / "runs.csv", runs_of(results, machine))
    write_csv(output / "shares.csv", shares)
    write_csv(output / "summary.csv", summary(shares))
    tests = load_yaml(output / "hypotheses.yaml", Hypotheses)
    write_json(output / "claims.json", verdicts(shares, tests))


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number
