"""LoRA that starts from two factors orthogonal to each other."""

from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import Field

from rlvr.methods.base.spec import Category
from rlvr.methods.catalogue.lora import Lora, LoraParameters
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer
    from torch import Tensor, nn
    from transformers import PreTrainedModel


class LoraOrthogonalParameters(LoraParameters):
    """LoRA's settings with an even rank: half of it for each factor."""

    rank: Annotated[int, Field(gt=0, multiple_of=2)] = 32
    """Inner dimension r; even."""


@register
class LoraOrthogonal(Lora):
    """LoRA with B A = 0 at the start, but neither A nor B: they use different rows of an orthogonal matrix.

    PEFT's own initialisation rounds A and B to the base's precision, and then B A is no longer zero: on a
    bfloat16 base it is noise of the size of a training step. So the factors are sampled here, in float32.
    """

    name = "lora_orthogonal"
    category: ClassVar[Category] = "Initialization"
    citation = "Datta0, Orthogonal initialisation, https://datta0.github.io/posts/rethink-lora-init"
    formula = "W = W0 + (alpha/r) B A, first A = Q_odd^T X, B = Y Q_even, X and Y random, Q orthogonal"
    parameters: LoraOrthogonalParameters

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject LoRA and sample its factors."""
        policy = super().wrap(model, total_steps, seed)
        for _, layer in self.adapted_layers(policy):
            tuner = cast("LoraLayer", layer)
            down = cast("nn.Linear", tuner.lora_A["default"]).weight.data
            up = cast("nn.Linear", tuner.lora_B["default"]).weight.data
            for factor, start in zip((down, up), orthogonal_factors(down.shape[1], *up.shape), strict=True):
                factor.copy_(start)
        return policy


def orthogonal_factors(inputs: int, outputs: int, rank: int) -> "tuple[Tensor, Tensor]":
    """Return random (A [rank, inputs], B [outputs, rank]) with B A = 0; the scale of 1/10 is PEFT's."""
    import torch

    q, _ = torch.linalg.qr(torch.randn(rank, rank))
    odd, even = q[0::2], q[1::2]
    return odd.T @ torch.randn(rank // 2, inputs) / 10, torch.randn(outputs, rank // 2) @ even / 10
