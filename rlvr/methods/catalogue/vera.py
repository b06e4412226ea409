"""VeRA: two vectors a layer scale random matrices that all layers share."""

from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import Field, PositiveFloat, PositiveInt

from rlvr.config import Fraction, Settings
from rlvr.methods.registry import register
from rlvr.methods.shapes import ALL_LINEAR, LinearName, linear_layers
from rlvr.methods.spec import PeftMethod

if TYPE_CHECKING:
    from peft import VeraConfig
    from torch import Tensor, nn
    from transformers import PretrainedConfig


class VeraParameters(Settings):
    """Settings of VeRA."""

    rank: PositiveInt = 256
    """Inner dimension r of the shared random matrices."""
    initial_scale: PositiveFloat = 0.1
    """Start of every entry of d (d_initial)."""
    dropout: Fraction = 0.0
    """Dropout on the adapter's input; it makes the probability ratio noisy."""
    target_modules: Annotated[tuple[LinearName, ...], Field(min_length=1)] = ALL_LINEAR
    """Adapted linear layers of every decoder block."""


@register
class Vera(PeftMethod):
    """W0 + diag(b) B diag(d) A with A and B random, frozen and shared; b = 0 at the start (VeRA, Eq. 2)."""

    name = "vera"
    category = "Efficiency"
    citation = "Kopiczko et al., VeRA: Vector-based Random Matrix Adaptation, arXiv 2310.11454"
    formula = "W = W0 + diag(b) B diag(d) A, A and B random, frozen and shared by all layers"
    exact_lora = True
    Parameters = VeraParameters

    def peft_config(self, parameters: Any) -> "VeraConfig":
        """Return the configuration; the random matrices are saved with the adapter."""
        from peft import VeraConfig

        return VeraConfig(
            task_type="CAUSAL_LM",
            r=parameters.rank,
            d_initial=parameters.initial_scale,
            vera_dropout=parameters.dropout,
            save_projection=True,
            target_modules=list(parameters.target_modules),
        )

    def expected_parameters(self, config: "PretrainedConfig", parameters: Any) -> int:
        """Return r + out, summed over the adapted layers."""
        shapes = linear_layers(config, parameters.target_modules).values()
        return sum(parameters.rank + outputs for _, outputs in shapes)

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return diag(d) A and diag(b) B, the shared matrices cut to the layer's size."""
        tuner = cast(Any, layer)  # PEFT declares its buffers as perhaps absent
        d, b = tuner.vera_lambda_d["default"].detach(), tuner.vera_lambda_b["default"].detach()
        down, up = (
            tuner.vera_A["default"][:, : tuner.in_features],
            tuner.vera_B["default"][: tuner.out_features],
        )
        return d[:, None] * down.to(d.device), b[:, None] * up.to(b.device)
