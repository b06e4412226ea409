"""BitFit: only the biases are trained."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from rlvr.errors import UserError
from rlvr.methods.base.layer_method import LayerMethod
from rlvr.methods.base.parameters import ModuleName, ModuleParameters
from rlvr.methods.base.shapes import ModelShape, Targets, linear_layers
from rlvr.methods.base.targets import refusal
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from torch import nn

    from rlvr.methods.layers.bitfit import ShiftedLinear


class BitFitParameters(ModuleParameters):
    """Settings of BitFit."""

    target_modules: Literal["all"] | Annotated[tuple[ModuleName, ...], Field(min_length=1)] = "all"
    """Linear layers of the decoder blocks whose bias is trained; `all`: every one that has a bias (in a Qwen2
    queries, keys and values)."""


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

    def check_fit(self, shape: ModelShape) -> None:
        """Refuse layers without a bias (most Llama models have none), and `all` where that would be less."""
        chosen = self.parameters.target_modules
        biased = list(
            dict.fromkeys(name.rpartition(".")[2] for name in shape.linear if shape.linear[name].bias)
        )
        if chosen == "all":
            faults = [] if biased else ["no linear layer of the blocks has a bias"]
            if shape.others:
                other = ", ".join(dict.fromkeys(map(shape.in_block, shape.others)))
                faults.append(f"`all` does not cover matrices that are no linear layers: {other}")
        else:
            faults = [
                f"{name} has no bias"
                for name in chosen
                if not (found := linear_layers(shape, (name,))) or found.keys() - _biased(shape, (name,))
            ]
        if faults:
            known = f"[{', '.join(biased)}]" if biased else "none"
            way_out = f"Choose target_modules among the layers with a bias ({known}), or another method."
            raise UserError(refusal(self.name, shape, faults, way_out))

    def declared_modules(self, shape: ModelShape) -> set[str]:
        """Return the chosen layers; with `all`, those that have a bias."""
        return _biased(shape, self.parameters.target_modules)

    def make_layer(self, linear: "nn.Linear", total_steps: int) -> "ShiftedLinear":
        """Return a layer that trains its bias."""
        from rlvr.methods.layers.bitfit import ShiftedLinear

        return ShiftedLinear(linear)

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return out, summed over the adapted layers."""
        return sum(shape.linear[name].outputs for name in self.declared_modules(shape))


def _biased(shape: ModelShape, names: Targets) -> set[str]:
    return {name for name in linear_layers(shape, names) if shape.linear[name].bias}
