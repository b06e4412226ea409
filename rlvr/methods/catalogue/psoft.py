"""PSOFT: the principal subspace of the base is rotated."""

from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import PositiveInt

from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.requirements import AT_MOST_SMALLER_SIDE
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import PsoftConfig
    from torch import Tensor, nn
    from transformers import PreTrainedModel


class PsoftParameters(DropoutParameters):
    """Settings of PSOFT."""

    rank: PositiveInt = 128
    """Dimension r of the principal subspace; at most the smaller side of every adapted layer."""


@register
class Psoft(ExportedAsLora, PeftMethod):
    """The r largest components of W0 are rotated (by a Cayley transform) and stretched on both sides."""

    name = "psoft"
    category = "Structural"
    citation = (
        "Wu et al., Efficient Orthogonal Fine-Tuning with Principal Subspace Adaptation, arXiv 2505.11235"
    )
    formula = (
        "W = W0 + B (diag(b) R diag(a) - I) A, B A = the r largest singular components of W0, R orthogonal"
    )
    requirements: ClassVar = {"rank": AT_MOST_SMALLER_SIDE}
    parameters: PsoftParameters

    def peft_config(self) -> "PsoftConfig":
        """Return the configuration; alpha cancels out and is set to the rank, as the authors do."""
        from peft import PsoftConfig

        return PsoftConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            psoft_alpha=self.parameters.rank,
            psoft_dropout=self.parameters.dropout,
            target_modules=list(self.parameters.target_modules),
        )

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Inject the adapter, save its subspace with it, and keep small rotations in spite of rounding.

        PEFT recomputes A and B whenever a run is loaded, but the signs of an SVD differ between machines, and
        the trained R means nothing in another basis.
        """
        policy = super().wrap(model, total_steps, seed)
        for _, layer in self.adapted_layers(policy):
            tuner = cast(Any, layer)
            for basis in (tuner._psoft_A_cache, tuner._psoft_B_cache):
                basis.persistent = True
                basis["default"] = basis["default"]
            tuner.psoft_R["default"].register_forward_hook(_precise_rotation)
        return policy

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r (r - 1) / 2 angles and 2 r factors for every adapted layer."""
        layers = len(linear_layers(shape, self.parameters.target_modules))
        return layers * (self.parameters.rank * (self.parameters.rank - 1) // 2 + 2 * self.parameters.rank)

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return A and B (diag(b) R diag(a) - I)."""
        tuner = cast(Any, layer)
        down, up = (basis["default"].float() for basis in (tuner._psoft_A_cache, tuner._psoft_B_cache))
        return down, tuner.scaling["default"] * up @ _change(tuner.psoft_R["default"]).detach()


def _change(rotation: Any) -> "Tensor":
    import torch

    matrix = rotation.get_matrix().float()
    return matrix - torch.eye(len(matrix), device=matrix.device)


def _precise_rotation(rotation: "nn.Module", inputs: "tuple[Tensor]", output: "Tensor") -> "Tensor":
    """Return x R^T as x + x (R - I)^T in float32.

    PEFT subtracts x from it again; under bfloat16 autocast R is rounded first, and all that is trained in its
    diagonal is lost until it exceeds 1/256.
    """
    (x,) = inputs
    return x.float() + (x.float() @ _change(rotation).T).float()
