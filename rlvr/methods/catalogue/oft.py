"""OFT: small blocks of the input are rotated."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import DIVIDES_INPUTS
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import OFTConfig


class OftParameters(TargetedParameters):
    """Settings of OFT."""

    block_size: Annotated[int, Field(ge=2)] = 32
    """Input features that are rotated together; must divide the inputs of every adapted layer."""


@register
class Oft(PeftMethod):
    """W0 R^T with a rotation of every block of inputs, the Cayley transform as a series (OFTv2)."""

    name = "oft"
    category = "Other"
    citation = (
        "Qiu et al., Controlling Text-to-Image Diffusion by Orthogonal Finetuning, arXiv 2306.07280; "
        "in the form of OFTv2, arXiv 2506.19847"
    )
    formula = "W = W0 R^T, R block-diagonal, blocks I + 2 Q + 2 Q^2 + 2 Q^3 + Q^4 with Q = -Q^T"
    requirements: ClassVar = {"block_size": DIVIDES_INPUTS}
    small_settings: ClassVar = {"block_size": 8}
    parameters: OftParameters

    def peft_config(self) -> "OFTConfig":
        """Return the configuration with PEFT's default, the Cayley transform as a Neumann series."""
        from peft import OFTConfig

        return OFTConfig(
            task_type="CAUSAL_LM",
            oft_block_size=self.parameters.block_size,
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return in (b - 1) / 2, the entries above the diagonal of in / b blocks, summed over the layers."""
        shapes = linear_layers(shape, self.parameters.target_modules).values()
        block = self.parameters.block_size
        return sum(inputs // block * (block * (block - 1) // 2) for inputs, _ in shapes)
