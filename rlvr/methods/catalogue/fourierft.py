"""FourierFT: a few frequencies of the update are trained."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveFloat, PositiveInt

from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import AT_MOST_ENTRIES
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import FourierFTConfig


class FourierFtParameters(TargetedParameters):
    """Settings of FourierFT."""

    frequencies: PositiveInt = 1000
    """Trained coefficients n of every layer."""
    scale: PositiveFloat = 300
    """Factor of the update; the authors' value for the LLaMA family."""


@register
class FourierFt(PeftMethod):
    """W0 + s Re(IDFT(F)), F zero but for n trained entries at random places (FourierFT, Eq. 2 to 4).

    F starts at zero, so that the untrained model is the base; the authors start from normal noise.
    """

    name = "fourierft"
    category = "Efficiency"
    citation = "Gao et al., Parameter-Efficient Fine-Tuning with Discrete Fourier Transform, arXiv 2405.03003"
    formula = "W = W0 + scale Re(IDFT(F)), F zero but for n entries at random, fixed places"
    requirements: ClassVar = {"frequencies": AT_MOST_ENTRIES}
    small_settings: ClassVar = {"frequencies": 200}
    seed_field = "random_loc_seed"
    parameters: FourierFtParameters

    def peft_config(self) -> "FourierFTConfig":
        """Return the configuration; the places follow from the training seed and are not saved."""
        from peft import FourierFTConfig

        return FourierFTConfig(
            task_type="CAUSAL_LM",
            n_frequency=self.parameters.frequencies,
            scaling=self.parameters.scale,
            init_weights=True,  # zeros; PEFT's default is noise
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return n for every adapted layer."""
        return self.parameters.frequencies * len(linear_layers(shape, self.parameters.target_modules))
