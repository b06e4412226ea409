"""MiSS-bat: every block of the base is multiplied by a small matrix and shifted by it."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveInt

from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import DIVIDES_BOTH
from rlvr.methods.base.shapes import ModelShape, total_outputs
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import MissConfig


class MissBatParameters(TargetedParameters):
    """Settings of MiSS-bat."""

    rank: PositiveInt = 64
    """Width and height r of a block; must divide the inputs and outputs of every adapted layer."""


@register
class MissBat(PeftMethod):
    """W0 in r x r blocks; all blocks of a row of blocks share one matrix, which starts at zero."""

    name = "miss_bat"
    category = "Structural"
    citation = (
        "Kang et al., MiSS: Balancing LoRA Performance and Efficiency with Simple Shard Sharing, "
        "arXiv 2409.15371"
    )
    formula = "W_ij = W0_ij + W0_ij D_i + D_i for every r x r block ij"
    requirements: ClassVar = {"rank": DIVIDES_BOTH}
    parameters: MissBatParameters

    def peft_config(self) -> "MissConfig":
        """Return the configuration; PEFT has no dropout for this variant."""
        from peft import MissConfig

        return MissConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            init_weights="bat",
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r x out, summed over the adapted layers."""
        return total_outputs(shape, self.parameters.target_modules) * self.parameters.rank
