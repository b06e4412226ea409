"""The effect of each difference between paper and released code, read from the tables of a study."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from rlvr.artifacts import OVERALL, AuditRow, ComparisonRow, RunRow, StudyFolder, read_rows, write_rows
from rlvr.config.audit import Audit, Contrast, Difference, Side
from rlvr.config.audit_reference import reproduced
from rlvr.config.loading import load_yaml
from rlvr.config.resolved import StudyManifest, read_config

MEASURED = ("difference", "ci_low", "ci_high", "p_value", "p_holm", "n_problems", "train_seeds")
"""Columns of the comparison that answers a contrast."""


def write_audit(manifest: Path, results: Path, config: Path, output: Path) -> None:
    """Write one row per difference and contrast (`AuditRow`), measured or not.

    Args:
        manifest: the resolved study.
        results: the folder ``results/STUDY``, with its tables.
        config: folder with `audit.yaml`.
        output: CSV file to write.

    Raises:
        UserError: an input is missing or damaged.
    """
    study = read_config(manifest, StudyManifest)
    comparisons = read_rows(StudyFolder(results).table("comparisons"), ComparisonRow)
    runs = read_rows(StudyFolder(results).table("runs"), RunRow)
    audit = load_yaml(config / "audit.yaml", Audit)
    write_rows(output, AuditRow, list(audit_rows(audit, study, comparisons, runs)))


def audit_rows(
    audit: Audit, study: StudyManifest, comparisons: pd.DataFrame, runs: pd.DataFrame
) -> Iterator[AuditRow]:
    """Yield the rows of every difference in order; one that no pair of runs measures has one row."""
    for difference in audit.differences:
        if not difference.contrasts:
            yield _row(difference, note=difference.unmeasured)
        for contrast in difference.contrasts:
            found = [
                answer
                for model in (study.models if contrast.study == study.study else [])
                if (answer := answer_of(contrast, model, comparisons) or failure_of(contrast, model, runs))
            ]
            sides = {"code_side": contrast.code.label, "text_side": contrast.text.label}
            common = {"study": contrast.study, "note": contrast.measures or None, **sides}
            for answer in found or [{}]:
                yield _row(difference, **{**common, **answer})


def answer_of(contrast: Contrast, model: str, comparisons: pd.DataFrame) -> dict[str, Any] | None:
    """Return the paired difference code minus text of one model; None where the pair was not compared.

    It is that over all benchmarks; where there is no such mean, that on the first one.
    """
    for sign, method, baseline in ((1, contrast.code, contrast.text), (-1, contrast.text, contrast.code)):
        rows = comparisons[
            (comparisons["model"] == model)
            & _is(comparisons, method, "method", "preset", "setting")
            & _is(comparisons, baseline, "baseline", "baseline_preset", "baseline_setting")
        ]
        if rows.empty:
            continue
        overall = rows[rows["benchmark"] == OVERALL]
        row = (rows if overall.empty else overall).iloc[0]
        low, high = sorted(sign * float(row[end]) for end in ("ci_low", "ci_high"))
        return {
            "model": model,
            "benchmark": row["benchmark"],
            "difference": sign * float(row["difference"]),
            "ci_low": low,
            "ci_high": high,
            **{name: row[name] for name in MEASURED[3:]},
        }
    return None


def failure_of(contrast: Contrast, model: str, runs: pd.DataFrame) -> dict[str, Any] | None:
    """Return why a pair was not compared: the runs of one side that failed; None where none did."""
    failed = runs[(runs["model"] == model) & runs["reason"].notna()]
    reasons = [
        f"{row.run}: {row.reason}"
        for side in (contrast.code, contrast.text)
        for row in failed[_is(failed, side, "method", "preset", "setting")].itertuples()
    ]
    return {"model": model, "status": "failed", "note": "; ".join(reasons)} if reasons else None


def _is(frame: pd.DataFrame, side: Side, method: str, preset: str, setting: str) -> "pd.Series[bool]":
    return (frame[method] == side.method) & (frame[preset] == side.preset) & (frame[setting] == side.setting)


def _row(named: Difference, **values: Any) -> AuditRow:
    return AuditRow(
        id=named.id,
        title=named.title,
        paper=named.paper or None,
        code=named.code,
        option=" ".join(reproduced(named)),
        **{"status": "measured" if "difference" in values else "not run", **values},
    )
