"""PEFT's LoRA layer with the update added by the matrix product that makes it."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from rlvr.models.matmul import add_product


class FusedLoraLinear(Linear):
    """W0 x + s B A x as one product with A, one with B that scales, and a sum that one of the products makes.

    PEFT makes B A x, a scaled copy and a sum of it, each as large as the output, and the gradient of each.
    In float32 the product with B adds to W0 x. In bfloat16 that would round the output twice, so the product
    with W0 adds B A x to what it has not rounded yet. Merging, saving and loading are PEFT's.
    """

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Map x [..., in] to [..., out]; what is not a plain LoRA in one precision is left to PEFT."""
        adapters = [name for name in self.active_adapters if name in self.lora_A]
        unusual = args or kwargs or self.disable_adapters or self.merged
        if unusual or not all(map(self._is_plain, adapters)):
            return super().forward(x, *args, **kwargs)
        if self._computes_in_bfloat16(x) and adapters and not any(map(self._drops, adapters)):
            return self._in_bfloat16(x, adapters)
        if x.dtype != torch.float32 or torch.is_autocast_enabled(x.device.type):
            return super().forward(x, *args, **kwargs)
        rows = x.reshape(-1, x.shape[-1])
        result = self.base_layer(rows)
        for name in adapters:
            inner = self.lora_A[name](self.lora_dropout[name](rows))
            result = add_product(result, inner, cast(Tensor, self.lora_B[name].weight).T, self.scaling[name])
        return result.unflatten(0, x.shape[:-1])

    def _is_plain(self, adapter: str) -> bool:
        up = self.lora_B[adapter]
        return adapter not in self.lora_variant and isinstance(up, nn.Linear) and up.bias is None

    def _drops(self, adapter: str) -> bool:
        dropout = self.lora_dropout[adapter]
        return dropout.training and not isinstance(dropout, nn.Identity)

    def _computes_in_bfloat16(self, x: Tensor) -> bool:
        device = x.device.type
        mixed = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16
        base = self.base_layer
        whole = type(base) is nn.Linear and type(base.weight) is nn.Parameter and base.bias is None
        return mixed and whole and base.weight.dtype == torch.bfloat16 and not base.weight.requires_grad

    def _in_bfloat16(self, x: Tensor, adapters: Sequence[str]) -> Tensor:
        down = [cast(Tensor, self.lora_A[name].weight) for name in adapters]
        up = [self.lora_B[name].weight * self.scaling[name] for name in adapters]
        with torch.autocast(x.device.type, enabled=False):
            rows, a, b = (
                one.to(torch.bfloat16)
                for one in (x.reshape(-1, x.shape[-1]), _joined(down, 0), _joined(up, 1))
            )
            output: Tensor = _SumOfProducts.apply(rows, self.base_layer.weight, a, b)
        return output.unflatten(0, x.shape[:-1])


def _joined(tensors: Sequence[Tensor], dim: int) -> Tensor:
    """Return the factors of some adapters as those of one of their common rank."""
    return torch.cat(list(tensors), dim) if len(tensors) > 1 else tensors[0]


class _SumOfProducts(torch.autograd.Function):
    """W0 x + B A x, rounded once, for a frozen W0.

    Shape suffixes: T rows, I inputs, O outputs, R rank.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x_TI: Tensor, weight_OI: Tensor, a_RI: Tensor, b_OR: Tensor) -> Tensor:
        inner_TR = x_TI @ a_RI.T
        ctx.save_for_backward(x_TI, weight_OI, a_RI, b_OR, inner_TR)
        return (inner_TR @ b_OR.T).addmm_(x_TI, weight_OI.T)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_TI, weight_OI, a_RI, b_OR, inner_TR = ctx.saved_tensors
        (gradient_TO,) = gradients
        inner_gradient_TR = gradient_TO @ b_OR
        needs_x, _, needs_a, needs_b = ctx.needs_input_grad
        return (
            (inner_gradient_TR @ a_RI).addmm_(gradient_TO, weight_OI) if needs_x else None,
            None,
            inner_gradient_TR.T @ x_TI if needs_a else None,
            gradient_TO.T @ inner_TR if needs_b else None,
        )
