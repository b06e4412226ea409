"""MiSS: the update of a layer is one small matrix, repeated along the input."""

from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import PositiveInt

from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.requirements import AT_MOST_INPUTS
from rlvr.methods.base.shapes import ModelShape, total_outputs
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import MissConfig
    from peft.tuners.miss.layer import MissLayer
    from torch import Tensor, nn


class MissParameters(DropoutParameters):
    """Settings of MiSS."""

    rank: PositiveInt = 64
    """Rows of the shared matrix D; the input is split into shards of this width."""


@register
class Miss(PeftMethod):
    """W0 + expand(D): input features i and i + r share a row of D [r, out], which starts at zero."""

    name = "miss"
    category = "Structural"
    citation = (
        "Kang et al., MiSS: Balancing LoRA Performance and Efficiency with Simple Shard Sharing, "
        "arXiv 2409.15371"
    )
    formula = "W = W0 + D^T S, S [r, in] fixed: S[i, j] = 1 where j mod r = i"
    exact_lora = True
    requirements: ClassVar = {"rank": AT_MOST_INPUTS}
    parameters: MissParameters

    def peft_config(self) -> "MissConfig":
        """Return the default (efficient) form of MiSS."""
        from peft import MissConfig

        return MissConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            miss_dropout=self.parameters.dropout,
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r x out, summed over the adapted layers."""
        return total_outputs(shape, self.parameters.target_modules) * self.parameters.rank

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return S, all zeros and ones, and D transposed."""
        import torch

        tuner = cast("MissLayer", layer)
        block = tuner.miss_block["default"].detach()
        columns = torch.arange(tuner.in_features, device=block.device)
        rows = torch.arange(len(block), device=block.device)
        return (columns % len(block) == rows[:, None]).to(block.dtype), block.T
