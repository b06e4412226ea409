"""Tokens and time of a run, from a roofline; formulas and the source of every constant: docs/planning.md."""

import math
from dataclasses import dataclass
from typing import Literal

from rlvr.config.choices import DType
from rlvr.config.devices import Device
from rlvr.config.resolved import GenerateConfig, TrainConfig
from rlvr.config.schema import Compute
from rlvr.config.training import Batching, Sampling, Training
from rlvr.methods.base.shapes import ModelShape
from rlvr.methods.base.spec import Method
from rlvr.planning.memory import BYTES, WHOLE

UPDATE_EFFICIENCY = {"gpu": 0.25, "cpu": 0.64}
"""Rate of an update with LoRA as a share of the device's matrix products, recomputation counted, measured."""
RELATIVE_RATE = {
    "full": 1.40, "dora": 0.53, "adalora": 0.81, "miss": 1.07, "vera": 0.79, "ia3": 0.99, "ln_tuning": 1.37,
    "rank1_lora": 0.98, "lora_fa": 0.97,
}  # fmt: skip
"""Rate of an update beside LoRA's, measured; 1 for the others."""
DECODE_EFFICIENCY = {"gpu": 0.5, "cpu": 0.4}
"""Rate of sampling as a share of the device's matrix products, where these bound it."""
Way = Literal["plain", "recorded", "vllm"]
"""How a step of sampling is done: kernel by kernel, as a CUDA graph, or by vLLM."""
HOST_SECONDS: dict[Way, float] = {"plain": 2.2e-3, "recorded": 0.155e-3, "vllm": 0.1e-3}
"""Time for each block and token of a batch beside products and memory traffic, on a GPU."""
CPU_HOST_SECONDS = 0.5e-3
"""The same on a CPU."""
CACHE_PASSES: dict[Way, float] = {"plain": 3, "recorded": 1.6, "vllm": 1}
"""Traffic of a step, in sizes of the cache at the data sheet's bandwidth: recorded steps read room that is
not filled yet, and rows that have ended."""
GROWTH, SHRINKS = 1.25, 0.25
"""As in `rlvr.rollout.engines.graphed` and `static`, which are not imported: they take torch along."""
RECORDING_SECONDS = 0.3
"""Of one step, each time a batch shrinks or its cache grows."""
STEP_SECONDS = {"gpu": 5.0, "cpu": 0.1}
"""Rewards, weight sync and log of a step."""
SAFETY = 2.0
"""Limit of a job over its estimate."""
START_MINUTES = 10
LEAST_MINUTES = 30


@dataclass(frozen=True)
class Work:
    """Tokens and time of one job."""

    rollout_tokens: float = 0.0
    """Sampled to train on, those of groups that dynamic sampling drops included."""
    update_tokens: float = 0.0
    """Of prompts and completions that are trained on."""
    evaluation_tokens: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        """Return both, one after the other."""
        return Work(
            self.rollout_tokens + other.rollout_tokens,
            self.update_tokens + other.update_tokens,
            self.evaluation_tokens + other.evaluation_tokens,
            self.seconds + other.seconds,
        )

    @property
    def minutes(self) -> int:
        """A time limit that the job should keep."""
        return max(LEAST_MINUTES, math.ceil(SAFETY * self.seconds / 60 + START_MINUTES))


def training_work(
    config: TrainConfig, method: Method, trained: int, shape: ModelShape, device: Device, compute: Compute
) -> Work:
    """Return the tokens and the time of a training run; devices together divide its completions."""
    training = config.training
    length = max(1.0, compute.mean_length * training.sampling.max_new_tokens)
    completions = training.prompts_per_step * training.group_size
    rounds = rounds_per_step(training, compute.informative)
    update_tokens = completions * length + training.prompts_per_step * compute.prompt_tokens
    if compute.update_tokens_per_second:
        update = update_tokens / compute.update_tokens_per_second
    else:
        update = update_seconds(training, method, trained, shape, device, update_tokens, length)
    rollouts = rounds * sampling_seconds(
        Rollouts(
            samples=completions,
            at_once=training.rollout_batch_size,
            sampling=training.sampling,
            engine=training.engine,
            batching=training.batching,
            dtype=training.rollout_compute_dtype or training.rollout_dtype,
        ),
        shape,
        device,
        compute,
    )
    together = max(1, compute.gpus or 1)
    seconds = training.steps * ((update + rollouts) / together + STEP_SECONDS[device.kind])
    return Work(
        rollout_tokens=training.steps * rounds * completions * length,
        update_tokens=training.steps * update_tokens,
        seconds=seconds,
    )


def rounds_per_step(training: Training, informative: float) -> float:
    """Return the expected rounds of sampling in a step.

    Surplus groups that are carried make the mean number of rounds the inverse of the informative share;
    discarded, every step samples whole rounds.
    """
    if training.dynamic_sampling is None:
        return 1.0
    rounds = 1 / informative
    if training.dynamic_sampling.surplus == "discard":
        rounds = math.ceil(rounds)
    return min(rounds, training.dynamic_sampling.max_rounds)


def matrix_parameters(shape: ModelShape) -> int:
    """Return the parameters that multiply a token: all but an embedding that is not the output layer too."""
    return shape.parameters - (0 if shape.tied else shape.vocabulary * shape.width)


def update_seconds(
    training: Training,
    method: Method,
    trained: int,
    shape: ModelShape,
    device: Device,
    tokens: float,
    length: float,
) -> float:
    """Return the time of an update: products of weights and attention, at a measured share of the peak rate.

    Two operations per weight and token in the forward pass and in the gradient of the inputs, two more for
    weights that are trained, two more for the forward pass that checkpointing repeats.
    """
    passes = 4 + 2 * training.gradient_checkpointing
    weights = matrix_parameters(shape)
    products = (passes + 2) * weights if method.name in WHOLE else passes * weights + 6 * trained
    attention = passes / 2 * 2 * length * shape.width * shape.depth
    rate = device.tflops[training.dtype] * 1e12 * UPDATE_EFFICIENCY[device.kind]
    return tokens * (products + attention) / (rate * RELATIVE_RATE.get(method.name, 1.0))


@dataclass(frozen=True)
class Rollouts:
    """Completions that are sampled in one call."""

    samples: int
    at_once: int
    sampling: Sampling
    engine: str
    batching: Batching
    dtype: DType


def way_of(rollouts: Rollouts, device: Device) -> Way:
    """Return how steps are done; models with a sliding window, which are not recorded, are not told apart."""
    if rollouts.engine == "vllm":
        return "vllm"
    return "recorded" if device.kind == "gpu" and rollouts.batching == "static" else "plain"


def sampling_seconds(rollouts: Rollouts, shape: ModelShape, device: Device, compute: Compute) -> float:
    """Return the time of sampling: of each token of a batch, the larger of products and memory traffic.

    A static batch lasts as long as its longest completion, which has the greatest length; a continuous one,
    and vLLM's, is always full.
    """
    length = max(1.0, compute.mean_length * rollouts.sampling.max_new_tokens)
    if compute.rollout_tokens_per_second:
        return rollouts.samples * length / compute.rollout_tokens_per_second
    rows = min(rollouts.samples, rollouts.at_once)
    continuous = rollouts.engine == "vllm" or rollouts.batching == "continuous"
    if continuous:
        steps = max(rollouts.sampling.max_new_tokens, rollouts.samples * length / rows)
        active = rollouts.samples * length / steps
    else:
        steps = math.ceil(rollouts.samples / rows) * rollouts.sampling.max_new_tokens
        active = rows * compute.mean_length
    size = BYTES[rollouts.dtype]
    weights = matrix_parameters(shape)
    way = way_of(rollouts, device)
    passes = CACHE_PASSES[way]
    traffic = weights * size + passes * active * shape.cached * size * (compute.prompt_tokens + length / 2)
    rate = device.tflops[rollouts.dtype] * 1e12 * DECODE_EFFICIENCY[device.kind]
    products = 2 * weights * active / rate
    host = CPU_HOST_SECONDS if device.kind == "cpu" else HOST_SECONDS[way]
    prefill = rollouts.samples * compute.prompt_tokens * 2 * weights / rate
    recording = 0.0
    if way == "recorded":
        longest = compute.prompt_tokens + rollouts.sampling.max_new_tokens
        times = math.log(longest / compute.prompt_tokens, GROWTH) + math.log(rows, 1 / (1 - SHRINKS))
        recording = math.ceil(rollouts.samples / rows) * times * RECORDING_SECONDS
    each = max(products, traffic / (device.bandwidth_gb_per_second * 1e9)) + host * shape.depth
    return steps * each + prefill + recording


def evaluation_work(
    configs: list[GenerateConfig], problems: list[int], shape: ModelShape, device: Device, compute: Compute
) -> Work:
    """Return the tokens and the time of sampling one run on all benchmarks."""
    total = Work()
    for config, number in zip(configs, problems, strict=True):
        samples = number * config.samples_per_problem
        rollouts = Rollouts(
            samples, config.batch_size, config.sampling, config.engine, config.batching, config.dtype
        )
        length = compute.mean_length * config.sampling.max_new_tokens
        seconds = sampling_seconds(rollouts, shape, device, compute)
        total += Work(evaluation_tokens=samples * length, seconds=seconds)
    return total
