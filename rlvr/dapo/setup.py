"""A training run: put together from its inputs, resumed from its checkpoint, published when done."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rlvr.config.resolved import TrainConfig, read_config
from rlvr.config.schema import AnswerFormat
from rlvr.dapo.canary import canary_completions, canary_kl, check_mismatch
from rlvr.dapo.checkpoints import TrainingState, load_checkpoint, save_checkpoint
from rlvr.dapo.sampling import (
    GroupSampler,
    PromptStream,
    Reward,
    TrainingProblem,
    group_from_json,
    group_to_json,
)
from rlvr.dapo.update import Learner
from rlvr.data.chat import opening, prompt_ids
from rlvr.data.problems import read_problems
from rlvr.environment import code_and_machine, peak_memory_bytes
from rlvr.errors import UserError
from rlvr.files import content_hash, read_json, replacing, sha256_of, write_json, write_parquet
from rlvr.methods.faults import trained_method
from rlvr.methods.policy import build_policy, load_trained_state, trainable_parameters, trained_state
from rlvr.models.load import load_model, load_tokenizer
from rlvr.models.positions import check_lengths
from rlvr.rollout.engines.base import Completion
from rlvr.rollout.engines.transformers import TransformersEngine
from rlvr.rollout.sync import WeightSync
from rlvr.seeds import derive_seed
from rlvr.verify import Item, Verifier

IDENTITY = {"run", "study", "model", "method", "preset", "trains_as", "faults", "setting", "train_seed"}
"""Fields of the cell that say which run this is."""


@dataclass
class Run:
    """Everything that a step of training touches; a context that closes the verifier."""

    cell: TrainConfig
    learner: Learner
    engine: TransformersEngine
    sync: WeightSync
    """Brings the learner's weights to the engine."""
    canary: list[tuple[list[int], list[int]]]
    """(prompt ids, answer ids) that trainer and engine score after each sync."""
    sampler: GroupSampler
    verifier: Verifier
    folder: Path
    """Where checkpoints of just this cell, model and data live."""
    inputs: dict[str, str]
    """Checksums of model and data."""
    started: float
    """When this attempt began, on the monotonic clock."""
    dropped_prompts: int
    """Problems left out because their prompts are too long."""
    log: list[dict[str, float]] = field(default_factory=list)
    """A row for every step done."""
    code: dict[str, Any] = field(default_factory=code_and_machine)
    """Code, packages and hardware of the attempt that did the last step."""
    earlier_commits: list[str] = field(default_factory=list)
    """Commits of earlier attempts, where they were others."""
    earlier_seconds: float = 0.0
    """Of the attempts before this one, up to their last checkpoints; what came after is not counted."""
    attempts: int = 1

    def __enter__(self) -> "Run":
        """Nothing to open: workers start when first needed."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop the verifier's workers."""
        self.verifier.close()

    @property
    def seconds(self) -> float:
        """Wall time over all attempts."""
        return self.earlier_seconds + time.monotonic() - self.started


def start(cell_path: Path, model: Path, data: Path, checkpoints: Path, reward: Reward | None = None) -> Run:
    """Put a run together, at its last checkpoint where there is one."""
    started = time.monotonic()
    cell = read_config(cell_path, TrainConfig)
    problems = read_problems(data)
    refuse_rounding(cell, model)
    inputs = {"model_sha256": read_json(model / "provenance.json")["sha256"], "data_sha256": sha256_of(data)}
    tokenizer = load_tokenizer(model)
    chosen = training_problems(cell, problems, tokenizer)
    prompts = {problem.id: problem.prompt_ids for problem in chosen}
    check_lengths(model, prompts, cell.training.sampling.max_new_tokens)
    learner = build_learner(cell, model)
    verifier = Verifier()
    engine = TransformersEngine(
        load_model(model, cell.training.rollout_dtype), tokenizer, cell.training.rollout_batch_size
    )
    sampler = GroupSampler(
        engine=engine,
        stream=PromptStream(chosen, cell.train_seed),
        reward=reward or verified_reward(verifier, cell.answer_format, opening(tokenizer, cell.prompt)),
        training=cell.training,
        seed=cell.train_seed,
    )
    fingerprint = content_hash({"cell": cell.model_dump(), **inputs})[:16]
    run = Run(
        cell,
        learner,
        engine,
        WeightSync(learner.method, learner.policy, engine, cell.training.sync),
        canary_completions(chosen, tokenizer),
        sampler,
        verifier,
        checkpoints / fingerprint,
        inputs,
        started,
        len(problems) - len(chosen),
    )
    resume(run)
    sync_weights(run)
    return run


def sync_weights(run: Run) -> dict[str, float]:
    """Bring the current weights to the engine and return what arrived, measured.

    Raises:
        UserError: the engine does not serve the policy that is trained.
    """
    metrics = run.sync()
    kl = canary_kl(run.learner, run.engine, run.canary)
    check_mismatch(kl, run.cell.training, "on the canary after the sync")
    return {**metrics, "sync/canary_kl": kl}


def build_learner(cell: TrainConfig, model: Path) -> Learner:
    """Load the base, apply the method, make its optimizer."""
    training = cell.training
    method = trained_method(cell)
    torch.manual_seed(derive_seed(cell.train_seed, "adapter"))
    policy = build_policy(method, load_model(model, training.dtype), training.optimizer_steps)
    policy.train()
    if training.gradient_checkpointing:
        model_of_policy = cast(PreTrainedModel, policy)  # PEFT's wrapper hands both calls on
        model_of_policy.gradient_checkpointing_enable()
        model_of_policy.enable_input_require_grads()
    optimizer = method.optimizer(policy, training)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: min(1.0, (done + 1) / (training.warmup_steps + 1))
    )
    return Learner(method, policy, optimizer, scheduler, training)


def refuse_rounding(cell: TrainConfig, model: Path) -> None:
    """Refuse to train in a precision that would round the stored base.

    An adapter is evaluated on the base as it is stored; trained on a rounded one it would be another model.
    """
    stored = read_json(model / "config.json").get("dtype", "float32")
    if stored == "float32" and cell.training.dtype != "float32" and trained_method(cell).keeps_base:
        raise UserError(
            f"{cell.run}: training.dtype is {cell.training.dtype}, but {model} holds float32 weights, which "
            "that would round; store the model in that precision (dtype in models.yaml) or train in float32"
        )


def training_problems(
    cell: TrainConfig, problems: pd.DataFrame, tokenizer: PreTrainedTokenizerBase
) -> list[TrainingProblem]:
    """Return the problems with their prompts rendered and tokenised.

    Raises:
        UserError: a prompt is too long and the study does not say to drop it, or none is left.
    """
    limit = cell.training.max_prompt_tokens
    columns = (problems[column] for column in ("source", "id", "problem", "answer"))
    fitting, too_long = [], []
    for source, name, text, answer in zip(*columns, strict=True):
        problem = TrainingProblem(name, prompt_ids(tokenizer, cell.prompt, text), answer)
        if len(problem.prompt_ids) <= limit:
            fitting.append(problem)
        else:
            too_long.append(f"{source} (id {name!r}): a prompt of {len(problem.prompt_ids)} tokens")
    if too_long and (cell.training.overlong_prompts == "stop" or not fitting):
        raise UserError(
            f"{too_long[0]}, training.max_prompt_tokens is {limit} "
            f"({len(too_long)} of {len(problems)} are too long); raise the limit or set "
            "training.overlong_prompts: drop"
        )
    for one in too_long:
        print(f"{one}, left out: training.max_prompt_tokens is {limit}")
    return fitting


def verified_reward(verifier: Verifier, answer_format: AnswerFormat, opened: str = "") -> Reward:
    """Return the reward of the paper (section 2.4): 1 where the verifier finds the answer right, else 0.

    ``opened`` is what the chat template has written of every answer already.
    """

    def reward(problems: Sequence[TrainingProblem], completions: Sequence[Completion]) -> list[float]:
        items = [
            Item(
                text=opened + completion.text,
                gold=problem.answer,
                answer_format=answer_format,
                finish_reason=completion.finish_reason,
            )
            for problem, completion in zip(problems, completions, strict=True)
        ]
        return [float(verdict.correct) for verdict in verifier.verify_many(items)]

    return reward


def remember(run: Run) -> None:
    """Write a checkpoint."""
    state = TrainingState(
        step=len(run.log),
        trained=trained_state(run.learner.method, run.learner.policy),
        optimizer=run.learner.optimizer.state_dict(),
        scheduler=_plain(run.learner.scheduler.state_dict()),
        progress={
            "cursor": run.sampler.stream.cursor,
            "surplus": [group_to_json(group) for group in run.sampler.surplus],
            "log": [
                {key: None if value != value else value for key, value in row.items()} for row in run.log
            ],
            "seconds": run.seconds,
            "attempts": run.attempts,
            "code": run.code,
            "earlier_commits": run.earlier_commits,
        },
    )
    save_checkpoint(run.folder, state)


def resume(run: Run) -> None:
    """Continue from the last checkpoint, if there is one."""
    state = load_checkpoint(run.folder)
    if state is None:
        return
    print(f"resuming {run.cell.run} after step {state.step}")
    load_trained_state(run.learner.method, run.learner.policy, state.trained, str(run.folder))
    load_optimizer_state(run.learner, state.optimizer)
    scheduler = run.learner.scheduler
    functions = [None] * len(run.learner.optimizer.param_groups)  # stand for "keep yours"
    scheduler.load_state_dict({**state.scheduler, "lr_lambdas": functions})
    run.sampler.stream.cursor = state.progress["cursor"]
    run.sampler.surplus = [group_from_json(group) for group in state.progress["surplus"]]
    run.log = [
        {key: float("nan") if value is None else value for key, value in row.items()}
        for row in state.progress["log"]
    ]
    run.earlier_seconds = state.progress["seconds"]
    run.attempts = state.progress["attempts"] + 1
    before = state.progress["code"]
    if state.step >= run.cell.training.steps:
        print(f"nothing is left to train; publishing what commit {before['git_commit']} trained")
        run.code, run.earlier_commits = before, state.progress["earlier_commits"]
    else:
        commits = [*state.progress["earlier_commits"], before["git_commit"]]
        run.earlier_commits = [c for c in dict.fromkeys(commits) if c and c != run.code["git_commit"]]


def load_optimizer_state(learner: Learner, state: dict[str, Any]) -> None:
    """Put an optimizer's state back where its parameters are.

    PyTorch moves what is kept under a parameter; LoRA-FA's optimizer keeps its state under names.
    """
    learner.optimizer.load_state_dict(state)
    device = next(learner.policy.parameters()).device
    states: dict[Any, dict[str, Any]] = learner.optimizer.state
    for owner, values in states.items():
        if isinstance(owner, str):
            for key, value in values.items():
                values[key] = value.to(device) if isinstance(value, torch.Tensor) else value


def publish(run: Run, output: Path) -> None:
    """Write the run's small final files; `run.json` last, since it says that the rest is there."""
    with replacing(output / "trained.safetensors") as temporary:
        state = trained_state(run.learner.method, run.learner.policy)
        save_file({name: tensor.cpu().contiguous() for name, tensor in state.items()}, temporary)
    write_parquet(output / "train_log.parquet", pd.DataFrame(run.log))
    write_json(output / "run.json", describe(run))


def describe(run: Run) -> dict[str, Any]:
    """Return the content of `run.json`: what was run, what came out, and where it comes from."""
    cell, log = run.cell, pd.DataFrame(run.log)
    rewards = log["reward/mean"].dropna()
    return {
        "run_info": {
            **cell.model_dump(include=IDENTITY),
            "config": cell.model_dump(),
            "config_sha256": content_hash(cell.model_dump()),
            "status": "finished",
            "seconds": run.seconds,
            "device_seconds": run.seconds,
            "attempts": run.attempts,
        },
        "train_info": {
            "trainable_parameters": trainable_parameters(run.learner.policy),
            "total_parameters": run.engine.model.num_parameters(),
            "steps": len(log),
            "dropped_prompts": run.dropped_prompts,
            "reward_first": float(rewards.iloc[0]),
            "reward_last": float(rewards.tail(5).mean()),
            "peak_memory_bytes": peak_memory_bytes(),
        },
        "meta_info": {**run.code, "earlier_git_commits": run.earlier_commits, **run.inputs},
    }


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """Return a scheduler's state without the functions, which are no state."""
    return {key: value for key, value in state.items() if key != "lr_lambdas"}
