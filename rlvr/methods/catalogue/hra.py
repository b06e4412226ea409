"""HRA: the base is turned by a chain of reflections."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from rlvr.config import Settings
from rlvr.methods.registry import register
from rlvr.methods.shapes import ALL_LINEAR, LinearName, linear_layers
from rlvr.methods.spec import PeftMethod

if TYPE_CHECKING:
    from peft import HRAConfig
    from transformers import PretrainedConfig


class HraParameters(Settings):
    """Settings of HRA."""

    rank: Annotated[int, Field(gt=0, multiple_of=2)] = 32
    """Number of reflections r; even, so that they can start in pairs that undo each other."""
    target_modules: Annotated[tuple[LinearName, ...], Field(min_length=1)] = ALL_LINEAR
    """Adapted linear layers of every decoder block."""


@register
class Hra(PeftMethod):
    """W0 times r Householder reflections; they start in equal pairs, which undo each other."""

    name = "hra"
    category = "Other"
    citation = (
        "Yuan et al., Bridging The Gap between Low-rank and Orthogonal Adaptation via Householder Reflection "
        "Adaptation, arXiv 2405.17484"
    )
    formula = "W = W0 (I - 2 u_1 u_1^T) ... (I - 2 u_r u_r^T), |u_i| = 1"
    Parameters = HraParameters

    def peft_config(self, parameters: Any) -> "HRAConfig":
        """Return the configuration, without Gram-Schmidt orthogonalisation."""
        from peft import HRAConfig

        return HRAConfig(
            task_type="CAUSAL_LM", r=parameters.rank, target_modules=list(parameters.target_modules)
        )

    def expected_parameters(self, config: "PretrainedConfig", parameters: Any) -> int:
        """Return r x in, summed over the adapted layers."""
        shapes = linear_layers(config, parameters.target_modules).values()
        return parameters.rank * sum(inputs for inputs, _ in shapes)
