"""LoKr: the update is the Kronecker product of a small and a large matrix."""

import math
from typing import TYPE_CHECKING

from pydantic import PositiveFloat, PositiveInt

from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import LoKrConfig


class LokrParameters(TargetedParameters):
    """Settings of LoKr."""

    rank: PositiveInt = 32
    """Rank r of the larger of the two matrices, where twice the rank is below its longer side."""
    alpha: PositiveFloat = 64
    """The update is scaled by alpha / rank."""


@register
class Lokr(PeftMethod):
    """W0 + s C x (B A), C = 0 at the start.

    The sides of C and of B A are the two divisors of a side of W0 that are nearest to each other.
    """

    name = "lokr"
    category = "Structural"
    citation = (
        "Yeh et al., Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation, "
        "arXiv 2309.14859"
    )
    formula = "W = W0 + (alpha/r) C x (B A), x the Kronecker product"
    parameters: LokrParameters

    def peft_config(self) -> "LoKrConfig":
        """Return the configuration with C in full and the sides chosen by PEFT's default."""
        from peft import LoKrConfig

        return LoKrConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            alpha=self.parameters.alpha,  # type: ignore[arg-type]  # PEFT takes any number
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return the entries of C and of B and A (or of B A in full, where that is not larger), summed."""
        shapes = linear_layers(shape, self.parameters.target_modules).values()
        return sum(_parameters(inputs, outputs, self.parameters.rank) for inputs, outputs in shapes)


def _parameters(inputs: int, outputs: int, rank: int) -> int:
    (short_in, long_in), (short_out, long_out) = _divisors(inputs), _divisors(outputs)
    in_full = 2 * rank >= max(long_in, long_out)
    return short_in * short_out + (long_in * long_out if in_full else rank * (long_in + long_out))


def _divisors(size: int) -> tuple[int, int]:
    """Return the two divisors with product ``size`` that are nearest to each other, the smaller first."""
    short = max(divisor for divisor in range(1, math.isqrt(size) + 1) if size % divisor == 0)
    return short, size // short
