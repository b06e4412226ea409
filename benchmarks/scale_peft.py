"""Merge the adapters of `scale.py` into bfloat16 as the paper's stack did: PEFT 0.18.0, `merge_adapter()`.

Runs in an environment of its own that has torch, safetensors and peft, and neither this package nor its PEFT.

    python benchmarks/scale_peft.py ADAPTERS OUTPUT.json

The trained weights are those of the same PEFT with base and merge in float32. Of DoRA, the magnitudes that
PEFT itself computes on the bfloat16 base are compared with those of the start.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import peft
import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import Tensor, nn

EVERY = 8
"""One row of so many is measured, as in `scale.py`."""


def model_of(weights: dict[str, Tensor], dtype: torch.dtype) -> nn.Module:
    """Return a module with linear layers of these names and weights."""
    root = nn.Module()
    for name, weight in weights.items():
        *path, last = name.split(".")
        parent = root
        for part in path:
            if not hasattr(parent, part):
                parent.add_module(part, nn.Module())
            parent = getattr(parent, part)
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        layer.weight = nn.Parameter(weight.to(dtype, copy=True), requires_grad=False)
        parent.add_module(last, layer)
    return root


@torch.no_grad()
def merged(weights: dict[str, Tensor], folder: Path, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the measured rows after PEFT has merged an adapter into a base of a precision."""
    config = PeftConfig.from_pretrained(str(folder))
    config.task_type = None  # a bare module has no generation
    model = PeftModel.from_pretrained(model_of(weights, dtype), str(folder), config=config)
    model.merge_adapter()
    return {name: _layer(model, name).get_base_layer().weight[::EVERY].clone() for name in weights}


def _layer(model: PeftModel, name: str) -> Any:
    return model.get_submodule(f"base_model.model.{name}")


def share(
    served: dict[str, Tensor],
    served_before: dict[str, Tensor],
    trained: dict[str, Tensor],
    before: dict[str, Tensor],
) -> dict[str, float]:
    """Return the share of what was learned that is served, as `scale.py` defines it, and its noise."""
    product = square = lost = moved = entries = 0.0
    for name, weight in trained.items():
        learned = weight - before[name]
        reached = served[name].float() - served_before[name].float()
        product += float((reached * learned).sum(dtype=torch.float64))
        square += float(learned.square().sum(dtype=torch.float64))
        lost += float((reached - learned).square().sum(dtype=torch.float64))
        moved += float((served[name] != served_before[name]).sum())
        entries += weight.numel()
    return {
        "share": product / square,
        "noise_to_signal": (lost / square) ** 0.5,
        "moved_fraction": moved / entries,
        "update_norm": square**0.5,
    }


def start_error(weights: dict[str, Tensor], folder: Path) -> float | None:
    """Return the largest relative difference between PEFT's own magnitudes and those of the start."""
    state = load_file(folder / "adapter_model.safetensors")
    magnitudes = {name: tensor for name, tensor in state.items() if "lora_magnitude_vector" in name}
    if not magnitudes:
        return None
    targets = sorted({name.rpartition(".")[2] for name in weights})
    config = LoraConfig(r=1, use_dora=True, target_modules=targets)
    policy = get_peft_model(model_of(weights, torch.bfloat16), config)
    errors = []
    for name in weights:
        own = _layer(policy, name).lora_magnitude_vector["default"].weight.float()
        ours = magnitudes[f"base_model.model.{name}.lora_magnitude_vector"]
        errors.append(float(((own - ours).abs() / own).detach().max()))
    return max(errors)


def main() -> None:
    """Write the shares of every mark."""
    folder, output = Path(sys.argv[1]), Path(sys.argv[2])
    began = time.process_time()
    weights = load_file(folder / "base.safetensors")
    before = merged(weights, folder / "step-0", torch.float32)
    served_before = merged(weights, folder / "step-0", torch.bfloat16)
    steps = sorted(int(path.name.removeprefix("step-")) for path in folder.glob("step-*"))
    rows = []
    for step in steps[1:]:
        at = folder / f"step-{step}"
        served, trained = merged(weights, at, torch.bfloat16), merged(weights, at, torch.float32)
        rows.append({"step": step, **share(served, served_before, trained, before)})
    found = {
        "peft": peft.__version__,
        "torch": torch.__version__,
        "start_error": start_error(weights, folder / "step-0"),
        "rows": rows,
        "cpu_seconds": round(time.process_time() - began, 1),
    }
    output.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
