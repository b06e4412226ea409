"""RandLoRA: scaled sums of random matrices that reach every rank."""

import math
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import PositiveFloat, PositiveInt

from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import RandLoraConfig
    from torch import Tensor, nn


class RandloraParameters(DropoutParameters):
    """Settings of RandLoRA."""

    rank: PositiveInt = 32
    """Rank r of every random product; the smaller, the more of them are summed and trained."""
    alpha: PositiveFloat = 640
    """The update is scaled by alpha / rank; the authors' value is 20 times the rank."""


@register
class Randlora(PeftMethod):
    """W0 + s sum_j B_j L_j A G_j, L_j and G_j diagonal, L_j = 0 at the start (RandLoRA, Eq. 3).

    A and B_j are random, frozen and shared by all layers; where out < in, the sum is transposed.
    """

    name = "randlora"
    category = "Structural"
    citation = (
        "Albert et al., RandLoRA: Full-rank parameter-efficient fine-tuning of large models, arXiv 2502.00987"
    )
    formula = "W = W0 + (alpha/r) sum_j B_j diag(l_j) A diag(g_j), A and all B_j random, frozen and shared"
    small_settings: ClassVar = {"rank": 5, "alpha": 100}
    seed_field = "projection_prng_key"
    parameters: RandloraParameters

    def peft_config(self) -> "RandLoraConfig":
        """Return the configuration; the random matrices are saved with the adapter."""
        from peft import RandLoraConfig

        return RandLoraConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            randlora_alpha=self.parameters.alpha,  # type: ignore[arg-type]  # PEFT takes any number
            randlora_dropout=self.parameters.dropout,
            save_projection=True,
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return n (r + m) with m = min(in, out) and n = m / r, rounded up, summed over the layers."""
        rank, shapes = self.parameters.rank, linear_layers(shape, self.parameters.target_modules)
        return sum(math.ceil(min(size) / rank) * (rank + min(size)) for size in shapes.values())

    def merged(self, layer: "nn.Module") -> "dict[str, Tensor]":
        """Add PEFT's update; a copy of the layer would copy the matrices that all share, 1.4 GB at 7B."""
        import torch

        with torch.no_grad():
            base = {name: tensor.float() for name, tensor in self.base_weights(layer).items()}
            return base | {"weight": base["weight"] + cast(Any, layer).get_delta_weight("default")}
