"""RoAd: outputs are rotated and scaled in pairs."""

from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import Field

from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import DIVIDES_OUTPUTS
from rlvr.methods.base.shapes import ModelShape, total_outputs
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import RoadConfig
    from peft.tuners.road.layer import RoadLayer
    from torch import Tensor, nn


class RoadParameters(TargetedParameters):
    """Settings of RoAd."""

    group_size: Annotated[int, Field(gt=0, multiple_of=2)] = 64
    """Outputs are paired within groups of this size, which must divide them; only the speed depends on it."""


@register
class Road(PeftMethod):
    """RoAd_1: one angle and one scale for every pair of outputs, zero and one at the start (RoAd, Eq. 4)."""

    name = "road"
    category = "Other"
    citation = (
        "Liao and Monz, 3-in-1: 2D Rotary Adaptation for Efficient Finetuning, Efficient Batching and "
        "Composability, arXiv 2409.00119"
    )
    formula = "W = R W0 and b = R b0, R block diagonal of alpha [[cos t, -sin t], [sin t, cos t]]"
    requirements: ClassVar = {"group_size": DIVIDES_OUTPUTS}
    small_settings: ClassVar = {"group_size": 16}
    parameters: RoadParameters

    def peft_config(self) -> "RoadConfig":
        """Return the configuration of the variant with fewest parameters, PEFT's default."""
        from peft import RoadConfig

        return RoadConfig(
            task_type="CAUSAL_LM",
            variant="road_1",
            group_size=self.parameters.group_size,
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return out (an angle and a scale for two outputs), summed over the adapted layers."""
        return total_outputs(shape, self.parameters.target_modules)

    def merged(self, layer: "nn.Module") -> "dict[str, Tensor]":
        """Rotate the rows in pairs; PEFT multiplies by a dense R [out, out], gigabytes for a 7B model."""
        import torch

        tuner = cast("RoadLayer", layer)
        half = tuner.group_size["default"] // 2
        theta, alpha = (part["default"].detach().float() for part in (tuner.road_theta, tuner.road_alpha))
        along, across = ((alpha * part).reshape(-1, half, 1) for part in (theta.cos(), theta.sin()))
        rotated = {}
        for name, tensor in self.base_weights(layer).items():
            first, second = tensor.float().reshape(len(along), 2, half, -1).unbind(1)
            pair = (along * first - across * second, across * first + along * second)
            rotated[name] = torch.stack(pair, dim=1).reshape(tensor.shape)
        return rotated
