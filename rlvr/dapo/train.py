r"""DAPO (arXiv 2503.14476) for any parameter-efficient method, in one process or in several.

The algorithm, as published::

    for step = 1 .. steps
        sample prompts; sample G completions o_i ~ pi_old for each; reward R_i = correct(o_i) + length(o_i)
        keep groups with both correct and incorrect completions; sample until there are enough  (Eq. 11)
        A_i = (R_i - mean R) / std R within the group
        theta <- theta - AdamW step on
            - 1/(sum |o_i|)  sum_i sum_t  min(rho A_i, clip(rho, 1 - e_low, 1 + e_high) A_i)    (Eq. 8, 12)
        pi_old <- pi_theta

Departures from DAPO or from the paper that is reproduced (the RLVR paper):

1. Groups beyond what a step needs are carried to the next step with their log-probabilities
   (``dynamic_sampling.surplus: carry``), so that part of a batch is a step old. ``discard`` drops them and is
   strictly on-policy.
2. The reward is 0/1 (RLVR paper, section 2.4), not -1/1. Group normalisation makes the two equal, but not
   with soft overlong punishment: beside rewards of 0/1, its -1 weighs twice what it weighs in DAPO.
3. One update per batch of completions by default (strictly on-policy, as in the RLVR paper), so that the
   clip acts on carried groups only; ``updates_per_step`` divides the batch among several updates. There is
   no second epoch on a batch.
4. There is no KL term and no reference model, as in both papers.
5. Overlong filtering (DAPO, section 3.4) is off by default: truncated completions are trained on
   (``overlong_filtering``).

To train one run by hand::

    rlvr train results/demo/configs/train/tiny--lora--recommended--main--s0.json \
        --model resources/models/tiny --data resources/data/sums-train.parquet \
        --checkpoints checkpoints/demo/lora --output runs/lora

Shape suffixes: P prompt groups, G completions per group, S sequences (P x G), N tokens.
"""

import logging
import math
from contextlib import nullcontext
from pathlib import Path

import torch

from rlvr.dapo.canary import canary_kl, check_mismatch
from rlvr.dapo.failures import Attempt, refusals
from rlvr.dapo.losses import ALGORITHMS
from rlvr.dapo.ranks import joined_ranks
from rlvr.dapo.results import write_results
from rlvr.dapo.resume import resume, save_checkpoint
from rlvr.dapo.sampling import (
    Group,
    GroupSampler,
    Reward,
    StepGroups,
    informative_groups,
    is_informative,
    outcomes_differ,
)
from rlvr.dapo.setup import Run, checkpoint_folder, setup
from rlvr.dapo.timer import Timer
from rlvr.dapo.update import NO_UPDATE, store_logprobs, update
from rlvr.environment import peak_memory_bytes
from rlvr.errors import TryAgain
from rlvr.locks import Lock, exclusive
from rlvr.progress import Steps
from rlvr.seeds import derive_seed
from rlvr.stopping import StopRequest, stop_requests

logger = logging.getLogger(__name__)


def train(
    config_path: Path,
    model: Path,
    data: Path,
    checkpoints: Path,
    output: Path,
    reward: Reward | None = None,
    max_minutes: float | None = None,
    failure_log: Path | None = None,
    attempts_left: int = 1,
) -> bool:
    """Train one run, from its last checkpoint if there is one, and write its results.

    A run that is killed at any moment and started again ends, on a CPU, with the same weights and log as one
    that was not.

    Args:
        config_path: resolved configuration (`TrainConfig`).
        model: prepared model folder.
        data: prepared problems.
        checkpoints: folder for training state; survives a restart.
        output: folder of the run: gets `trained.safetensors`, `train_log.parquet` and `run.json`.
        reward: replaces the verifier (for controls such as random rewards).
        max_minutes: time limit; before it, stop as at SIGTERM: the step is finished and a checkpoint written.
        failure_log: log file of this process. With it, a failure that is final is not raised but recorded as
            the result of the run (:mod:`rlvr.dapo.failures`).
        attempts_left: attempts that may follow this one; with none, every failure is final.

    Returns:
        Whether this process has written the results: of several ranks, the first.

    Raises:
        TryAgain: stopped before the last step, another process trains this run, or a rank of it has ended.
        RunFailure: the run is refused, has diverged, or has nothing to learn from.
        UserError: an input is missing or damaged.
    """
    folder = checkpoint_folder(config_path, model, data, checkpoints)
    attempt = Attempt(config_path, model, data, output, failure_log, attempts_left)
    if failure := attempt.earlier_failure():
        raise failure
    with (
        stop_requests(max_minutes) as stop,
        joined_ranks(stop) as ranks,
        exclusive(folder / "lock") if ranks.leads else nullcontext() as lock,
        attempt.failures_recorded(ranks),
    ):
        if lock:
            attempt.begin(folder, lock)
        with refusals():
            attempt.run = setup(config_path, model, data, checkpoints, reward, ranks)
        with attempt.run as run:
            resume(run)
            run.attempts = attempt.number
            with refusals():
                sync_weights(run, len(run.log))
                train_steps(run, lock, stop)
            write_results(run, output)
    return ranks.leads


def train_steps(run: Run, lock: Lock | None, stop: StopRequest) -> None:
    """Do the steps that are left, with checkpoints; at least one, so that every attempt gets on.

    A run that has nothing left to learn from is complete before its last step. What asks one rank to stop
    stops all of them, after the same step.

    Raises:
        TryAgain: asked to stop before the last step; a checkpoint of all finished steps is written.
        RunFailure: the run has diverged, or has nothing to learn from.
    """
    training = run.config.training
    stop.begin_steps()
    with Steps(run.config.run, training.steps, completed=len(run.log)) as progress:
        while not run.complete:
            step, timer = len(run.log), Timer()
            with timer("step"):
                metrics = train_step(run, step, timer)
            peak = int(run.ranks.largest(peak_memory_bytes()))
            row = {"step": step, **metrics, **timer.metrics(), "memory/peak_bytes": peak}
            run.log.append(row)
            complete = run.complete
            reason = next(filter(None, run.ranks.gathered([stop.check()])), None)
            if (step + 1) % training.checkpoint_every == 0 or complete or reason:
                save_checkpoint(run, lock)
            progress.done(1, summary(row))
            if reason and not complete:
                raise TryAgain(
                    f"{run.config.run}: {reason} with {step + 1} of {training.steps} steps done; the same "
                    f"command continues from the checkpoint in {run.folder}"
                )
    if len(run.log) < training.steps:
        logger.warning(
            "%s: complete after %d of %d steps: the last %d had no group with both correct and incorrect "
            "completions, so there is no more to learn",
            *(run.config.run, len(run.log), training.steps, run.sampler.first_steps.idle),
        )


def train_step(run: Run, step: int, timer: Timer) -> dict[str, float]:
    """Do one step of the algorithm above and return its metrics."""
    learner, sampler, training = run.learner, run.sampler, run.config.training
    torch.manual_seed(derive_seed(run.config.train_seed, "dropout", step, *run.ranks.seed_parts))

    batch = sample_groups(sampler, step, timer)
    if step == 0:
        log_informative_fraction(batch.sampled)
    warn_of_short_batch(run, batch)
    sampler.first_steps.end_step(any(outcomes_differ(group) for group in batch.kept), run.config)

    run.sync.release()
    update_metrics = NO_UPDATE
    with timer("update"):
        store_logprobs(learner, sampler.surplus)  # the next step trains on them with another policy
        if batch.kept:
            rewards_PG = torch.tensor([group.rewards for group in batch.kept])
            advantages_PG = ALGORITHMS[training.algorithm].advantages(rewards_PG)
            update_metrics = update(learner, batch.kept, advantages_PG, step)
        if update_metrics["tokens/trained"]:
            check_mismatch(update_metrics["rollout/mismatch_kl"], training, f"on the rollouts of step {step}")

    with timer("sync"):
        sync_metrics = sync_weights(run, step + 1)

    sampled_before = run.log[-1]["rollouts/completions"] if run.log else 0
    return {
        **group_metrics(batch, training.prompts_per_step),
        "rollouts/completions": sampled_before + len(batch.sampled) * training.group_size,
        **update_metrics,
        **sync_metrics,
        **learner.method.metrics(learner.policy),
    }


def sample_groups(sampler: GroupSampler, step: int, timer: Timer) -> StepGroups:
    """Sample until enough groups are informative: dynamic sampling (DAPO, section 3.2).

    Groups beyond what the step needs are carried to the next one or discarded, in the order of their prompts,
    not of their completion, which would favour short ones. After the last round the step trains on what it
    has, perhaps nothing.
    """
    needed, dynamic = sampler.training.prompts_per_step, sampler.training.dynamic_sampling
    carried = sampler.surplus
    kept, sampled = list(carried), list[Group]()
    for _ in range(dynamic.max_rounds if dynamic else 1):
        if len(kept) >= needed:
            break
        groups = sampler.sample_round(step, timer)
        sampled += groups
        kept += informative_groups(groups) if dynamic else groups
    sampler.surplus = [] if dynamic and dynamic.surplus == "discard" else kept[needed:]
    return StepGroups(kept=kept[:needed], sampled=sampled, carried=len(carried))


def sync_weights(run: Run, step: int) -> dict[str, float]:
    """Send the weights after ``step`` steps to the engine and return metrics of what it serves.

    Where the policy itself samples, the canary is scored at the start only: nothing is sent later that it
    could find, and the rollouts of every step are compared as well.

    Raises:
        UserError: the engine does not serve the policy that is trained, or the ranks train several.
    """
    run.ranks.require_same_weights(run.learner.policy, step)
    metrics = run.sync(step)
    if not run.sync.sends and step > len(run.log):
        return {**metrics, "sync/canary_kl": math.nan}
    kl = run.ranks.largest(canary_kl(run.learner, run.engine, run.canary))
    check_mismatch(kl, run.config.training, "on the canary after the sync")
    return {**metrics, "sync/canary_kl": kl}


def warn_of_short_batch(run: Run, batch: StepGroups) -> None:
    """Warn in the first step in which the rounds of sampling did not fill the batch.

    An empty first step has a warning of its own.
    """

    def short(step: int, groups: int) -> bool:
        return groups < wanted and (step > 0 or groups > 0)

    wanted, dynamic = run.config.training.prompts_per_step, run.config.training.dynamic_sampling
    warned = any(short(int(row["step"]), int(row["groups/kept"])) for row in run.log)
    if dynamic and not warned and short(len(run.log), len(batch.kept)):
        logger.warning(
            "step %d trains on %d of %d groups: %d rounds of sampling gave no more with both correct and "
            "incorrect completions (groups/filled_fraction of the training log shows every step); raise "
            "training.dynamic_sampling.max_rounds, or use problems of another difficulty",
            len(run.log),
            len(batch.kept),
            wanted,
            dynamic.max_rounds,
        )


def group_metrics(batch: StepGroups, wanted: int) -> dict[str, float]:
    """Return metrics of the groups sampled in a step that wants so many, kept or not.

    They are NaN in a step that trained on carried groups alone and sampled none.
    """
    groups = batch.sampled
    lengths = [float(len(completion)) for group in groups for completion in group.completions]
    truncated = [float(value) for group in groups for value in group.truncated]
    informative = len(informative_groups(groups))

    def mean(values: list[float]) -> float:
        return sum(values) / len(values) if values else float("nan")

    return {
        "reward/mean": mean([value for group in groups for value in group.rewards]),
        "reward/correct": mean([value for group in groups for value in group.correct]),
        "completion/length_mean": mean(lengths),
        "completion/truncated_fraction": mean(truncated),
        "groups/sampled": len(groups),
        "groups/kept": len(batch.kept),
        "groups/dropped": len(groups) - informative,
        "groups/carried": batch.carried,
        "groups/carried_fraction": min(batch.carried / len(batch.kept), 1) if batch.kept else float("nan"),
        "groups/filled_fraction": len(batch.kept) / wanted,
        "groups/informative_fraction": mean([float(is_informative(group)) for group in groups]),
        "tokens/generated": int(sum(lengths)),
    }


def log_informative_fraction(groups: list[Group]) -> None:
    """Log, before the first update, how many groups have both correct and incorrect completions."""
    share = len(informative_groups(groups)) / len(groups)
    logger.info(
        "before training, %.0f%% of %d groups have both correct and incorrect completions",
        100 * share,
        len(groups),
    )
    if share == 0:
        logger.warning(
            "no group has both correct and incorrect completions, so there is nothing to learn from: use an "
            "easier data set, raise training.sampling.max_new_tokens or training.group_size, or check "
            "answer_format"
        )


def summary(row: dict[str, float]) -> str:
    """Return the note of a step for the progress bar."""
    return (
        f"reward {row['reward/mean']:.2f}  length {row['completion/length_mean']:.0f}  "
        f"{row['time/step_seconds']:.1f} s/step"
    )
