"""The rows of ``summary.csv``: every metric of every benchmark, and the means over benchmarks."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from rlvr.analysis.inputs.contamination import Seen
from rlvr.analysis.inputs.groups import OVERALL, SAMPLE_WEIGHTED, UNCONTAMINATED, Group, Row
from rlvr.analysis.inputs.scores import Scores, Verdicts
from rlvr.analysis.stats.estimators import (
    UNKNOWN,
    Estimate,
    estimate_mean,
    estimate_quantile,
    estimate_ratio,
    macro_mean,
    pass_at_k,
    weighted_mean,
)
from rlvr.analysis.stats.resampling import (
    MINIMUM_TRAINING_SEEDS,
    Floats,
    interquartile_mean,
    percentile_interval,
    stratified_bootstrap,
)
from rlvr.analysis.stats.uncertainty import FRACTION, LENGTH, Bounds, fixed_set_se
from rlvr.analysis.stats.votes import majority_at_k
from rlvr.config.resolved import StudyManifest
from rlvr.seeds import derive_seed

Measured = tuple[str, Estimate, int]
"""A metric, its estimate, and the number of samples it rests on."""


def summary_rows(group: Group, study: StudyManifest, seen: Seen | None) -> Iterator[Row]:
    """Yield the rows of a method, in the order of the table.

    Args:
        group: the method.
        study: its benchmarks.
        seen: the problems that were seen in training; None where nobody has looked.
    """
    common = {
        **group.labels,
        "train_seeds": group.train_seeds,
        "trainable_parameters": group.trainable_parameters,
        "device_seconds": group.device_seconds,
    }
    for benchmark in study.benchmarks:
        name, samples = benchmark.benchmark, benchmark.samples_per_problem
        seed = _seed(study, group, name)
        measured = [*metrics_of(group.scores[name], samples, seed)]
        if seen is not None and seen[name].any():
            measured += split_by_contamination(group, name, seen[name], samples, seed)
        for metric, estimate, n_samples in measured:
            yield {**common, "benchmark": name, "metric": metric, "n_samples": n_samples, **asdict(estimate)}
    for name, (metric, estimate, n_samples) in overall_of(group, study, seen):
        yield {**common, "benchmark": name, "metric": metric, "n_samples": n_samples, **asdict(estimate)}


def metrics_of(scores: list[Scores], samples: int, seed: int) -> Iterator[Measured]:
    """Yield the metrics of one benchmark from its training seeds."""

    def all_of(attribute: str) -> Any:
        return np.stack([getattr(one, attribute) for one in scores])

    def mean(values_RNK: Floats, bounds: Bounds = FRACTION) -> Estimate:
        return estimate_mean(values_RNK.mean(axis=2), seed, bounds)

    correct, tokens, clipped = all_of("correct"), all_of("tokens"), all_of("clipped")
    size = correct.size
    yield f"avg@{samples}", mean(correct), size
    for k in tries(samples):
        yield f"pass@{k}", estimate_mean(pass_at_k(correct, k), seed), size
    votes = [majority_at_k(one.extracted, one.correct, samples, seed) for one in scores]
    yield f"maj@{samples}", estimate_mean(np.stack(votes), seed), size
    yield f"avg@{samples}/untruncated", *mean_among(correct, ~clipped, seed)
    yield f"avg@{samples}/truncated_as_incorrect", mean(correct & ~clipped), size
    yield f"avg@{samples}/lenient", mean(all_of("lenient")), size
    yield "no_answer_rate", mean(all_of("no_answer")), size
    yield "verifier_failure_rate", mean(all_of("failed")), size
    yield "verifier_timeout_rate", mean(all_of("timed_out")), size
    yield "truncation_rate", mean(clipped), size
    yield "tokens_mean", mean(tokens, LENGTH), size
    yield "tokens_p50", estimate_quantile(tokens, 0.50, seed), size
    yield "tokens_p95", estimate_quantile(tokens, 0.95, seed), size
    yield "tokens_mean/correct", *mean_among(tokens, correct, seed, LENGTH)
    yield "tokens_mean/incorrect", *mean_among(tokens, ~correct, seed, LENGTH)
    if samples > 1:
        yield "rerun_se", _number(fixed_set_se(correct), correct.shape[1]), size
    seconds, problems = math.fsum(all_of("seconds").flat), correct.shape[1]
    yield "seconds_mean", _number(seconds / size, problems), size
    yield "generation_device_seconds", _number(seconds, problems), size


def mean_among(
    values_RNK: Floats, counted_RNK: Verdicts, seed: int, bounds: Bounds = FRACTION
) -> tuple[Estimate, int]:
    """Return the mean of the samples that count, each the same, and how many those are."""
    numerator_RN, denominator_RN = (values_RNK * counted_RNK).mean(axis=2), counted_RNK.mean(axis=2)
    return estimate_ratio(numerator_RN, denominator_RN, seed, bounds), int(counted_RNK.sum())


def split_by_contamination(
    group: Group, benchmark: str, seen_N: Verdicts, samples: int, seed: int
) -> Iterator[Measured]:
    """Yield the accuracy on the problems that were seen in training and on the others."""
    values_RN = group.correct_means(benchmark)
    for part, kept_N in (("contaminated", seen_N), ("uncontaminated", ~seen_N)):
        estimate = estimate_mean(values_RN[:, kept_N], seed) if kept_N.any() else UNKNOWN
        yield f"avg@{samples}/{part}", estimate, group.n_samples(benchmark, kept_N)


def overall_of(group: Group, study: StudyManifest, seen: Seen | None) -> Iterator[tuple[str, Measured]]:
    """Yield the means over benchmarks, each under the name it has in the column ``benchmark``."""
    names = [benchmark.benchmark for benchmark in study.benchmarks]
    metric, seed = overall_metric(study), _seed(study, group, OVERALL)
    values = {name: group.correct_means(name) for name in names}
    sizes = [group.n_samples(name) for name in names]
    yield OVERALL, (metric, macro_mean(list(values.values()), seed), sum(sizes))
    if seen is not None:
        kept = [name for name in names if not seen[name].all()]
        unseen = [values[name][:, ~seen[name]] for name in kept]
        samples = sum(group.n_samples(name, ~seen[name]) for name in kept)
        yield UNCONTAMINATED, (metric, macro_mean(unseen, seed), samples)
    yield SAMPLE_WEIGHTED, (metric, weighted_mean(list(values.values()), sizes, seed), sum(sizes))
    if all(benchmark.samples_per_problem > 1 for benchmark in study.benchmarks):
        rerun = math.hypot(*(fixed_set_se(group.correct(name)) for name in names)) / len(names)
        problems = sum(values_RN.shape[1] for values_RN in values.values())
        yield OVERALL, ("rerun_se", _number(rerun, problems), sum(sizes))
    if group.train_seeds >= MINIMUM_TRAINING_SEEDS:
        iqm = estimate_iqm(list(values.values()), _seed(study, group, "iqm"))
        yield OVERALL, ("iqm", iqm, sum(sizes))


def estimate_iqm(values: list[Floats], seed: int) -> Estimate:
    """Return the interquartile mean over training seeds x benchmarks of values [training seeds, problems]."""
    scores_RB = np.stack([values_RN.mean(axis=1) for values_RN in values], axis=1)
    replicates = stratified_bootstrap(interquartile_mean, scores_RB, generator=np.random.default_rng(seed))
    return Estimate(
        interquartile_mean(scores_RB),
        float(replicates.std(ddof=1)),
        *percentile_interval(replicates),
        n_problems=sum(values_RN.shape[1] for values_RN in values),
    )


def overall_metric(study: StudyManifest) -> str:
    """Return ``avg@K``, or ``avg`` where the benchmarks differ in K."""
    ks = {benchmark.samples_per_problem for benchmark in study.benchmarks}
    return f"avg@{ks.pop()}" if len(ks) == 1 else "avg"


def tries(samples: int) -> list[int]:
    """Return the k of pass@k: 1, 2, 4 .. and the number of samples itself."""
    powers = [2**exponent for exponent in range(samples.bit_length())]
    return sorted({k for k in powers if k < samples} | {samples})


def _number(value: float, problems: int) -> Estimate:
    """Return a number that has no error of its own: an SE, or a time (samples of a batch share it)."""
    return Estimate(value, math.nan, math.nan, math.nan, problems)


def _seed(study: StudyManifest, group: Group, benchmark: str) -> int:
    return derive_seed(study.study, "summary", *group.labels.values(), benchmark)
