"""Memory of a run, in closed form from the shape of its model; formulas and constants: docs/planning.md.

Symbols: p parameters, t trained ones, D width, L blocks, V vocabulary, N tokens of a microbatch, d bytes of a
number in the precision of the run. Everything is in bytes.
"""

import math
from dataclasses import dataclass

from rlvr.config.choices import DType
from rlvr.config.devices import Device
from rlvr.config.resolved import GenerateConfig, TrainConfig
from rlvr.config.training import Training
from rlvr.methods.base.shapes import ModelShape
from rlvr.methods.base.spec import Method

GIB = 2**30
BYTES: dict[DType, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
PROMPT_TOKENS = 128
"""Tokens of a prompt, where only its tokenizer would tell them."""
LIBRARIES = {"cpu": 0.84 * GIB, "gpu": 3.0 * GIB}
"""Main memory of a process with PyTorch, Transformers and PEFT; on a GPU with CUDA."""
ALLOCATOR = {"cpu": 0, "gpu": 1.0 * GIB}
"""Device memory of the CUDA context and of fragmentation, which PyTorch's own count leaves out."""
LOGITS = {"cpu": 2**23, "gpu": 2**27}
"""Logits in memory at once (`rlvr.dapo.token_logprobs.CHUNK_LOGITS`)."""
VLLM_SHARE = 0.8
"""Part of the free memory that vLLM takes for weights and cache (`rlvr.rollout.engines.vllm_start.SHARE`)."""
LORA_BYTES = (2.5, 0.4)
ADAPTER_BYTES = {
    "bitfit": (0.0, 0.0), "dora": (5.7, 8.1), "ia3": (3.1, 2.8), "ln_tuning": (0.0, 0.0),
    "lora_fa": (2.0, 0.4), "miss": (1.5, 0.4), "rank1_lora": (2.3, 0.4), "vera": (3.1, 0.4),
}  # fmt: skip
"""Bytes for each token and each input and output of an adapted layer: in 16 bits, where what a layer saves is
a copy in its precision, and in float32, where it mostly is not. Measured; methods left out have LoRA's."""
WHOLE = frozenset({"full"})
"""Methods that train the base's own matrices, which are then float32 and cast in every pass."""


@dataclass(frozen=True)
class Memory:
    """Parts of the memory of a training job on its device."""

    weights: float
    """The policy."""
    optimizer: float
    """Gradients and AdamW's two moments of what is trained, float32."""
    engine: float
    """Weights that are sampled from, where the policy itself is not."""
    activations: float
    """Of the update of a microbatch, logits included."""
    cache: float
    """Key-value cache of the sequences that are sampled at once."""
    fixed: float
    """What libraries and allocator take."""
    engine_sleeps: bool = False
    """Whether the engine gives its memory back during updates."""

    @property
    def peak(self) -> float:
        """The larger of update and rollouts."""
        update = self.activations + (0 if self.engine_sleeps else self.engine)
        return self.weights + self.optimizer + max(update, self.engine + self.cache) + self.fixed


def trained_memory(
    config: TrainConfig, method: Method, trained: int, shape: ModelShape, device: Device, devices: int = 1
) -> Memory:
    """Return the memory of a training job on each of its devices.

    Args:
        config: the run.
        method: what it trains.
        trained: number of trained parameters.
        shape: the shape of its model.
        device: kind of the devices.
        devices: how many train together, each on a part of the completions; they divide the blocks of a
            sharded policy (docs/several-devices.md).
    """
    share = 1.0
    if method.sharded and config.training.sync != "live":
        outside = (1 if shape.tied else 2) * shape.vocabulary * shape.width / shape.parameters
        share = outside + (1 - outside) / devices
    training = config.training
    size = BYTES[training.dtype]
    whole = method.name in WHOLE
    kept = 4 * method.kept_numbers(shape)
    weights = (4 * trained if whole else shape.parameters * size + 4 * trained) * share + kept
    completions = math.ceil(training.prompts_per_step * training.group_size / devices)
    rows = min(training.rollout_batch_size, completions)
    cache = cache_bytes(shape, rows, longest(training), training.rollout_dtype)
    engine = 0.0
    if training.sync != "live":
        engine = shape.parameters * BYTES[training.rollout_compute_dtype or training.rollout_dtype]
    sleeps = training.engine == "vllm" and device.kind == "gpu"
    optimizer = 12.0 * trained * share
    if sleeps:
        free = (device.memory_gib or 0) * GIB - weights - optimizer - ALLOCATOR["gpu"]
        cache = min(cache, max(0.0, VLLM_SHARE * free - engine))
    return Memory(
        weights=weights,
        optimizer=optimizer,
        engine=engine,
        activations=activation_bytes(training, method, shape, device),
        cache=cache,
        fixed=ALLOCATOR["gpu"] if device.kind == "gpu" else LIBRARIES["cpu"],
        engine_sleeps=sleeps,
    )


def longest(training: Training) -> int:
    """Return the tokens of the longest prompt and completion."""
    return min(training.max_prompt_tokens, PROMPT_TOKENS) + training.sampling.max_new_tokens


def microbatch_tokens(training: Training) -> int:
    """Return the tokens of the largest forward and backward pass (`rlvr.dapo.packing.microbatches`)."""
    step = training.prompts_per_step * (
        min(training.max_prompt_tokens, PROMPT_TOKENS)
        + training.group_size * training.sampling.max_new_tokens
    )
    return min(step, max(training.tokens_per_microbatch, longest(training)))


def cache_bytes(shape: ModelShape, rows: int, tokens: int, dtype: DType) -> float:
    """Return the key-value cache of sequences of the greatest length; a layer of it is copied as it grows."""
    return rows * tokens * shape.cached * BYTES[dtype] * (1 + 1 / shape.depth)


def activation_bytes(training: Training, method: Method, shape: ModelShape, device: Device) -> float:
    """Return what an update of the largest microbatch keeps, at its peak.

    Without checkpointing every block keeps its activations; with it, its input, and one block is computed
    again.
    """
    tokens, size = microbatch_tokens(training), BYTES[training.dtype]
    block = block_bytes(method, shape, size)
    if training.gradient_checkpointing:
        stream = 4 if method.name in WHOLE else size  # the embedding of a whole model is float32
        kept: float = shape.depth * shape.width * stream
    else:
        kept = shape.depth * block.saved
    logits = min(LOGITS[device.kind], tokens * shape.vocabulary) * (8 + size)
    casts = shape.parameters * size if method.name in WHOLE and size < 4 else 0
    again = tokens * (block.saved * training.gradient_checkpointing + block.passing)
    return tokens * kept + max(again, logits) + casts


@dataclass(frozen=True)
class BlockBytes:
    """Activations of a decoder block for each token."""

    saved: float
    """Kept for the backward pass."""
    passing: float
    """Alive only while the block is computed or its gradients are."""


def block_bytes(method: Method, shape: ModelShape, size: int) -> BlockBytes:
    """Return the activations of a decoder block, the mean over all blocks.

    Saved are the outputs of its linear layers, the activation function of the widest one, and the float32
    copies in its two norms; passing are three gradients as wide as the widest layer and the gradient of the
    last states. A whole model in 16 bits saves the cast inputs of its layers too.
    """
    inputs = sum(layer.inputs for layer in shape.linear.values()) / shape.depth
    outputs = sum(layer.outputs for layer in shape.linear.values()) / shape.depth
    widest = max((layer.inputs for layer in shape.linear.values()), default=shape.width)
    saved = size * (outputs + widest) + 8 * shape.width
    passing = 3 * size * widest + 8 * shape.width
    if method.name in WHOLE:
        return BlockBytes(saved + (size * inputs if size < 4 else 0), passing)
    adapted = [shape.linear[name] for name in method.declared_modules(shape) if name in shape.linear]
    features = sum(layer.inputs + layer.outputs for layer in adapted) / shape.depth
    extra = ADAPTER_BYTES.get(method.name, LORA_BYTES)[size == 4] * features
    return BlockBytes(saved + extra, passing)


def generation_memory(config: GenerateConfig, shape: ModelShape, rows: int, device: Device) -> float:
    """Return the device memory of a generation job that samples ``rows`` sequences at once."""
    weights = shape.parameters * BYTES[config.dtype]
    cache = cache_bytes(shape, rows, PROMPT_TOKENS + config.sampling.max_new_tokens, config.dtype)
    if config.engine == "vllm" and device.memory_gib:
        cache = min(cache, max(0.0, VLLM_SHARE * device.memory_gib * GIB - weights))
    return weights + cache + (ALLOCATOR["gpu"] if device.kind == "gpu" else LIBRARIES["cpu"])


def main_memory(
    config: TrainConfig, method: Method, trained: int, shape: ModelShape, devices: int = 1
) -> float:
    """Return the main memory of a training job beside GPUs; arguments as for :func:`trained_memory`.

    Every device has a process, which loads the weights and keeps those that are trained as they were. One of
    them writes checkpoints, and exports the run once the others have ended.
    """
    process = LIBRARIES["gpu"] + shape.parameters * BYTES[config.training.dtype]
    untrained = 4 * trained if method.name in WHOLE else 0
    export = 4 * (shape.parameters + trained)  # in float32
    return max(devices * (process + untrained) + 12 * trained, process + export)
