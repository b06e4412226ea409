"""Put a training run together from its configuration, model and data."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rlvr.artifacts import Environment
from rlvr.config.choices import AnswerFormat
from rlvr.config.resolved import TrainConfig, checkpoint_name, read_config
from rlvr.dapo.canary import canary_completions, check_logprobs
from rlvr.dapo.early_stop import exhausted
from rlvr.dapo.head import plain_model
from rlvr.dapo.noise import draws_random_numbers, remove_base_noise
from rlvr.dapo.packing_check import can_be_packed
from rlvr.dapo.ranks import ONE_RANK, Ranks, named_devices
from rlvr.dapo.sampling import GroupSampler, PromptStream, Reward, TrainingProblem
from rlvr.dapo.update import Learner
from rlvr.data.chat import opening, prompt_ids
from rlvr.data.problems import ALTERNATES, RULE, optional_column, read_problems
from rlvr.environment import current_environment
from rlvr.errors import UserError
from rlvr.files import read_json, sha256_of
from rlvr.methods.base.measure import shape_of
from rlvr.methods.faults import trained_method
from rlvr.methods.fits import check_folder_fit
from rlvr.methods.policy import run_policy
from rlvr.methods.weights import largest_rank
from rlvr.models.autocast import autocast
from rlvr.models.checks import check_end_of_turn
from rlvr.models.first_pass import first_pass
from rlvr.models.load import end_token_ids, load_model, load_tokenizer
from rlvr.models.positions import check_lengths
from rlvr.models.precision import rounds, stored_precision
from rlvr.models.sharding import one_tensor_at_a_time, shard_blocks
from rlvr.rollout.engines.base import Completion, Engine, Tokens
from rlvr.rollout.engines.factory import make_engine
from rlvr.rollout.engines.live import LiveEngine
from rlvr.rollout.sync import LiveSync, Sync, WeightSync
from rlvr.seeds import derive_seed
from rlvr.verify.pool import Verifier
from rlvr.verify.verdict import Item, Verdict

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Run:
    """A training run in progress; as a context, it stops the verifier's workers at the end."""

    config: TrainConfig
    learner: Learner
    engine: Engine
    sync: Sync
    """Keeps the engine at the policy that is trained."""
    canary: list[Tokens]
    """Completions that trainer and engine score after each sync."""
    sampler: GroupSampler
    verifier: Verifier
    folder: Path
    """Checkpoints of this configuration, model and data."""
    inputs: dict[str, str]
    """Hashes of model and data."""
    started: float
    """Start of this attempt on the monotonic clock."""
    dropped_prompts: int
    """Problems left out because their prompts are too long."""
    ranks: Ranks = ONE_RANK
    """The processes that train it, of which this is one."""
    devices: int = 1
    """Devices that trainers and engines of all ranks use."""
    log: list[dict[str, float]] = field(default_factory=list)
    """One row per finished step."""
    environment: Environment = field(default_factory=current_environment)
    """Code, packages and hardware of the attempt that trained last."""
    earlier_commits: list[str] = field(default_factory=list)
    """Commits of earlier attempts, where they differ."""
    earlier_seconds: float = 0.0
    """Wall time of earlier attempts, each up to its last checkpoint."""
    attempts: int = 1

    def __enter__(self) -> "Run":
        """Do nothing: workers start when they are first needed."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop the verifier's workers."""
        self.verifier.close()

    @property
    def complete(self) -> bool:
        """Whether there is no step left to do.

        Raises:
            RunFailure: the reward has collapsed.
        """
        enough = len(self.log) >= self.config.training.steps
        return enough or exhausted(self.sampler.first_steps, self.log, self.config)

    @property
    def seconds(self) -> float:
        """Wall time over all attempts."""
        return self.earlier_seconds + time.monotonic() - self.started


def setup(
    config_path: Path,
    model: Path,
    data: Path,
    checkpoints: Path,
    reward: Reward | None = None,
    ranks: Ranks = ONE_RANK,
) -> Run:
    """Return the run before its first step; arguments as for :func:`rlvr.dapo.train.train`."""
    started = time.monotonic()
    config = read_config(config_path, TrainConfig)
    training = config.training
    check_precision(config, model)
    check_folder_fit(trained_method(config), model)
    tokenizer = load_tokenizer(model)
    rows = read_problems(data)
    problems = training_problems(config, rows, tokenizer)
    prompts = {problem.id: problem.prompt_ids for problem in problems}
    check_lengths(model, prompts, training.sampling.max_new_tokens)
    learner, canary = build_learner(config, model, ranks), canary_completions(problems, tokenizer)
    check_logprobs(learner, canary)
    longest = max(
        max(map(len, prompts.values())) + training.sampling.max_new_tokens,
        *(len(prompt) + len(completion) for prompt, completion in canary),
    )
    engine, sync = make_sampling(config, learner, model, tokenizer, longest)
    check_end_of_turn(tokenizer, end_token_ids(learner.policy, tokenizer), str(model))
    verifier = Verifier(grader=config.reward)
    sampler = GroupSampler(
        engine=engine,
        stream=PromptStream(problems, config.train_seed),
        reward=reward or verified_reward(verifier, config.answer_format, opening(tokenizer, config.prompt)),
        training=training,
        seed=config.train_seed,
        ranks=ranks,
    )
    own_devices = engine.devices.union(tensor.device for tensor in learner.policy.parameters())
    return Run(
        config=config,
        learner=learner,
        engine=engine,
        sync=sync,
        canary=canary,
        sampler=sampler,
        verifier=verifier,
        folder=checkpoint_folder(config_path, model, data, checkpoints),
        inputs=input_hashes(model, data),
        started=started,
        dropped_prompts=len(rows) - len(problems),
        ranks=ranks,
        devices=len(set(ranks.gathered(named_devices(own_devices)))),
    )


def checkpoint_folder(config_path: Path, model: Path, data: Path, checkpoints: Path) -> Path:
    """Return the folder of a run's checkpoints; it depends on configuration, model and data."""
    config = read_config(config_path, TrainConfig)
    return checkpoints / checkpoint_name(config, input_hashes(model, data))


def input_hashes(model: Path, data: Path) -> dict[str, str]:
    """Return the hashes of model and data, as `run.json` names them."""
    return {"model_sha256": read_json(model / "provenance.json")["sha256"], "data_sha256": sha256_of(data)}


def build_learner(config: TrainConfig, model: Path, ranks: Ranks = ONE_RANK) -> Learner:
    """Load the base model, apply the method, and make its optimizer and scheduler."""
    training = config.training
    method = trained_method(config)
    torch.manual_seed(derive_seed(config.train_seed, "adapter"))
    base = load_model(model, training.dtype)
    total_parameters = base.num_parameters()
    with first_pass(base, "trained"):
        remove_base_noise(base)
    policy = run_policy(config, method, base)
    with first_pass(plain_model(policy), "trained", method.name), autocast(policy, training.dtype):
        stochastic = method.stochastic or draws_random_numbers(policy)
        packed = can_be_packed(policy, training)
    policy.train()
    if training.gradient_checkpointing:
        wrapped = cast(PreTrainedModel, policy)  # PEFT's wrapper forwards both calls
        wrapped.gradient_checkpointing_enable()
        wrapped.enable_input_require_grads()
    sharded = ranks.size > 1 and method.sharded and training.sync != "live"
    if sharded:
        shard_blocks(plain_model(policy).get_submodule(shape_of(plain_model(policy)).stack).children())
    optimizer = method.optimizer(policy, training)
    if sharded:
        one_tensor_at_a_time(optimizer)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: min(1.0, (done + 1) / (training.warmup_steps + 1))
    )
    return Learner(
        method, policy, optimizer, scheduler, training, total_parameters, stochastic, packed, ranks, sharded
    )


def make_sampling(
    config: TrainConfig, learner: Learner, model: Path, tokenizer: PreTrainedTokenizerBase, longest: int
) -> tuple[Engine, Sync]:
    """Return the engine of a run and the sync that keeps it at the policy that is trained.

    ``longest`` is the number of tokens of the longest prompt and completion together.
    """
    training, method, policy = config.training, learner.method, learner.policy
    if training.sync == "live":
        live = LiveEngine(
            policy,
            plain_model(policy),
            tokenizer,
            training.rollout_batch_size,
            training.dtype,
            training.batching,
        )
        return live, LiveSync(method, policy)
    if training.engine == "vllm" and learner.ranks.size > 1:
        raise UserError(
            f"{config.run}: training.engine: vllm is not supported in {learner.ranks.size} processes (it has "
            "process groups of its own); use training.engine: transformers, or one device (compute.gpus: 1)"
        )
    engine = make_engine(
        training.engine,
        model,
        tokenizer,
        dtype=training.rollout_compute_dtype or training.rollout_dtype,
        weight_dtype=training.rollout_dtype,
        batch_size=training.rollout_batch_size,
        batching=training.batching,
        longest=longest,
        lora_rank=largest_rank(method, policy) if training.sync == "adapter" else 0,
    )
    sync = WeightSync(method, policy, engine, training.sync, training.rounding, config.train_seed)
    return engine, sync


def check_precision(config: TrainConfig, model: Path) -> None:
    """Refuse to train in a precision that rounds the stored base.

    An adapter is evaluated on the base as stored; trained on a rounded base, it would be another model. A
    whole model would start off the base by a rounding error in every weight.

    Raises:
        UserError: training would round the stored weights.
    """
    stored = stored_precision(model)
    if rounds(stored, config.training.dtype):
        raise UserError(
            f"{config.run}: training.dtype is {config.training.dtype}, which would round the {stored} "
            f"weights of {model}; set training.dtype: {stored}, or store the model in "
            f"{config.training.dtype} (dtype in models.yaml)"
        )


def training_problems(
    config: TrainConfig, rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase
) -> list[TrainingProblem]:
    """Return the problems with their prompts rendered and tokenised; overlong ones are left out.

    Raises:
        UserError: a prompt is too long and the configuration does not drop such prompts, or none is left.
    """
    limit = config.training.max_prompt_tokens
    columns = (rows[column] for column in ("origin", "id", "problem", "answer"))
    prompts = prompt_ids(tokenizer, config.prompt, rows["problem"])
    optional = (optional_column(rows, name) for name in (ALTERNATES, RULE))
    fitting, overlong = [], []
    for origin, name, text, answer, others, rule, tokens in zip(*columns, *optional, prompts, strict=True):
        problem = TrainingProblem(name, tokens, answer, tuple(others), text, rule)
        if len(problem.prompt_ids) <= limit:
            fitting.append(problem)
        else:
            overlong.append(f"{origin} (id {name!r}): prompt of {len(problem.prompt_ids)} tokens")
    if overlong and (config.training.overlong_prompts == "stop" or not fitting):
        raise UserError(
            f"{overlong[0]} exceeds training.max_prompt_tokens = {limit} "
            f"({len(overlong)} of {len(rows)} prompts do); raise the limit or set "
            "training.overlong_prompts: drop"
        )
    for prompt in overlong:
        logger.warning("%s exceeds training.max_prompt_tokens = %d; dropped", prompt, limit)
    return fitting


def verified_reward(verifier: Verifier, answer_format: AnswerFormat, opened: str = "") -> Reward:
    """Return the reward of the paper (section 2.4): 1 for a correct answer, else 0.

    ``opened`` is the start of the completion that the chat template has already written.
    """

    def reward(problems: Sequence[TrainingProblem], completions: Sequence[Completion]) -> list[Verdict]:
        items = [
            Item(
                text=opened + completion.text,
                gold=problem.answer,
                alternates=problem.alternates,
                answer_format=answer_format,
                finish_reason=completion.finish_reason,
                problem=problem.text,
                rule=problem.rule,
            )
            for problem, completion in zip(problems, completions, strict=True)
        ]
        return verifier.verify_many(items)

    return reward
