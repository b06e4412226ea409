"""A simulated study with planted effects, and its answers to the claims of the paper."""

from pathlib import Path

import numpy as np
import pandas as pd

from rlvr.analysis.claims.answer import answers
from rlvr.analysis.stats.paired import compare, compare_seeds
from rlvr.artifacts import ClaimRecord, StudyFolder
from rlvr.config.claims import Claims
from rlvr.config.resolved import BASE, BenchmarkEntry, RunEntry, StudyManifest

PROBLEM_SPREAD = 1.5  # standard deviation of the difficulty of problems, in logits
SEED_SPREAD = 0.1  # of the strength of a training run, in logits: about 1.8 points, as seen in the demo
SAMPLES = 4


def answered(
    claims: Claims,
    effects: dict[str, float],
    generator: np.random.Generator,
    *,
    study: str = "paper-1.5b-mini",
    scaled_from: str | None = "paper-1.5b",
    model: str = "tiny",
    train_seeds: int = 4,
    problems: int = 60,
    seed_spread: float = SEED_SPREAD,
) -> dict[str, ClaimRecord]:
    """Simulate a study and return its answers by claim.

    Args:
        claims: the claims of the paper.
        effects: method -> strength in logits; 0 for the others, the untrained model among them.
        generator: random numbers.
        study: name of the study.
        scaled_from: study that it is at another scale.
        model: its model.
        train_seeds: training seeds per method.
        problems: problems of its one benchmark, 4 samples each.
        seed_spread: standard deviation of the strength of training runs, in logits.
    """
    tested = [
        claim.contrast
        for claim in claims.claims
        if claim.contrast and claim.study in (study, scaled_from) and claim.contrast.benchmark == "overall"
    ]
    difficulty = generator.normal(0, PROBLEM_SPREAD, problems)
    values = {}
    for method in dict.fromkeys([BASE, *(name for pair in tested for name in (pair.method, pair.baseline))]):
        runs, spread = (1, 0.0) if method == BASE else (train_seeds, seed_spread)
        strengths = effects.get(method, 0.0) + generator.normal(0, spread, (runs, 1))
        chance = 1 / (1 + np.exp(difficulty - strengths))
        values[method] = generator.binomial(SAMPLES, chance) / SAMPLES
    pairs = dict.fromkeys((pair.method, pair.baseline) for pair in tested)
    rows = [_row(model, method, baseline, values) for method, baseline in pairs]
    names = {"model": model, "preset": "paper", "setting": "main"}
    manifest = StudyManifest(
        study=study, title="", description="", train_dataset="sums-train",
        scaled_from=scaled_from, scale="mini" if scaled_from else None,
        runs=[RunEntry(run=f"{one}--s0", method=one, **names, train_seed=0) for one in values],
        benchmarks=[BenchmarkEntry(benchmark="sums", dataset="sums", samples_per_problem=SAMPLES, title="")],
    )  # fmt: skip
    frame = pd.DataFrame(rows, columns=None if rows else list(_row(model, BASE, BASE, values)))
    return {one.id: one for one in answers(claims, manifest, frame, StudyFolder(Path("nowhere")))}


def _row(model: str, method: str, baseline: str, values: dict[str, np.ndarray]) -> dict[str, object]:
    """Return the row of `comparisons.csv` for two methods, as far as a claim needs it."""
    ours, theirs = values[method], values[baseline]
    both, seeds = compare([ours], [theirs], 0), compare_seeds([ours], [theirs], baseline == BASE)
    untrained = baseline == BASE
    return {
        "model": model, "method": method, "preset": "paper", "setting": "main", "baseline": baseline,
        "baseline_preset": "-" if untrained else "paper", "baseline_setting": "-" if untrained else "main",
        "benchmark": "overall", "difference": both.difference, "se": both.se, "ci_low": both.ci_low,
        "ci_high": both.ci_high, "p_value": both.p_value, "se_seeds": seeds.se, "p_seeds": seeds.p_value,
        "train_seeds": len(ours), "n_problems": both.n_problems,
        "missing_seeds": 0,
    }  # fmt: skip
