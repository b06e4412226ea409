"""What an algorithm brings along, what cannot work, and where a plan departs from the papers."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rlvr.config.resolved import TrainConfig
    from rlvr.config.training import Training

Algorithm = Literal["dapo", "grpo", "dr_grpo", "gspo", "cispo"]

ALGORITHM_DEFAULTS: dict[Algorithm, dict[str, Any]] = {
    "dapo": {"clip_low": 0.2, "clip_high": 0.28, "dynamic_sampling": {}},
    "grpo": {"clip_low": 0.2, "clip_high": 0.2, "dynamic_sampling": None},
    "dr_grpo": {"clip_low": 0.2, "clip_high": 0.2, "dynamic_sampling": None},
    "gspo": {"clip_low": 3e-4, "clip_high": 4e-4, "dynamic_sampling": None},
    "cispo": {"clip_low": 1.0, "clip_high": 4.0, "dynamic_sampling": {}},
}
"""Keys of `training` that an algorithm sets where the configuration does not.

DAPO: arXiv 2503.14476, sections 3.1, 3.2 and 4.1. GRPO (arXiv 2402.03300, Eq. 3) clips by one range on both
sides, 0.2 as DAPO's section 3.1 has it, and keeps every group. Dr.GRPO changes only loss and advantage of
GRPO (arXiv 2503.20783, section 3.2). GSPO: arXiv 2507.18071, section 5.1; its range is narrow, because the
ratio is a mean over a completion. CISPO (MiniMax-M1, arXiv 2506.13585, section 3.1) has no lower bound and
DAPO's dynamic sampling; the paper gives no upper bound, and importance weights up to 5 are those of ScaleRL
(arXiv 2510.13786).
"""


LEAST_TEMPERATURE = 0.01
"""Bound of the temperature in training."""
LARGEST_STUDY_RATE, LARGEST_RATE = 1.0, 10.0
"""Bounds of a learning rate: of a study, which is LoRA's, and after the factor of a method."""


def impossible(training: "Training") -> str | None:
    """Return why a training cannot work as configured, or None; the key comes first."""
    return _impossible_sampling(training) or _impossible_steps(training)


def _impossible_sampling(training: "Training") -> str | None:
    sampling = training.sampling
    if sampling.top_p < 1:
        return (
            f"sampling.top_p {sampling.top_p:g}: the loss takes probabilities over the whole vocabulary, and "
            "a token sampled from a nucleus has another one; leave top_p at 1"
        )
    if sampling.temperature < LEAST_TEMPERATURE:
        return (
            f"sampling.temperature {sampling.temperature:g}: all completions of a prompt would be the "
            "same, so that no advantage differs from 0; training needs a temperature above 0, such as 1 "
            "(only evaluation may be greedy)"
        )
    tokens = training.soft_overlong.buffer_tokens if training.soft_overlong else 0
    if tokens > sampling.max_new_tokens:
        return (
            f"soft_overlong.buffer_tokens {tokens} is above sampling.max_new_tokens {sampling.max_new_tokens}"
            ": every completion would be punished from its first token on; choose a smaller buffer, or more "
            "tokens"
        )
    return None


def too_fast(rate: float, largest: float) -> str:
    """Return what is wrong with a learning rate above the largest."""
    return (
        f"learning_rate {rate:g} is above {largest:g}: AdamW moves every weight by up to the learning rate "
        "in each step, and weights are far below 1; rates from 1e-6 to 1e-2 are usual"
    )


def _impossible_steps(training: "Training") -> str | None:
    steps, rate = training.optimizer_steps, training.learning_rate
    if training.warmup_steps >= steps:
        return (
            f"warmup_steps {training.warmup_steps} leaves none of the {steps} optimizer steps "
            "(steps x updates_per_step) at the full learning rate; choose fewer, or more steps"
        )
    if rate > LARGEST_RATE:
        return too_fast(rate, LARGEST_RATE)
    if rate * training.weight_decay >= 1:
        return (
            f"weight_decay {training.weight_decay:g}: times the learning rate {rate:g} it is 1 or more, so "
            "that each step would take away all of every weight; usual are 0 to 0.1"
        )
    if training.updates_per_step > training.prompts_per_step:
        return (
            f"updates_per_step {training.updates_per_step} is above prompts_per_step "
            f"{training.prompts_per_step}: an update needs at least one group; choose fewer updates, or more "
            "prompts"
        )
    return _impossible_sync(training)


def _impossible_sync(training: "Training") -> str | None:
    if training.engine == "vllm" and training.sync == "live":
        return (
            "sync: live is impossible with engine: vllm, which samples from weights of its own; use sync: "
            "merged (the default of that engine) or adapter, or engine: transformers"
        )
    sampled = {"rollout_dtype": training.dtype, "rollout_compute_dtype": None, "rounding": "nearest"}
    for key, only in sampled.items():
        if training.sync == "live" and (value := getattr(training, key)) != only:
            return (
                f"{key} {value} has no effect with sync: live, where the policy that is trained samples "
                f"itself, in dtype {training.dtype}; leave it out, or use sync: merged"
            )
    return None


def departures(configs: "Iterable[TrainConfig]") -> list[str]:
    """Return a line for every way in which an algorithm is not the one of its paper, with its runs."""
    places: dict[str, dict[str, None]] = {}
    for config in configs:
        training, where = config.training, f"{config.method}--{config.preset}--{config.setting}"
        brought = ALGORITHM_DEFAULTS[training.algorithm]
        changes = [
            f"with {key} {getattr(training, key):g} instead of its {brought[key]:g}"
            for key in ("clip_low", "clip_high")
            if getattr(training, key) != brought[key]
        ]
        if (training.dynamic_sampling is None) != (brought["dynamic_sampling"] is None):
            changes.append(
                "with dynamic sampling" if training.dynamic_sampling else "without its dynamic sampling"
            )
        for change in changes:
            places.setdefault(f"{training.algorithm} {change}", {})[where] = None
    return [f"Not as published: {change} in {', '.join(where)}" for change, where in places.items()]
