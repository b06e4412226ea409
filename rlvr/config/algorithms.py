"""What an algorithm brings along, and where a plan departs from it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rlvr.config.resolved import TrainConfig

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
