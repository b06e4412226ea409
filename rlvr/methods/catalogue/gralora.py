"""GraLoRA: a grid of LoRAs, one for every block of the weight."""

from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import PositiveFloat, PositiveInt, model_validator

from rlvr.methods.base.parameters import DropoutParameters
from rlvr.methods.base.requirements import DIVIDES_BOTH
from rlvr.methods.base.shapes import ModelShape, total_sides
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import GraloraConfig
    from peft.tuners.gralora.layer import GraloraLayer
    from torch import Tensor, nn


class GraloraParameters(DropoutParameters):
    """Settings of GraLoRA."""

    rank: PositiveInt = 32
    """Rank r of LoRA with as many parameters; every block has rank r / blocks."""
    alpha: PositiveFloat = 64
    """The update is scaled by alpha / rank."""
    blocks: PositiveInt = 2
    """Blocks k along each side of the weight; must divide the rank, inputs and outputs."""

    @model_validator(mode="after")
    def _blocks_divide_the_rank(self) -> "GraloraParameters":
        if self.rank % self.blocks:
            raise ValueError(f"rank {self.rank} is not a multiple of blocks {self.blocks}")
        return self


@register
class Gralora(PeftMethod):
    """W0 + s G with k x k blocks of rank r / k each, B = 0 at the start (GraLoRA, section 3)."""

    name = "gralora"
    category = "Structural"
    citation = (
        "Jung et al., GraLoRA: Granular Low-Rank Adaptation for Parameter-Efficient Fine-Tuning, "
        "arXiv 2505.20355"
    )
    formula = "W = W0 + (alpha/r) G, G of k x k blocks B_ij A_ij of rank r / k"
    exact_lora = True
    requirements: ClassVar = {"blocks": DIVIDES_BOTH}
    parameters: GraloraParameters

    def peft_config(self) -> "GraloraConfig":
        """Return the configuration."""
        from peft import GraloraConfig

        return GraloraConfig(
            task_type="CAUSAL_LM",
            r=self.parameters.rank,
            alpha=self.parameters.alpha,  # type: ignore[arg-type]  # PEFT takes any number
            gralora_k=self.parameters.blocks,
            gralora_dropout=self.parameters.dropout,
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r (in + out), summed over the adapted layers."""
        return total_sides(shape, self.parameters.target_modules) * self.parameters.rank

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return the factors of all blocks side by side, each zero outside its block: rank r k."""
        import torch

        tuner = cast("GraloraLayer", layer)
        k = tuner.gralora_k["default"]
        downs = tuner.gralora_A["default"].detach().mT.unflatten(1, (k, -1))  # [from, to, r / k, in / k]
        ups = tuner.gralora_B["default"].detach().mT.unflatten(2, (k, -1))  # [to, out / k, from, r / k]
        grid = [(source, target) for source in range(k) for target in range(k)]
        down = torch.block_diag(*[downs[source].flatten(0, 1) for source in range(k)])
        up = down.new_zeros(tuner.out_features, len(down)).unflatten(0, (k, -1)).unflatten(2, (len(grid), -1))
        for column, (source, target) in enumerate(grid):
            up[target, :, column] = ups[target, :, source]
        return down, tuner.scaling["default"] * up.flatten(2, 3).flatten(0, 1)
