"""Uni-LoRA: one vector, from which all entries of all A and B are taken."""

from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import PositiveInt

from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.frozen_start import INITIAL, TRAINED, add_frozen_start, summed_factors
from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.shapes import ModelShape
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import PeftModel, UniLoraConfig
    from torch import Tensor, nn
    from transformers import PreTrainedModel


class UniLoraParameters(DropoutParameters):
    """Settings of Uni-LoRA."""

    rank: PositiveInt = 4
    """Inner dimension r of the LoRA whose entries are taken from the vector."""
    vector_length: PositiveInt = 131_072
    """Length d of the trained vector."""


@register
class UniLora(ExportedAsLora, PeftMethod):
    """LoRA whose entries are entries of one vector, repeated n_k times and scaled by 1 / sqrt(n_k).

    The vector cannot start at zero, where all gradients vanish, so PEFT's policy does not start as the base.
    Here a second, frozen adapter subtracts the start, as for PiSSA.
    """

    name = "unilora"
    category = "Efficiency"
    citation = "Li et al., Uni-LoRA: One Vector is All You Need, arXiv 2506.00799"
    formula = "W = W0 + B A - B0 A0, all entries of all A and B taken from one vector, B0 A0 its start"
    small_settings: ClassVar = {"vector_length": 96}
    seed_field = "proj_seed"
    parameters: UniLoraParameters

    def peft_config(self) -> "UniLoraConfig":
        """Return the configuration; the training seed decides which entry goes where."""
        from peft import UniLoraConfig

        return UniLoraConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            theta_d_length=self.parameters.vector_length,
            unilora_dropout=self.parameters.dropout,
            target_modules=list(self.parameters.target_modules),
        )

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject the trained adapter and its frozen start with the opposite sign."""
        policy = cast("PeftModel", super().wrap(model, total_steps, seed))
        add_frozen_start(policy, self.with_settings(dropout=0.0).seeded_config(seed))
        vectors = cast(Any, policy.base_model).unilora_theta_d
        vectors[INITIAL].data.copy_(vectors[TRAINED].data)
        for _, layer in self.adapted_layers(policy):
            scales = cast(Any, layer).unilora_scales_B
            scales[INITIAL] = -scales[TRAINED]
        return policy

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return d: the vector is shared by all layers."""
        return self.parameters.vector_length

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return the factors of rank 2 r on the original base."""
        tuner = cast(Any, layer)
        return summed_factors(tuner._get_lora_matrices(adapter) for adapter in (TRAINED, INITIAL))
