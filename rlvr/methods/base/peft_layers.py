"""PEFT's layers: found, read, merged out of place, and written as a plain LoRA."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

TUNER_PREFIX = "base_model."
"""How PEFT names its tuner inside a wrapped model."""
PEFT_PREFIX = TUNER_PREFIX + "model."
"""How PEFT names the base model inside its tuner."""


def tuner_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield ``(name in the base model, tuner layer)`` for every layer with an adapter."""
    modules: Iterator[tuple[str, nn.Module]] = model.named_modules()
    for name, module in modules:
        if isinstance(module, BaseTunerLayer):
            yield name.removeprefix(PEFT_PREFIX), module


@contextmanager
def nothing_compiled() -> Iterator[None]:
    """Keep PEFT from compiling BOFT's CUDA extension, which one butterfly factor does not use.

    Where that fails, as with PyTorch 2.11, PEFT tries again for every layer.
    """
    from peft.tuners.boft import layer

    compile_extension = layer.get_fbd_cuda
    layer.get_fbd_cuda = lambda: None
    try:
        yield
    finally:
        layer.get_fbd_cuda = compile_extension


def load_adapter(base: PreTrainedModel, directory: Path) -> nn.Module:
    """Return ``base`` with the adapter of a folder injected, as its users load it."""
    with nothing_compiled():
        return PeftModel.from_pretrained(base, str(directory))


def base_tensors(layer: nn.Module) -> dict[str, Tensor]:
    """Return the frozen tensors of a tuner layer by name (``weight``, perhaps ``bias``)."""
    base = cast("BaseTunerLayer", layer).get_base_layer()
    return {name: tensor.detach() for name, tensor in base.named_parameters()}


def merged_copy(layer: nn.Module) -> dict[str, Tensor]:
    """Merge a float32 copy of a tuner layer by PEFT's own rule and return its tensors.

    A copy, because PEFT merges in place and in the base's precision: in bfloat16 that loses most of a small
    update and corrupts the frozen weights for good.
    """
    with torch.no_grad():
        twin = cast("BaseTunerLayer", copy.deepcopy(layer).float())
        twin.merge(safe_merge=True)
        return base_tensors(cast("nn.Module", twin))


def write_lora(factors: dict[str, tuple[Tensor, Tensor]], directory: Path, **settings: Any) -> None:
    """Write updates of one rank as a plain LoRA adapter in PEFT's format.

    Args:
        factors: (A [r, in], B [out, r]) by the name of the adapted layer in the base model.
        directory: folder to write `adapter_config.json` and `adapter_model.safetensors` to.
        settings: further settings of ``LoraConfig``; without any, the update is B A, not scaled.
    """
    rank = next(iter(factors.values()))[0].shape[0]
    targets = sorted({name.rpartition(".")[2] for name in factors})
    config = LoraConfig(
        **{"task_type": "CAUSAL_LM", "r": rank, "lora_alpha": rank, "target_modules": targets, **settings},
        inference_mode=True,
    )
    directory.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(str(directory))
    tensors = {
        f"{PEFT_PREFIX}{name}.{part}.weight": tensor.detach().float().contiguous()
        for name, (down, up) in factors.items()
        for part, tensor in (("lora_A", down), ("lora_B", up))
    }
    save_file(tensors, directory / "adapter_model.safetensors")
