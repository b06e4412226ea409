"""BitFit: only the biases are trained."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from rlvr.errors import UserError
from rlvr.methods.base.layer_method import LayerMethod
from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.shapes import LinearName, biased_names, total_outputs
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig

    from rlvr.methods.layers.bitfit import ShiftedLinear


class BitFitParameters(TargetedParameters):
    """Settings of BitFit."""

    target_modules: Annotated[tuple[LinearName, ...], Field(min_length=1)] = ("q_proj", "k_proj", "v_proj")
    """Linear layers whose bias is trained; by default all that have one in a Qwen2."""


@register
class BitFit(LayerMethod):
    """b0 + d with d trained and zero at the start (BitFit, section 3).

    PEFT has no such adapter, so a run is exported as a whole model. Weight decay pulls a bias towards b0, in
    the paper's form towards zero.
    """

    name = "bitfit"
    category = "Efficiency"
    citation = (
        "Ben Zaken et al., BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked "
        "Language-models, arXiv 2106.10199"
    )
    formula = "W = W0, b = b0 + d"
    parameters: BitFitParameters

    def check_fit(self, model_config: "PretrainedConfig") -> None:
        """Refuse layers without a bias; most Llama models have none at all."""
        biased = biased_names(model_config)
        for name in self.parameters.target_modules:
            if name not in biased:
                raise UserError(
                    f"method {self.name!r}: target_modules: {name} has no bias in this "
                    f"{model_config.model_type} model; choose among the layers that have one "
                    f"({', '.join(biased) or 'none'}), or another method"
                )

    def make_layer(self, linear: "nn.Linear", total_steps: int) -> "ShiftedLinear":
        """Return a layer that trains its bias."""
        from rlvr.methods.layers.bitfit import ShiftedLinear

        return ShiftedLinear(linear)

    def expected_parameters(self, model_config: "PretrainedConfig") -> int:
        """Return out, summed over the adapted layers."""
        return total_outputs(model_config, self.parameters.target_modules)
