"""PEANuT: the update is computed from the base weight by a small network."""

from typing import TYPE_CHECKING, cast

from pydantic import PositiveFloat, PositiveInt

from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.shapes import ModelShape, total_outputs
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import PeanutConfig
    from peft.tuners.peanut.layer import PeanutLayer
    from torch import Tensor, nn


class PeanutParameters(TargetedParameters):
    """Settings of PEANuT."""

    rank: PositiveInt = 32
    """Width r of the network's hidden layer."""
    scale: PositiveFloat = 2.0
    """Factor of the update, as alpha / rank is LoRA's."""


@register
class Peanut(PeftMethod):
    """W0 + s B relu(A W0): a network of one hidden layer reads the columns of W0; B = 0 at the start."""

    name = "peanut"
    category = "Structural"
    citation = (
        "Zhong et al., PEANuT: Parameter-Efficient Adaptation with Weight-aware Neural Tweakers, "
        "arXiv 2410.01870"
    )
    formula = "W = W0 + s B relu(A W0)"
    exact_lora = True
    parameters: PeanutParameters

    def peft_config(self) -> "PeanutConfig":
        """Return the configuration without further hidden layers, PEFT's default."""
        from peft import PeanutConfig

        return PeanutConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            scaling=self.parameters.scale,
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return 2 r x out, summed over the adapted layers: A reads the columns of W0."""
        return 2 * total_outputs(shape, self.parameters.target_modules) * self.parameters.rank

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return relu(A W0) and s B."""
        tuner = cast("PeanutLayer", layer)
        read, write = (
            cast("nn.Linear", part["default"]).weight.detach() for part in (tuner.peanut_A, tuner.peanut_B)
        )
        hidden = (read @ self.base_weights(layer)["weight"].to(read)).relu()
        return hidden, tuner.scaling["default"] * write
