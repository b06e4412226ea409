"""C3A: the update is a grid of circulant blocks."""

from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import PositiveInt

from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import DIVIDES_BOTH
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft import C3AConfig
    from peft.tuners.c3a.layer import C3ALayer
    from torch import Tensor, nn


class C3aParameters(TargetedParameters):
    """Settings of C3A."""

    block_size: PositiveInt = 256
    """Side b of a block; must divide inputs and outputs of every adapted layer."""


@register
class C3a(PeftMethod):
    """W0 + C with every b x b block of C circulant, given by one trained vector that starts at zero."""

    name = "c3a"
    category = "Structural"
    citation = "Chen et al., Parameter-Efficient Fine-Tuning via Circular Convolution, arXiv 2407.19342"
    formula = "W = W0 + C / in, C of circulant b x b blocks"
    requirements: ClassVar = {"block_size": DIVIDES_BOTH}
    small_settings: ClassVar = {"block_size": 16}
    parameters: C3aParameters

    def peft_config(self) -> "C3AConfig":
        """Return the configuration."""
        from peft import C3AConfig

        return C3AConfig(
            task_type="CAUSAL_LM",
            block_size=self.parameters.block_size,
            init_weights=True,  # zeros; PEFT's default is noise
            target_modules=list(self.parameters.target_modules),
        )

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return in x out / b, summed over the adapted layers."""
        shapes = linear_layers(shape, self.parameters.target_modules).values()
        return sum(inputs * outputs for inputs, outputs in shapes) // self.parameters.block_size

    def merged(self, layer: "nn.Module") -> "dict[str, Tensor]":
        """Write the circulant blocks out; PEFT makes them by Fourier transforms of an [in, in] identity."""
        import torch

        kernel = cast("C3ALayer", layer).c3a_kernel["default"].detach().float()
        places = torch.arange(kernel.shape[-1], device=kernel.device)
        blocks = kernel[:, :, (places - places[:, None]) % len(places)]  # [out / b, in / b, b, b]
        base = {name: tensor.float() for name, tensor in self.base_weights(layer).items()}
        update = blocks.transpose(1, 2).reshape(base["weight"].shape) / base["weight"].shape[1]
        return base | {"weight": base["weight"] + update}
