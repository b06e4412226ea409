"""VeRA: two vectors per layer scale random matrices that all layers share."""

from typing import TYPE_CHECKING, Any

from pydantic import PositiveFloat, PositiveInt

from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import VeraConfig
    from torch import Tensor, nn


class VeraParameters(DropoutParameters):
    """Settings of VeRA."""

    rank: PositiveInt = 256
    """Inner dimension r of the shared random matrices."""
    initial_scale: PositiveFloat = 0.1
    """Start of every entry of d (d_initial)."""


@register
class Vera(PeftMethod):
    """W0 + diag(b) B diag(d) A with A and B random, frozen and shared; b = 0 at the start (VeRA, Eq. 2)."""

    name = "vera"
    category = "Efficiency"
    citation = "Kopiczko et al., VeRA: Vector-based Random Matrix Adaptation, arXiv 2310.11454"
    formula = "W = W0 + diag(b) B diag(d) A, A and B random, frozen and shared by all layers"
    exact_lora = True
    seed_field = "projection_prng_key"
    parameters: VeraParameters

    def peft_config(self) -> "VeraConfig":
        """Return the configuration; the random matrices are saved with the adapter."""
        from peft import VeraConfig

        return VeraConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            d_initial=self.parameters.initial_scale,
            vera_dropout=self.parameters.dropout,
            save_projection=True,
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r + out, summed over the adapted layers."""
        shapes = linear_layers(shape, self.parameters.target_modules).values()
        return sum(self.parameters.rank + outputs for _, outputs in shapes)

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return diag(d) A and diag(b) B, the shared matrices restricted to the layer's size."""
        return scaled_projections(layer, "vera")


def scaled_projections(layer: Any, kind: str) -> "tuple[Tensor, Tensor]":
    """Return diag(d) A and diag(b) B of a layer of the ``kind`` vera or pvera.

    The shared matrices are restricted to the layer's size, and d to its first r entries, after which PVeRA
    has its variances.
    """
    down, up, d, b = (
        getattr(layer, f"{kind}_{part}")["default"].detach() for part in ("A", "B", "lambda_d", "lambda_b")
    )
    rank = layer.r["default"]
    down, up = down[:rank, : layer.in_features], up[: layer.out_features]
    return d[:rank, None] * down.to(d.device), b[:, None] * up.to(b.device)
