"""The rows of ``summary.csv``: every metric of every benchmark, and the means over benchmarks."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from rlvr.analysis.inputs.contamination import Contamination
from rlvr.analysis.inputs.groups import Group
from rlvr.analysis.inputs.scores import Flags, Scores
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
from rlvr.artifacts import OVERALL, SAMPLE_WEIGHTED, UNCONTAMINATED, SummaryRow
from rlvr.config.resolved import StudyManifest
from rlvr.seeds import derive_seed

Measured = tuple[str, Estimate, int]
"""A metric, its estimate, and the number of samples it is computed from."""


def summary_rows(
    group: Group, study: StudyManifest, contamination: Contamination | None
) -> Iterator[SummaryRow]:
    """Yield the rows of a method, in the order of the table.

    Args:
        group: the method.
        study: its benchmarks.
        contamination: the contaminated problems; None where contamination is unknown.
    """
    for name, (metric, estimate, n_samples) in _measure(group, study, contamination):
        yield SummaryRow(
            study=study.study,
            **group.labels,
            train_seeds=group.train_seeds,
            planned_seeds=group.planned_seeds,
            benchmark=name,
            metric=metric,
            **asdict(estimate),
            n_samples=n_samples,
            trainable_parameters=group.trainable_parameters,
            device_seconds=group.device_seconds,
        )


def _measure(
    group: Group, study: StudyManifest, contamination: Contamination | None
) -> Iterator[tuple[str, Measured]]:
    """Yield all metrics of a method, each with the value of the column ``benchmark``."""
    for benchmark in study.benchmarks:
        name, samples = benchmark.benchmark, benchmark.samples_per_problem
        seed = _seed(study, group, name)
        for measured in metrics_of(group.scores[name], samples, seed, study.shared_seed):
            yield name, measured
        if contamination is not None and contamination[name].any():
            for measured in split_by_contamination(group, name, contamination[name], samples, seed):
                yield name, measured
    yield from overall_of(group, study, contamination)


def metrics_of(scores: list[Scores], samples: int, seed: int, shared_seed: bool) -> Iterator[Measured]:
    """Yield the metrics of one benchmark from its training seeds; see `StudyManifest.shared_seed`."""

    def all_of(attribute: str) -> Any:
        return np.stack([getattr(one, attribute) for one in scores])

    def mean(values_RNK: Floats, bounds: Bounds = FRACTION) -> Estimate:
        return estimate_mean(values_RNK.mean(axis=2), seed, bounds)

    correct, tokens, truncated = all_of("correct"), all_of("tokens"), all_of("truncated")
    size = correct.size
    yield f"avg@{samples}", mean(correct), size
    for k in ks_of_pass(samples):
        yield f"pass@{k}", estimate_mean(pass_at_k(correct, k), seed), size
    votes = [majority_at_k(one.extracted, one.correct, samples, seed) for one in scores]
    yield f"maj@{samples}", estimate_mean(np.stack(votes), seed), size
    yield f"avg@{samples}/untruncated", *mean_among(correct, ~truncated, seed)
    yield f"avg@{samples}/truncated_as_incorrect", mean(correct & ~truncated), size
    yield f"avg@{samples}/lenient", mean(all_of("lenient")), size
    yield "no_answer_rate", mean(all_of("no_answer")), size
    yield "unevaluated_rate", mean(all_of("unevaluated")), size
    yield "verifier_failure_rate", mean(all_of("failed")), size
    yield "verifier_timeout_rate", mean(all_of("timed_out")), size
    yield "truncation_rate", mean(truncated), size
    yield "tokens_mean", mean(tokens, LENGTH), size
    yield "tokens_p50", estimate_quantile(tokens, 0.50, seed), size
    yield "tokens_p95", estimate_quantile(tokens, 0.95, seed), size
    yield "tokens_mean/correct", *mean_among(tokens, correct, seed, LENGTH)
    yield "tokens_mean/incorrect", *mean_among(tokens, ~correct, seed, LENGTH)
    if samples > 1 and not shared_seed:
        yield "rerun_se", _number(fixed_set_se(correct), correct.shape[1]), size
    seconds, problems = math.fsum(all_of("seconds").flat), correct.shape[1]
    yield "seconds_mean", _number(seconds / size, problems), size
    yield "generation_device_seconds", _number(seconds, problems), size


def mean_among(
    values_RNK: Floats, counted_RNK: Flags, seed: int, bounds: Bounds = FRACTION
) -> tuple[Estimate, int]:
    """Return the mean of the samples that count, all with the same weight, and their number."""
    numerator_RN, denominator_RN = (values_RNK * counted_RNK).mean(axis=2), counted_RNK.mean(axis=2)
    return estimate_ratio(numerator_RN, denominator_RN, seed, bounds), int(counted_RNK.sum())


def split_by_contamination(
    group: Group, benchmark: str, contaminated_N: Flags, samples: int, seed: int
) -> Iterator[Measured]:
    """Yield the accuracy on the contaminated problems and on the others."""
    values_RN = group.correct_means(benchmark)
    for part, kept_N in (("contaminated", contaminated_N), ("uncontaminated", ~contaminated_N)):
        estimate = estimate_mean(values_RN[:, kept_N], seed) if kept_N.any() else UNKNOWN
        yield f"avg@{samples}/{part}", estimate, group.n_samples(benchmark, kept_N)


def overall_of(
    group: Group, study: StudyManifest, contamination: Contamination | None
) -> Iterator[tuple[str, Measured]]:
    """Yield the means over benchmarks, each with its name in the column ``benchmark``."""
    names = [benchmark.benchmark for benchmark in study.averaged]
    metric, seed = overall_metric(study), _seed(study, group, OVERALL)
    values = {name: group.correct_means(name) for name in names}
    sizes = [group.n_samples(name) for name in names]
    yield OVERALL, (metric, macro_mean(list(values.values()), seed), sum(sizes))
    if contamination is not None:
        kept = {name: ~contamination[name] for name in names if not contamination[name].all()}
        uncontaminated = [values[name][:, kept_N] for name, kept_N in kept.items()]
        samples = sum(group.n_samples(name, kept_N) for name, kept_N in kept.items())
        yield UNCONTAMINATED, (metric, macro_mean(uncontaminated, seed), samples)
    yield SAMPLE_WEIGHTED, (metric, weighted_mean(list(values.values()), sizes, seed), sum(sizes))
    if not study.shared_seed and all(entry.samples_per_problem > 1 for entry in study.averaged):
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
        float(interquartile_mean(scores_RB)),
        float(replicates.std(ddof=1)),
        *percentile_interval(replicates),
        n_problems=sum(values_RN.shape[1] for values_RN in values),
    )


def overall_metric(study: StudyManifest) -> str:
    """Return ``avg@K``, or ``avg`` where the benchmarks differ in K."""
    ks = {benchmark.samples_per_problem for benchmark in study.averaged}
    return f"avg@{ks.pop()}" if len(ks) == 1 else "avg"


def ks_of_pass(samples: int) -> list[int]:
    """Return the k of pass@k: 1, 2, 4 .. and the number of samples itself."""
    powers = [2**exponent for exponent in range(samples.bit_length())]
    return sorted({k for k in powers if k < samples} | {samples})


def _number(value: float, problems: int) -> Estimate:
    """Return a number without uncertainty: a standard error, or a time, which samples of a batch share."""
    return Estimate(value, math.nan, math.nan, math.nan, problems)


def _seed(study: StudyManifest, group: Group, benchmark: str) -> int:
    return derive_seed(study.study, "summary", *group.labels.values(), benchmark)
