"""DEFT: a subspace of the base is projected out and replaced by a trained one."""

from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import PositiveFloat, PositiveInt

from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.requirements import AT_MOST_OUTPUTS
from rlvr.methods.base.shapes import ModelShape, total_sides
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import DeftConfig
    from peft.tuners.deft.layer import DeftLayer
    from torch import Tensor, nn
    from transformers import PreTrainedModel


class DeftParameters(DropoutParameters):
    """Settings of DEFT."""

    rank: PositiveInt = 32
    """Dimension r of the subspace."""
    alpha: PositiveFloat = 128
    """The replacement is scaled by alpha / rank."""


@register
class Deft(PeftMethod):
    """(I - P relu(P)^T) W0 + (alpha/r) P R, where R starts at the part projected out."""

    name = "deft"
    category = "Structural"
    citation = (
        "Kumar et al., DEFT: Decompositional Efficient Fine-Tuning for Text-to-Image Models, arXiv 2509.22793"
    )
    formula = "W = W0 + P ((alpha/r) R - relu(P)^T W0), R = (r/alpha) relu(P)^T W0 at the start"
    exact_lora = True
    requirements: ClassVar = {"rank": AT_MOST_OUTPUTS}
    parameters: DeftParameters

    def peft_config(self) -> "DeftConfig":
        """Return the configuration; the projection by ReLU is the authors' and PEFT's default."""
        from peft import DeftConfig

        return DeftConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            alpha=self.parameters.alpha,  # type: ignore[arg-type]  # PEFT takes any number
            deft_dropout=self.parameters.dropout,
            target_modules=list(self.parameters.target_modules),
        )

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject the adapter and set R again, in float32.

        PEFT rounds R to the base's precision: in bfloat16 the policy would start a training step away from
        the base.
        """
        policy = super().wrap(model, total_steps, seed)
        for _, layer in self.adapted_layers(policy):
            tuner = cast("DeftLayer", layer)
            tuner.deft_R["default"].data = self._projected_out(tuner) / tuner.deft_scaling["default"]
        return policy

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r (in + out), summed over the adapted layers."""
        return total_sides(shape, self.parameters.target_modules) * self.parameters.rank

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return (alpha/r) R - relu(P)^T W0 and P."""
        tuner = cast("DeftLayer", layer)
        filled = tuner.deft_scaling["default"] * tuner.deft_R["default"].detach()
        return filled - self._projected_out(tuner), tuner.deft_P["default"].detach()

    def _projected_out(self, layer: "DeftLayer") -> "Tensor":
        weight = self.base_weights(cast("nn.Module", layer))["weight"]
        return layer.deft_P["default"].detach().float().relu().T @ weight.float()
