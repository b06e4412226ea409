"""Super-Tuning: the largest entries of every weight are trained."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import Requirement
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import SupertuningConfig


class SupertuningParameters(TargetedParameters):
    """Settings of Super-Tuning."""

    sparsity: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Share of a weight's entries that stay as they are."""
    largest: bool = True
    """Train the entries of largest magnitude; else those of smallest."""


@register
class Supertuning(PeftMethod):
    """W0 + S, S zero but for trained entries where W0 is largest (Super, magnitude-topk); they start at zero.

    The places are chosen once, from W0. On a bfloat16 base PEFT adds S to the weight before it multiplies, so
    the policy is rounded as the engine's merged weights are.
    """

    name = "supertuning"
    category = "Structural"
    citation = (
        "Ilin et al., Super-Tuning: From Activation-Aware Pruning to Sparse Fine-Tuning, arXiv 2607.09287"
    )
    formula = "W = W0 + S, S zero but for the places of the largest |W0|"
    requirements: ClassVar = {
        "sparsity": Requirement(
            "leave at least one entry of the weight",
            lambda value, inputs, outputs: _trained_entries(value, inputs, outputs) >= 1,
        )
    }
    parameters: SupertuningParameters

    def peft_config(self) -> "SupertuningConfig":
        """Return the configuration; the places are saved with the adapter."""
        from peft import SupertuningConfig

        return SupertuningConfig(
            task_type="CAUSAL_LM",
            sparsity=self.parameters.sparsity,
            select_top=self.parameters.largest,
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return in x out x (1 - sparsity), rounded down in each of the adapted layers."""
        shapes = linear_layers(shape, self.parameters.target_modules).values()
        return sum(_trained_entries(self.parameters.sparsity, *sides) for sides in shapes)


def _trained_entries(sparsity: float, inputs: int, outputs: int) -> int:
    return int(inputs * outputs * (1 - sparsity))
