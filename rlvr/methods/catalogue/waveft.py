"""WaveFT: a few wavelet coefficients of the update are trained."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveFloat, PositiveInt

from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import AT_MOST_ENTRIES
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import WaveFTConfig


class WaveFtParameters(TargetedParameters):
    """Settings of WaveFT."""

    coefficients: PositiveInt = 2592
    """Trained coefficients n of every layer."""
    scale: PositiveFloat = 25
    """Factor of the update."""


@register
class WaveFt(PeftMethod):
    """W0 + s IDWT(C), C zero but for n trained entries at random places that start at zero (WaveFT)."""

    name = "waveft"
    category = "Efficiency"
    citation = (
        "Bilican et al., Exploring Sparsity for Parameter Efficient Fine Tuning Using Wavelets, "
        "arXiv 2505.12532"
    )
    formula = "W = W0 + scale IDWT(C), Haar wavelets, C zero but for n entries at random, fixed places"
    requirements: ClassVar = {"coefficients": AT_MOST_ENTRIES}
    small_settings: ClassVar = {"coefficients": 200}
    seed_field = "random_loc_seed"
    parameters: WaveFtParameters

    def peft_config(self) -> "WaveFTConfig":
        """Return the configuration; the places follow from the training seed and are not saved."""
        from peft import WaveFTConfig

        return WaveFTConfig(
            task_type="CAUSAL_LM",
            n_frequency=self.parameters.coefficients,
            scaling=self.parameters.scale,
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return n for every adapted layer."""
        return self.parameters.coefficients * len(linear_layers(shape, self.parameters.target_modules))
