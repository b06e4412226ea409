"""Names of all metrics: those of `summary.csv` and the columns of the training log."""

import re

METRICS = {
    "avg@K": "Share of correct samples, K samples per problem. `avg` in overall rows of benchmarks that differ in K.",
    "pass@k": "Unbiased estimate of at least one correct sample in k (Chen et al. 2021); k = 1, 2, 4, .. K.",
    "maj@K": "Probability that a majority vote of K samples is correct; equal answers vote together.",
    "avg@K/untruncated": "`avg@K` of the samples that ended by themselves.",
    "avg@K/truncated_as_incorrect": "`avg@K` with every truncated sample counted as incorrect.",
    "avg@K/lenient": "`avg@K` with answers outside the requested format accepted.",
    "avg@K/contaminated": "`avg@K` of the problems found in the training data; only on contaminated benchmarks.",
    "avg@K/uncontaminated": "`avg@K` of the other problems; only on contaminated benchmarks.",
    "no_answer_rate": "Share of samples without an answer in the requested format.",
    "verifier_failure_rate": "Share of samples without a verdict (unreadable gold, timeout, error); they count as incorrect.",
    "verifier_timeout_rate": "Share of samples whose comparison timed out.",
    "truncation_rate": "Share of samples truncated at `max_new_tokens`.",
    "tokens_mean": "Mean tokens per sample.",
    "tokens_p50": "Median tokens per sample; the interval is Woodruff's (1952).",
    "tokens_p95": "95th percentile of tokens per sample; the interval is Woodruff's (1952).",
    "tokens_mean/correct": "Mean tokens of the correct samples.",
    "tokens_mean/incorrect": "Mean tokens of the incorrect samples.",
    "rerun_se": "SE of `avg@K` if the same models answered the same problems again; the value itself. From K = 2.",
    "seconds_mean": "Generation time per sample, in seconds.",
    "generation_device_seconds": "Generation time of all samples of all training seeds, in device seconds.",
    "iqm": "Interquartile mean over training seeds x benchmarks (Agarwal et al. 2021); overall, from three training seeds.",
}
"""Metric of `summary.csv` -> meaning. K is the number of samples per problem."""

TRAIN_LOG = {
    "step": "Step, from 0.",
    "reward/mean": "Mean reward of the completions sampled in this step, length punishment included.",
    "reward/correct": "Share of correct completions.",
    "completion/length_mean": "Mean length in tokens.",
    "completion/truncated_fraction": "Share of completions truncated at `max_new_tokens`.",
    "groups/sampled": "Prompt groups sampled in this step.",
    "groups/kept": "Groups trained on.",
    "groups/dropped": "Groups without signal: all completions correct, or all incorrect.",
    "groups/carried": "Groups left over from the step before.",
    "groups/informative_fraction": "Share of sampled groups with both correct and incorrect completions.",
    "tokens/generated": "Tokens sampled.",
    "tokens/trained": "Completion tokens trained on.",
    "loss/policy": "Clipped surrogate (DAPO, Eq. 8).",
    "loss/extra": "Regulariser of the method.",
    "loss/clip_fraction": "Share of tokens whose gradient the clip removes.",
    "policy/entropy": "Mean entropy per token, in nats.",
    "rollout/mismatch_kl": "KL(engine || trainer) on the sampled tokens (estimator k3), in nats per token.",
    "optim/grad_norm": "Gradient norm before clipping.",
    "optim/lr": "Learning rate of the first parameter group.",
    "sync/noise_to_signal": "||served update - update|| / ||update||: 0 nothing lost, 1 the untrained model is served.",
    "sync/update_norm": "Frobenius norm of the update, all weights together.",
    "sync/canary_kl": "Lower bound of KL(engine || trainer) on fixed completions after the sync, in nats per token.",
    "time/rollout_seconds": "Sampling.",
    "time/reward_seconds": "Grading.",
    "time/update_seconds": "Forward and backward passes, optimizer.",
    "time/sync_seconds": "Weight sync.",
    "time/step_seconds": "The whole step.",
    "memory/peak_bytes": "Peak memory so far.",
}
"""Column of `train_log.parquet` -> meaning; a method adds columns of its own as `method/NAME`."""


def is_documented(metric: str) -> bool:
    """Tell whether a metric of a table, such as ``avg@32/lenient``, is one of :data:`METRICS`."""
    generic = re.sub(r"@\d+", "@K", metric)
    return generic in METRICS or generic.replace("@K", "@k") in METRICS or generic == "avg"
