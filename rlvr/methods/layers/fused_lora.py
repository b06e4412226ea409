"""PEFT's LoRA layer with the update added by the matrix product that makes it."""

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn


class FusedLoraLinear(Linear):
    """W0 x + s B A x as one product with W0, one with A, and one with B that scales and adds.

    PEFT makes B A x, a scaled copy and a sum of it, each as large as the output, and the gradient of each. In
    16 bits that is kept, because a product that adds to a rounded output doubles the rounding error there.
    Merging, saving and loading are PEFT's.
    """

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Map x [..., in] to [..., out]; what is not a plain LoRA in float32 is left to PEFT."""
        adapters = [name for name in self.active_adapters if name in self.lora_A]
        mixed = x.dtype != torch.float32 or torch.is_autocast_enabled(x.device.type)
        unusual = args or kwargs or self.disable_adapters or self.merged
        if mixed or unusual or not all(map(self._is_plain, adapters)):
            return super().forward(x, *args, **kwargs)
        rows = x.reshape(-1, x.shape[-1])
        result = self.base_layer(rows)
        for name in adapters:
            inner = self.lora_A[name](self.lora_dropout[name](rows))
            result = result.addmm_(inner, self.lora_B[name].weight.T, alpha=self.scaling[name])
        return result.unflatten(0, x.shape[:-1])

    def _is_plain(self, adapter: str) -> bool:
        up = self.lora_B[adapter]
        return adapter not in self.lora_variant and isinstance(up, nn.Linear) and up.bias is None
