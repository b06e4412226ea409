"""IA3: one learned factor for every activation."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from rlvr.methods.base.parameters import ModuleName, TargetedParameters
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import IA3Config


class Ia3Parameters(TargetedParameters):
    """Settings of IA3."""

    target_modules: Annotated[tuple[ModuleName, ...], Field(min_length=1)] = ("k_proj", "v_proj", "down_proj")
    """Adapted linear layers: keys, values and the feed-forward part (IA3, section 3.3)."""
    feedforward_modules: tuple[ModuleName, ...] = ("down_proj",)
    """Those of `target_modules` whose input is scaled; of the others it is the output, bias and all."""

    @model_validator(mode="after")
    def _feedforward_modules_are_targets(self) -> "Ia3Parameters":
        if stray := set(self.feedforward_modules) - set(self.target_modules):
            raise ValueError(f"feedforward_modules: {sorted(stray)[0]} is not among target_modules")
        return self


@register
class Ia3(PeftMethod):
    """Scales keys, values and feed-forward activations by learned vectors that start at one."""

    name = "ia3"
    category = "Other"
    citation = (
        "Liu et al., Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context "
        "Learning, arXiv 2205.05638"
    )
    formula = "W = diag(l) W0 for keys and values, W = W0 diag(l) for the feed-forward output"
    parameters: Ia3Parameters

    def peft_config(self) -> "IA3Config":
        """Return the configuration."""
        from peft import IA3Config

        return IA3Config(
            task_type="CAUSAL_LM",
            target_modules=list(self.parameters.target_modules),
            feedforward_modules=list(self.parameters.feedforward_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return in for the feed-forward layers and out for the others, summed."""
        layers = linear_layers(shape, self.parameters.target_modules)
        return sum(
            inputs if name.endswith(self.parameters.feedforward_modules) else outputs
            for name, (inputs, outputs) in layers.items()
        )
