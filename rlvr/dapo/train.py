r"""DAPO (arXiv 2503.14476) for any parameter-efficient method, on one process.

The algorithm, as published::

    for step = 1 .. steps
        draw prompts; draw G completions o_i ~ pi_old for each; reward R_i = correct(o_i) + length(o_i)
        keep the groups that hold right and wrong answers; draw on until there are enough      (Eq. 11)
        A_i = (R_i - mean R) / std R within the group
        theta <- theta - AdamW step on
            - 1/(sum |o_i|)  sum_i sum_t  min(rho A_i, clip(rho, 1 - e_low, 1 + e_high) A_i)   (Eq. 8, 12)
        pi_old <- pi_theta

Where this departs from the paper that we reproduce, or from DAPO:

1. Groups beyond what a step needs are carried to the next step with their log-probabilities, not discarded.
2. The reward is 0/1 (RLVR paper, section 2.4), not -1/1; group normalisation makes the two equal.
3. One update per batch of completions by default (strictly on-policy, as the RLVR paper), so that the clip
   acts on carried groups only; ``updates_per_step`` raises that.
4. There is no KL term and no reference model, as in both papers.

Run one cell by hand::

    rlvr train results/demo/configs/train/tiny--lora--recommended--main--s0.json \
        --model resources/models/tiny --data resources/data/sums-train.parquet \
        --checkpoints checkpoints/demo/lora --output runs/lora
"""

import time
from pathlib import Path

import torch

from rlvr.dapo.canary import check_mismatch
from rlvr.dapo.sampling import Reward, StepGroups, mixed
from rlvr.dapo.setup import Run, publish, remember, start, sync_weights
from rlvr.dapo.update import remember_logprobs, update
from rlvr.environment import peak_memory_bytes
from rlvr.progress import Steps
from rlvr.seeds import derive_seed


def train(
    cell: Path, model: Path, data: Path, checkpoints: Path, output: Path, reward: Reward | None = None
) -> None:
    """Train one cell, from its last checkpoint where there is one, and publish the run.

    Args:
        cell: resolved cell file.
        model: prepared model folder.
        data: prepared problems.
        checkpoints: folder for training state; survives a restart.
        output: folder that gets `trained.safetensors`, `train_log.parquet` and `run.json`.
        reward: replaces the verifier (for controls such as a coin toss).

    Raises:
        UserError: an input is wrong, the loss is not finite, or the engine serves another policy.
    """
    run = start(cell, model, data, checkpoints, reward)
    total = run.cell.training.steps
    with run, Steps(run.cell.run, total, completed=len(run.log)) as progress:
        for step in range(len(run.log), total):
            row = train_step(run, step)
            run.log.append(row)
            if (step + 1) % run.cell.training.checkpoint_every == 0 or step + 1 == total:
                remember(run)
            progress.done(1, summary(row))
    publish(run, output)


def train_step(run: Run, step: int) -> dict[str, float]:
    """Do one step of the algorithm box above and return its row of the log."""
    torch.manual_seed(derive_seed(run.cell.train_seed, "dropout", step))
    clock = [time.perf_counter()]
    drawn = run.sampler.sample(step)
    if step == 0:
        log_informative_fraction(drawn)
    clock.append(time.perf_counter())
    remember_logprobs(run.learner, run.sampler.surplus)
    metrics = update(run.learner, drawn.groups, step)
    if drawn.groups:
        check_mismatch(metrics["rollout/mismatch_kl"], run.cell.training, f"on the rollouts of step {step}")
    clock.append(time.perf_counter())
    served = sync_weights(run)
    clock.append(time.perf_counter())
    return {
        "step": step,
        **group_metrics(drawn),
        **metrics,
        **served,
        **run.learner.method.metrics(run.learner.policy),
        "time/rollout_seconds": clock[1] - clock[0] - drawn.reward_seconds,
        "time/reward_seconds": drawn.reward_seconds,
        "time/update_seconds": clock[2] - clock[1],
        "time/sync_seconds": clock[3] - clock[2],
        "time/step_seconds": clock[3] - clock[0],
        "memory/peak_bytes": peak_memory_bytes(),
    }


def group_metrics(drawn: StepGroups) -> dict[str, float]:
    """Return what the groups drawn in this step say of the policy; kept or not, all of them count.

    A step that lived on carried groups alone drew none; its rewards are then not known (NaN).
    """
    groups = drawn.sampled
    count = sum(len(group.completions) for group in groups)
    informative = sum(mixed(group) for group in groups)

    def mean(values: list[float]) -> float:
        return sum(values) / count if count else float("nan")

    lengths = [len(completion) for group in groups for completion in group.completions]
    return {
        "reward/mean": mean([value for group in groups for value in group.rewards]),
        "reward/correct": mean([value for group in groups for value in group.correct]),
        "completion/length_mean": mean([float(length) for length in lengths]),
        "completion/truncated_fraction": mean([float(cut) for group in groups for cut in group.truncated]),
        "groups/sampled": len(groups),
        "groups/kept": len(drawn.groups),
        "groups/dropped": len(groups) - informative,
        "groups/carried": drawn.carried,
        "groups/informative_fraction": informative / len(groups) if groups else float("nan"),
        "tokens/generated": sum(lengths),
    }


def log_informative_fraction(drawn: StepGroups) -> None:
    """Say, before anything is learnt, how many groups hold right and wrong answers."""
    share = sum(mixed(group) for group in drawn.sampled) / len(drawn.sampled)
    print(f"before training, {share:.0%} of {len(drawn.sampled)} groups hold right and wrong answers")
    if share == 0:
        print(
            "WARNING: no group holds both, so there is nothing to learn from: use an easier data set, a "
            "longer training.sampling.max_new_tokens, a larger training.group_size, or check answer_format"
        )


def summary(row: dict[str, float]) -> str:
    """Return how a step went, for the progress bar."""
    return (
        f"reward {row['reward/mean']:.2f}  length {row['completion/length_mean']:.0f}  "
        f"{row['time/step_seconds']:.1f} s/step"
    )
