"""Names of all metrics: those of `summary.csv` and the columns of the training log."""

import re

METRICS = {
    "avg@K": "Share of correct samples.",
    "avg": "`avg@K` averaged over benchmarks that differ in K. Only in rows of means over benchmarks.",
    "pass@k": "Unbiased estimate of at least one correct sample in k (Chen et al. 2021); k = 1, 2, 4, .. K.",
    "maj@K": "Probability that a majority vote of the K samples is correct; equal answers are one class.",
    "avg@K/untruncated": "`avg@K` of the samples that ended by themselves; empty where none did.",
    "avg@K/truncated_as_incorrect": "`avg@K` with every truncated sample counted as incorrect.",
    "avg@K/lenient": "`avg@K` with answers outside the requested format accepted (`lenient` of the grades).",
    "avg@K/contaminated": "`avg@K` of the problems found in the training data; contaminated benchmarks only.",
    "avg@K/uncontaminated": "`avg@K` of the other problems; contaminated benchmarks only.",
    "no_answer_rate": "Share of samples without an answer in the requested format.",
    "unevaluated_rate": (
        "Share of samples whose answer repeats the problem, or leaves an operation to be carried out where "
        "the gold answer is a number; they count as incorrect."
    ),
    "verifier_failure_rate": (
        "Share of samples that could not be graded (unreadable gold answer, timeout, error); they count as "
        "incorrect."
    ),
    "verifier_timeout_rate": "Share of samples whose comparison with the gold answer timed out.",
    "truncation_rate": "Share of samples truncated at `max_new_tokens`.",
    "tokens_mean": "Mean tokens per sample.",
    "tokens_p50": "Median tokens per sample; the interval is Woodruff's (1952).",
    "tokens_p95": "95th percentile of tokens per sample; the interval is Woodruff's (1952).",
    "tokens_mean/correct": "Mean tokens of the correct samples; empty where there are none.",
    "tokens_mean/incorrect": "Mean tokens of the incorrect samples; empty where there are none.",
    "rerun_se": (
        "Standard error of `avg@K` if the same trained models answered the same problems again with new "
        "sampling seeds, which training seeds share, in the column `value` (`se` of `avg@K` is for other "
        "problems as well). Only where K is at least 2 and the samples of a problem have different seeds."
    ),
    "seconds_mean": "Generation time per sample, in seconds.",
    "generation_device_seconds": "Generation time of all samples of all training seeds, in device seconds.",
    "iqm": (
        "Interquartile mean of `avg@K` over training seeds x benchmarks, with a stratified bootstrap "
        "(Agarwal et al. 2021). Only in `overall` rows with at least three training seeds."
    ),
}
"""Metric of `summary.csv` -> meaning; K is the number of samples per problem."""

TRAIN_LOG = {
    "step": "Step, from 0.",
    "reward/mean": "Mean reward of the completions sampled in this step, length penalty included.",
    "reward/correct": "Share of correct completions.",
    "completion/length_mean": "Mean length in tokens.",
    "completion/truncated_fraction": "Share of completions truncated at `max_new_tokens`.",
    "groups/sampled": "Groups (completions of one prompt) sampled in this step.",
    "groups/kept": "Groups trained on.",
    "groups/dropped": "Groups without signal: all completions correct, or all incorrect.",
    "groups/carried": "Groups left over from the previous step.",
    "groups/carried_fraction": "Share of the groups trained on that are left over; empty without any.",
    "groups/filled_fraction": "Groups trained on over `prompts_per_step`; below 1 if rounds ran out.",
    "groups/informative_fraction": "Share of sampled groups with both correct and incorrect completions.",
    "rollouts/completions": "Completions sampled since the start of the run, trained on or not.",
    "tokens/generated": "Tokens sampled.",
    "tokens/trained": "Completion tokens trained on.",
    "loss/policy": "Loss of the algorithm (`rlvr/dapo/losses.py`).",
    "loss/extra": "Regularization term of the method.",
    "loss/clip_low_fraction": (
        "Share of tokens on which the lower bound of the clip acts: it removes their gradient, or raises "
        "their weight (`cispo`)."
    ),
    "loss/clip_high_fraction": (
        "Share of tokens on which the upper bound of the clip acts: it removes their gradient, or lowers "
        "their weight (`cispo`)."
    ),
    "policy/entropy": "Mean entropy per token, in nats.",
    "rollout/mismatch_kl": "KL(engine || trainer) on the sampled tokens (estimator k3), in nats per token.",
    "rollout/mismatch_k1": (
        "The same by the estimator k1, the mean of log(engine / trainer): unbiased, of either sign."
    ),
    "rollout/mismatch_max": "Largest |log(trainer / engine)| of a token, in nats.",
    "rollout/effective_sample_size": (
        "Effective sample size of the importance weights w = trainer / engine over the number of tokens N: "
        "(sum w)^2 / (N sum w^2); 1 where the two agree."
    ),
    "optim/grad_norm": "Gradient norm before clipping.",
    "optim/lr": "Learning rate of the first parameter group.",
    "optim/overflows": "Repetitions of optimizer steps with a smaller loss scale; always 0 but in float16.",
    "sync/noise_to_signal": (
        "||served update - update|| / ||update||: 0 if nothing is lost, 1 if the untrained model is served."
    ),
    "sync/gain": (
        "Projection of the served update on the update: 1 if all of it is served, or with noise that has no "
        "bias; 0 if the untrained model is served."
    ),
    "sync/moved_fraction": (
        "Share of the served weights that differ from the untrained model's in the same precision; NaN where "
        "the policy itself samples."
    ),
    "sync/update_norm": "Frobenius norm of the update over all weights.",
    "sync/canary_kl": (
        "Lower bound of KL(engine || trainer) on fixed completions after the sync, in nats per token; NaN "
        "where the policy itself samples, which is compared at the start only."
    ),
    "time/rollout_seconds": "Time to sample, in seconds.",
    "time/reward_seconds": "Time to grade the completions, in seconds.",
    "time/update_seconds": "Time of forward and backward passes and optimizer steps, in seconds.",
    "time/sync_seconds": "Time to sync the weights, in seconds.",
    "time/step_seconds": "Time of the whole step, in seconds.",
    "memory/peak_bytes": "Peak memory so far, in bytes.",
}
"""Column of `train_log.parquet` -> meaning; a method adds columns of its own as `method/NAME`."""

TRAIN_LOG_VERSION = 4
"""Raised when columns of the training log change; the file carries it."""


SPECTRA = {
    "update/norm": "Frobenius norm of the update: trained weight minus base, in float32.",
    "update/relative_norm": "The same over the Frobenius norm of the base.",
    "update/effective_rank": "Effective rank of the update, exp of the entropy of its singular values.",
    "update/stable_rank": "Stable rank of the update: squared Frobenius norm over squared spectral norm.",
    "energy/right": "Cumulative energy of the update in the right singular vectors of the base, 0..1.",
    "energy/left": "Cumulative energy of the update in the left singular vectors of the base, 0..1.",
    "energy/base": "Cumulative energy of the base itself: its squared singular values, 0..1.",
    "unchanged/float32": "Share of the entries that training did not change in float32.",
    "unchanged/bfloat16": "Share of the entries equal to the base's once both are rounded to bfloat16.",
    "unchanged/float16": "The same, rounded to float16.",
    "overlap/right": "Mean squared cosine between leading right singular vectors of two updates.",
    "overlap/left": "The same for left singular vectors.",
    "smallest_angle/right": "Smallest principal angle between leading right singular vectors, in degrees.",
    "smallest_angle/left": "The same for left singular vectors.",
    "largest_angle/right": "Largest principal angle between leading right singular vectors, in degrees.",
    "largest_angle/left": "The same for left singular vectors.",
}
"""Measure of `spectra.parquet` -> meaning; the formulas are in `docs/spectra.md`."""


def documented_measure(measure: str) -> str:
    """Return the name of a measure if it is one of :data:`SPECTRA`.

    Raises:
        ValueError: it is not.
    """
    if measure not in SPECTRA:
        raise ValueError(f"no measure {measure!r} is documented in rlvr/artifacts/metrics.py")
    return measure


def documented(metric: str) -> str:
    """Return the name of a metric, such as ``avg@32/lenient``, if it is one of :data:`METRICS`.

    Raises:
        ValueError: it is not.
    """
    if {re.sub(r"@\d+", generic, metric) for generic in ("@K", "@k")}.isdisjoint(METRICS):
        raise ValueError(f"no metric {metric!r} is documented in rlvr/artifacts/metrics.py")
    return metric
