"""From the comparisons of a study to its answers to the claims of the paper, and to our own: ``claims.json``.

A study answers the claims that name it, and those of the study that it is at another scale. No claim of the
paper is left out: one that is not tested says what would test it. A hypothesis of our own is of one study.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from rlvr.analysis.claims.paper import PaperEffect, paper_effect
from rlvr.analysis.claims.registration import registered
from rlvr.analysis.claims.verdicts import Evidence, claim_p, decide, size_agrees
from rlvr.analysis.stats.paired import holm
from rlvr.analysis.tables.contrasts import baselines
from rlvr.artifacts import (
    ClaimRecord,
    ComparisonRow,
    PaperAccuracy,
    PaperNumbers,
    StudyFolder,
    read_rows,
    write_records,
)
from rlvr.config.claims import OVERALL, PAPER, Claim, Claims, Pair, load_claims
from rlvr.config.resolved import BASE, StudyManifest, Variant, read_config

KEYS = (
    "model",
    "method",
    "preset",
    "setting",
    "baseline",
    "baseline_preset",
    "baseline_setting",
    "benchmark",
)
"""Columns that name a row of the comparisons."""

Row = Mapping[str, Any]


def answer_claims(manifest: Path, results: Path, config: Path, output: Path) -> None:
    """Answer every claim of the paper, and the hypotheses of a study, from its comparisons.

    Args:
        manifest: the study (`StudyManifest`).
        results: its folder, with ``tables/comparisons.csv``.
        config: folder of the configuration, with ``claims/``.
        output: JSON file to write, a list of `ClaimRecord`.

    Raises:
        UserError: a file is missing or damaged, or the claims are wrong.
    """
    study = read_config(manifest, StudyManifest)
    folder = StudyFolder(results)
    comparisons = read_rows(folder.table("comparisons"), ComparisonRow)
    write_records(output, answers(load_claims(config), study, comparisons, folder))


def answers(
    claims: Claims, study: StudyManifest, comparisons: pd.DataFrame, folder: StudyFolder
) -> list[ClaimRecord]:
    """Return one record per claim of the paper and per hypothesis of the study, in their order."""
    asked = [claim for claim in claims.claims if claims.source_of(claim) == PAPER or _is_about(claim, study)]
    rows = {claim.id: find_row(claim, claims, study, comparisons) for claim in asked}
    tested = {name: row for name, row in rows.items() if row is not None}
    corrected = _corrected(claims, tested)
    return [
        _tested(claim, claims, study, tested[claim.id], corrected[claim.id], folder)
        if claim.id in tested
        else _not_tested(claim, claims, study, folder)
        for claim in asked
    ]


def _is_about(claim: Claim, study: StudyManifest) -> bool:
    return claim.study in (study.study, study.scaled_from)


def find_row(claim: Claim, claims: Claims, study: StudyManifest, comparisons: pd.DataFrame) -> Row | None:
    """Return the row that answers a claim, or None where the study does not test it."""
    model = _model(claim, claims, study)
    if claim.contrast is None or model is None or not _is_about(claim, study):
        return None
    wanted = {"model": model, **_key(claim.contrast)}
    found = comparisons[(comparisons[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    return dict(zip(found.columns, found.iloc[0], strict=True)) if len(found) == 1 else None


def _model(claim: Claim, claims: Claims, study: StudyManifest) -> str | None:
    """Return the model whose runs answer a claim: the study's only one, else the paper's, else None.

    It follows from the plan: runs that failed do not change which model answers.
    """
    if len(study.models) == 1:
        return study.models[0]
    paper = paper_effect(claim, claims)
    return paper.model if paper is not None and paper.model in study.models else None


def _key(pair: Pair) -> dict[str, str]:
    untrained = pair.baseline == BASE
    return {
        "method": pair.method,
        "preset": pair.preset,
        "setting": pair.setting,
        "baseline": pair.baseline,
        "baseline_preset": "-" if untrained else pair.baseline_preset or pair.preset,
        "baseline_setting": "-" if untrained else pair.baseline_setting,
        "benchmark": pair.benchmark,
    }


def _corrected(claims: Claims, tested: Mapping[str, Row]) -> dict[str, float]:
    """Return the p of every tested claim, before and after Holm's correction over its family."""
    families: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims.claims:
        if claim.id in tested:
            families.setdefault((claims.source_of(claim), claim.family), []).append(claim)
    corrected: dict[str, float] = {}
    for members in families.values():
        p_values = [_p(claim, tested[claim.id], claims) for claim in members]
        corrected.update(zip((claim.id for claim in members), holm(p_values), strict=True))
    return corrected


def _p(claim: Claim, row: Row, claims: Claims) -> float:
    assert claim.direction is not None
    return claim_p(claim.direction, Evidence.of(row), claims.test_of(claim))


def _tested(
    claim: Claim, claims: Claims, study: StudyManifest, row: Row, p_holm: float, folder: StudyFolder
) -> ClaimRecord:
    assert claim.direction is not None
    evidence, paper = Evidence.of(row), paper_effect(claim, claims)
    agrees, one_seed = None, 0.0
    if paper is not None and paper.model == row["model"]:
        one_seed = evidence.one_seed
        family = sum(other.contrast is not None for other in claims.family_of(claim))
        agrees = size_agrees(evidence, paper, family, claims.test_of(claim))
    of_paper = claims.source_of(claim) == PAPER
    answer = decide(claim.direction, evidence, p_holm, claims.test_of(claim), agrees, of_paper)
    return ClaimRecord(
        **_always(claim, claims, folder),
        verdict=answer.verdict,
        reason=answer.reason + _missing(row["missing_seeds"]),
        points=answer.points,
        row={name: str(row[name]) for name in KEYS},
        statistic=row["difference"],
        **{name: _known(row[name]) for name in ("se", "ci_low", "ci_high")},
        p_value=_p(claim, row, claims),
        p_holm=p_holm,
        n=row["n_problems"],
        train_seeds=row["train_seeds"],
        paper=_paper_numbers(paper, one_seed),
        samples=_samples(study, row),
    )


def _missing(seeds: int) -> str:
    """Return what a reason says of training seeds without a result: the others may be the better ones."""
    if not seeds:
        return ""
    what = "seed has" if seeds == 1 else "seeds have"
    return f"; {seeds} planned training {what} no result (tables/runs.csv)"


def _not_tested(claim: Claim, claims: Claims, study: StudyManifest, folder: StudyFolder) -> ClaimRecord:
    reason = "no comparison of accuracies answers it"
    command = claim.command
    if claim.contrast is not None:
        command = f"snakemake claims --config 'studies=[{claim.study}]'"
        names = {entry.benchmark for entry in study.benchmarks} | {OVERALL}
        if not _is_about(claim, study):
            reason = f"it is about the study {claim.study}"
            if study.scale:
                command = f"snakemake claims --config 'studies=[{claim.study}-{study.scale}]'"
        elif claim.contrast.benchmark not in names:
            reason = f"this study has no benchmark {claim.contrast.benchmark}"
        elif _model(claim, claims, study) is None:
            reason = f"this study has {len(study.models)} models, and {_unclear(claim)}"
        elif compares(study, claim.contrast):
            reason = "runs of this study failed or are missing (tables/runs.csv)"
        else:
            reason = "this study does not compare the two"
    return ClaimRecord(
        **_always(claim, claims, folder),
        verdict="not_tested",
        reason=reason,
        row={},
        samples=[],
        command=command,
        paper=_paper_numbers(paper_effect(claim, claims), 0.0),
    )


def _unclear(claim: Claim) -> str:
    """Return why none of several models answers a claim."""
    if claim.paper is None:
        return "the claim has no numbers of the paper, whose model would answer"
    return "none of them is the one of the paper's numbers"


def compares(study: StudyManifest, pair: Pair) -> bool:
    """Return whether a study plans to compare the two."""
    wanted = {name: value for name, value in _key(pair).items() if name != "benchmark"}
    return any(
        list(wanted.values())
        == [one.method, one.preset, one.setting, other.method, other.preset, other.setting]
        for one in study.variants
        for _, other in baselines(one, study.variants, study.contrasts)
    )


def _always(claim: Claim, claims: Claims, folder: StudyFolder) -> dict[str, Any]:
    """Return the fields of a record that do not depend on the results."""
    return {
        **claim.model_dump(
            include={"id", "claim", "places", "family", "study", "contrast", "direction", "note"}
        ),
        "source": claims.source_of(claim),
        "related": [claims.related[name] for name in claim.related],
        "alpha": claims.test_of(claim).alpha,
        "margin": claims.test_of(claim).margin,
        "test_sha256": claims.fixed_in_advance(claim),
        "registered": registered(claim, claims, folder),
    }


def _paper_numbers(paper: PaperEffect | None, one_seed: float) -> PaperNumbers | None:
    if paper is None:
        return None
    return PaperNumbers(
        method=PaperAccuracy(**asdict(paper.method)),
        baseline=PaperAccuracy(**asdict(paper.baseline)),
        difference=paper.difference,
        sampling_se=paper.sampling_se,
        se=paper.se(one_seed),
        model=paper.model,
        n_problems=paper.n_problems,
        n_samples=paper.n_samples,
    )


def _samples(study: StudyManifest, row: Row) -> list[str]:
    """Return the files of samples behind a row, both sides, all training seeds and benchmarks."""
    sides = [
        Variant(row["model"], row["method"], row["preset"], row["setting"]),
        Variant(row["model"], row["baseline"], row["baseline_preset"], row["baseline_setting"]),
    ]
    names = [entry.benchmark for entry in study.benchmarks]
    averaged = [entry.benchmark for entry in study.averaged]
    benchmarks = [row["benchmark"]] if row["benchmark"] in names else averaged
    relative = StudyFolder(Path())
    return [
        relative.samples(run.run, benchmark).as_posix()
        for side in sides
        for run in study.runs_of(side)
        for benchmark in benchmarks
    ]


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number
