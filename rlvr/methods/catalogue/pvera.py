"""PVeRA: VeRA with random hidden activations in training."""

from typing import TYPE_CHECKING

from pydantic import PositiveFloat, PositiveInt

from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.catalogue.vera import scaled_projections
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import PveraConfig
    from torch import Tensor, nn


class PveraParameters(DropoutParameters):
    """Settings of PVeRA."""

    rank: PositiveInt = 256
    """Number r of hidden activations, each with a mean and a variance."""
    initial_scale: PositiveFloat = 0.1
    """Start of every entry of d (d_initial)."""


@register
class Pvera(PeftMethod):
    """VeRA with z ~ N(diag(d) A x, exp(diag(e) C x)) in training and its mean otherwise; b = 0 at the start.

    The noise enters the probabilities of the trained policy, as dropout does; what is merged is the mean.
    """

    name = "pvera"
    category = "Efficiency"
    citation = "Fillioux et al., PVeRA: Probabilistic Vector-Based Random Matrix Adaptation, arXiv 2512.07703"
    formula = "W = W0 + diag(b) B diag(d) A in the mean, A and B random, frozen and shared by all layers"
    exact_lora = True
    stochastic = True
    seed_field = "projection_prng_key"
    parameters: PveraParameters

    def peft_config(self) -> "PveraConfig":
        """Return the configuration; the random matrices are saved with the adapter."""
        from peft import PveraConfig

        return PveraConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            d_initial=self.parameters.initial_scale,
            pvera_dropout=self.parameters.dropout,
            save_projection=True,
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return 2 r + out, summed over the adapted layers."""
        shapes = linear_layers(shape, self.parameters.target_modules).values()
        return sum(2 * self.parameters.rank + outputs for _, outputs in shapes)

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return diag(d) A and diag(b) B of the mean, the shared matrices restricted to the layer's size."""
        return scaled_projections(layer, "pvera")
