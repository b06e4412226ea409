"""BOFT: small rotations of the input and one factor for every output."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from pydantic import Field

from rlvr.methods.base.parameters import ModuleName, TargetedParameters
from rlvr.methods.base.requirements import DIVIDES_INPUTS
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import BOFTConfig
    from torch import nn
    from transformers import PreTrainedModel


class BoftParameters(TargetedParameters):
    """Settings of BOFT."""

    block_size: Annotated[int, Field(ge=2, multiple_of=2)] = 4
    """Input features that are rotated together; must divide the inputs of every adapted layer."""
    target_modules: Annotated[tuple[ModuleName, ...], Field(min_length=1)] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
    )
    """Adapted linear layers of every decoder block; `down_proj` only on small models, as PEFT makes every
    rotation a dense [in, in] matrix (1.4 GB per layer at 7B)."""


@register
class Boft(PeftMethod):
    """diag(s) W0 R^T with R of one butterfly factor.

    PEFT has more factors only where it can compile for CUDA; elsewhere it silently uses one.
    """

    name = "boft"
    category = "Other"
    citation = (
        "Liu et al., Parameter-Efficient Orthogonal Finetuning via Butterfly Factorization, arXiv 2311.06243"
    )
    formula = "W = diag(s) W0 R^T, R block-diagonal, blocks (I - Q)(I + Q)^-1 with Q = -Q^T"
    requirements: ClassVar = {"block_size": DIVIDES_INPUTS}
    small_settings: ClassVar = {"target_modules": ("q_proj", "v_proj", "o_proj", "down_proj")}
    parameters: BoftParameters

    def peft_config(self) -> "BOFTConfig":
        """Return the configuration with one butterfly factor, which means the same on every machine."""
        from peft import BOFTConfig

        return BOFTConfig(
            task_type="CAUSAL_LM",
            boft_block_size=self.parameters.block_size,
            boft_n_butterfly_factor=1,
            target_modules=list(self.parameters.target_modules),
        )

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject the adapter; layers with equally many inputs share one dense permutation."""
        from rlvr.methods.base.peft_layers import nothing_compiled

        with nothing_compiled():
            policy = super().wrap(model, total_steps, seed)
        shared: dict[int, Any] = {}
        for _, layer in self.adapted_layers(policy):
            tuner = cast(Any, layer)
            tuner.boft_P = shared.setdefault(tuner.in_features, tuner.boft_P)
        return policy

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return in x b + out, summed over the adapted layers; PEFT trains all b x b entries of a block."""
        shapes = linear_layers(shape, self.parameters.target_modules).values()
        return sum(inputs * self.parameters.block_size + outputs for inputs, outputs in shapes)
