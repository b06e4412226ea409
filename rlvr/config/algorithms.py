"""What an algorithm brings along, what cannot work, and where a plan departs from the papers."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rlvr.config.resolved import TrainConfig
    from rlvr.config.schema import Training

Algorithm = Literal["dapo", "grpo", "dr_grpo"]

ALGORITHM_DEFAULTS: dict[Algorithm, dict[str, Any]] = {
    "dapo": {"clip_high": 0.28, "dynamic_sampling": {}},
    "grpo": {"clip_high": 0.2, "dynamic_sampling": None},
    "dr_grpo": {"clip_high": 0.2, "dynamic_sampling": None},
}
"""Keys of `training` that an algorithm sets where the configuration does not.

DAPO: arXiv 2503.14476, sections 3.1, 3.2 and 4.1. GRPO (arXiv 2402.03300, Eq. 3) clips by one range on both
sides, 0.2 as DAPO's section 3.1 has it, and keeps every group. Dr.GRPO changes only loss and advantage of
GRPO (arXiv 2503.20783, section 3.2).
"""


def impossible(training: "Training") -> str | None:
    """Return why a training cannot work as configured, or None."""
    sampling, steps = training.sampling, training.optimizer_steps
    if sampling.top_p < 1:
        return (
            f"sampling.top_p {sampling.top_p:g}: the loss takes probabilities over the whole vocabulary, and "
            "a token sampled from a nucleus has another one; leave top_p at 1"
        )
    if training.warmup_steps >= steps:
        return (
            f"warmup_steps {training.warmup_steps} leaves none of the {steps} optimizer steps "
            "(steps x updates_per_step) at the full learning rate"
        )
    tokens = training.soft_overlong.buffer_tokens if training.soft_overlong else 0
    if tokens > sampling.max_new_tokens:
        return (
            f"soft_overlong.buffer_tokens {tokens} is above sampling.max_new_tokens {sampling.max_new_tokens}"
        )
    return _rounds_what_is_not_sent(training)


def _rounds_what_is_not_sent(training: "Training") -> str | None:
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
        changes = []
        if training.clip_high != brought["clip_high"]:
            changes.append(f"with clip_high {training.clip_high:g} instead of its {brought['clip_high']:g}")
        if (training.dynamic_sampling is None) != (brought["dynamic_sampling"] is None):
            changes.append(
                "with dynamic sampling" if training.dynamic_sampling else "without its dynamic sampling"
            )
        for change in changes:
            places.setdefault(f"{training.algorithm} {change}", {})[where] = None
    return [f"Not as published: {change} in {', '.join(where)}" for change, where in places.items()]
