"""HRA: the input is transformed by a chain of reflections."""

from types import MethodType
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import Field

from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.shapes import ModelShape, total_inputs
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import HRAConfig
    from torch import Tensor, nn
    from transformers import PreTrainedModel


class HraParameters(TargetedParameters):
    """Settings of HRA."""

    rank: Annotated[int, Field(gt=0, multiple_of=2)] = 32
    """Number of reflections r; even, so that they can start in pairs that undo each other."""


@register
class Hra(PeftMethod):
    """W0 times r Householder reflections; they start in equal pairs, which undo each other.

    PEFT multiplies r dense [in, in] matrices in every forward pass, and autograd keeps them all: 10 GB for
    one down_proj at 1.5B. The product is I - U T U^T, and so the update is of rank r, and computed as such.
    """

    name = "hra"
    category = "Other"
    citation = (
        "Yuan et al., Bridging The Gap between Low-rank and Orthogonal Adaptation via Householder Reflection "
        "Adaptation, arXiv 2405.17484"
    )
    formula = "W = W0 (I - 2 u_1 u_1^T) ... (I - 2 u_r u_r^T), |u_i| = 1"
    exact_lora = True
    parameters: HraParameters

    def peft_config(self) -> "HRAConfig":
        """Return the configuration, without Gram-Schmidt orthogonalisation."""
        from peft import HRAConfig

        return HRAConfig(
            task_type="CAUSAL_LM", r=self.parameters.rank, target_modules=list(self.parameters.target_modules)
        )

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject the adapter and compute its layers in their low-rank form."""
        policy = super().wrap(model, total_steps, seed)
        for _, layer in self.adapted_layers(policy):
            cast(Any, layer).forward = MethodType(_forward, layer)
        return policy

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r x in, summed over the adapted layers."""
        return total_inputs(shape, self.parameters.target_modules) * self.parameters.rank

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return U^T and -W0 U T."""
        directions = cast(Any, layer).hra_u["default"].detach()
        return reflection_factors(directions, self.base_weights(layer)["weight"])


def reflection_factors(directions: "Tensor", weight: "Tensor") -> "tuple[Tensor, Tensor]":
    """Return float32 (A [r, in], B [out, r]) with W0 H_1 ... H_r = W0 + B A.

    The product of reflections H_i = I - 2 u_i u_i^T is I - U T U^T, where the inverse of T is upper
    triangular: 1/2 on the diagonal and the products u_i^T u_j above it (Joffrain et al., Accumulating
    Householder Transformations, Revisited, ACM TOMS 32, 2006).

    Args:
        directions: u_1 to u_r, of any length, as columns [in, r].
        weight: W0, [out, in].
    """
    import torch

    units = directions.float() / directions.float().norm(dim=0)
    inverse = (units.T @ units).triu(1) + 0.5 * torch.eye(units.shape[1], device=units.device)
    read = weight.float() @ units
    return units.T, -torch.linalg.solve_triangular(inverse, read, upper=True, left=False)


def _forward(layer: Any, x: "Tensor") -> "Tensor":
    """Map x [..., in] to W0 x + B A x; only x is kept for the backward pass, the rest is recomputed."""
    from torch.utils.checkpoint import checkpoint

    base = layer.get_base_layer()
    result = base(x)
    update = checkpoint(
        _update, x, layer.hra_u["default"], base.weight, use_reentrant=False, preserve_rng_state=False
    )
    return cast("Tensor", result + cast("Tensor", update).to(result.dtype))


def _update(x: "Tensor", directions: "Tensor", weight: "Tensor") -> "Tensor":
    """Return B A x in float32: in bfloat16 the two directions of a pair would long remain equal."""
    import torch

    with torch.autocast(x.device.type, enabled=False):
        down, up = reflection_factors(directions, weight)
        return x.float() @ down.T @ up.T
