"""SHiRA: a few entries of every weight are trained."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveInt

from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import Requirement
from rlvr.methods.base.shapes import ModelShape, total_sides
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import ShiraConfig


class ShiraParameters(TargetedParameters):
    """Settings of SHiRA."""

    rank: PositiveInt = 32
    """As many entries are trained as LoRA of this rank has; the update's own rank is not limited."""


@register
class Shira(PeftMethod):
    """W0 + S, S zero but for trained entries at random places that start at zero (SHiRA-Rand).

    On a bfloat16 base PEFT adds S to the weight before it multiplies, so the policy is rounded as
    the engine's merged weights are.
    """

    name = "shira"
    category = "Structural"
    citation = "Bhardwaj et al., Sparse High Rank Adapters, arXiv 2406.13175"
    formula = "W = W0 + S, S zero but for r (in + out) entries at random, fixed places"
    requirements: ClassVar = {
        "rank": Requirement(
            "leave rank x (inputs + outputs) at most the entries of the weight",
            lambda rank, inputs, outputs: rank * (inputs + outputs) <= inputs * outputs,
        )
    }
    seed_field = "random_seed"
    parameters: ShiraParameters

    def peft_config(self) -> "ShiraConfig":
        """Return the configuration; the places follow from the training seed and are saved."""
        from peft import ShiraConfig

        return ShiraConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r (in + out), summed over the adapted layers."""
        return total_sides(shape, self.parameters.target_modules) * self.parameters.rank
