"""DeLoRA: LoRA whose strength is one trained number, separate from its directions."""

from typing import TYPE_CHECKING, cast

from pydantic import PositiveFloat, PositiveInt

from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.frozen_start import INITIAL, TRAINED, add_frozen_start, summed_factors
from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.shapes import ModelShape, linear_layers, total_sides
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import DeloraConfig, PeftModel
    from peft.tuners.delora.layer import DeloraLayer
    from torch import Tensor, nn
    from transformers import PreTrainedModel


class DeloraParameters(DropoutParameters):
    """Settings of DeLoRA."""

    rank: PositiveInt = 32
    """Inner dimension r."""
    strength: PositiveFloat = 15
    """Start of lambda, which bounds the norm of the update."""


@register
class Delora(ExportedAsLora, PeftMethod):
    """W0 + D - D0 with D the normalised update and D0 its random start, a second, frozen adapter.

    PEFT starts from B = 0 instead. As D does not depend on the length of B, the first step, however small,
    then jumps to full strength.
    """

    name = "delora"
    category = "Structural"
    citation = "Bini et al., Decoupling Angles and Strength in Low-rank Adaptation, arXiv 2503.18225"
    formula = (
        "W = W0 + D - D0, D = (lambda/r) B diag(1 / (|b_i| |a_i|)) A diag(n), n = norms of W0's columns, "
        "D0 = D at the start"
    )
    parameters: DeloraParameters

    def peft_config(self) -> "DeloraConfig":
        """Return the configuration with A and B random."""
        from peft import DeloraConfig

        return DeloraConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            delora_lambda=self.parameters.strength,  # type: ignore[arg-type]  # PEFT takes any number
            module_dropout=self.parameters.dropout,
            init_weights=False,
            target_modules=list(self.parameters.target_modules),
        )

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject the trained adapter and its frozen start with opposite sign."""
        policy = cast("PeftModel", super().wrap(model, total_steps, seed))
        add_frozen_start(policy, self.with_settings(dropout=0.0).peft_config())
        for _, layer in self.adapted_layers(policy):
            tuner = cast("DeloraLayer", layer)
            tuner.delora_A[INITIAL].data.copy_(tuner.delora_A[TRAINED].data)
            tuner.delora_B[INITIAL].data.copy_(-tuner.delora_B[TRAINED].data)
        return policy

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r (in + out) and one strength, summed over the adapted layers."""
        names = self.parameters.target_modules
        layers = len(linear_layers(shape, names))
        return total_sides(shape, names) * self.parameters.rank + layers

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return the factors of rank 2 r, strength and norms in them."""
        tuner = cast("DeloraLayer", layer)
        return summed_factors(_factors(tuner, adapter) for adapter in (TRAINED, INITIAL))


def _factors(layer: "DeloraLayer", adapter: str) -> "tuple[Tensor, Tensor]":
    down, up = layer.delora_A[adapter], layer.delora_B[adapter]
    norms = down.norm(dim=1).clamp(min=1e-4) * up.norm(dim=0).clamp(min=1e-4)  # PEFT's guard against zero
    strength = layer.delora_lambda[adapter] / layer.r[adapter] / norms
    return down * layer.delora_w_norm[adapter], up * strength
