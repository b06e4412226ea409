r"""What a sync loses over many steps: ours, out of place, against PEFT's merge and unmerge in place.

    python benchmarks/drift.py --work bench --output benchmarks/results/drift.json

The first block of SmolLM2-135M-Instruct with LoRA of rank 32. In each of 1,024 steps every trained weight
moves by the learning rate, as Adam moves it, mostly at random and a little in one direction. Then the weights
are served, ours by the sync of `rlvr train`, theirs by `merge_adapter()` and `unmerge_adapter()`, between
which TRL sends the weights to vLLM. *Noise* is the norm of what is served less what is trained, *base drift*
that of the frozen base less what it was at the start, both over the norm of the update.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from common import prepared_model, write_results
from peft import PeftModel
from torch import nn

from rlvr.methods import Method, make_method
from rlvr.methods.base.peft_layers import base_tensors, tuner_layers
from rlvr.methods.policy import build_policy
from rlvr.methods.weights import low_rank_updates
from rlvr.models.load import load_model, load_tokenizer
from rlvr.rollout.engines.transformers import TransformersEngine
from rlvr.rollout.sync import LiveSync, Sync, WeightSync

BLOCKS, RATE, DRIFT = 1, 1e-5, 0.3
MARKS = (1, 16, 64, 256, 1024)
DTYPES = ("float32", "bfloat16")


def policy_in(model: Path, dtype: str) -> tuple[Method, PeftModel]:
    """Return LoRA on the first block of the model, in a precision."""
    base = load_model(model, dtype)
    base.model.layers = base.model.layers[:BLOCKS]
    base.config.num_hidden_layers = BLOCKS
    torch.manual_seed(0)
    method = make_method("lora", {})
    return method, cast(PeftModel, build_policy(method, base, max(MARKS)))


def move(policy: nn.Module, step: int) -> None:
    """Move every trained weight by the learning rate, the same way in every run."""
    generator = torch.Generator().manual_seed(step)
    for index, parameter in enumerate(p for p in policy.parameters() if p.requires_grad):
        fixed = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index))
        random = torch.randn(parameter.shape, generator=generator)
        parameter.data += RATE * (DRIFT * fixed + (1 - DRIFT**2) ** 0.5 * random)


def base_of(policy: PeftModel) -> dict[str, torch.Tensor]:
    """Return the weights under the adapters, float32."""
    return {name: base_tensors(layer)["weight"].float().clone() for name, layer in tuner_layers(policy)}


def norm(tensors: list[torch.Tensor]) -> float:
    """Return the Frobenius norm of some tensors together."""
    return sum(float(tensor.double().square().sum()) for tensor in tensors) ** 0.5


def ours(model: Path, dtype: str, kind: str) -> dict[str, Any]:
    """Return noise and base drift at the marks, for a kind of sync of this package."""
    method, policy = policy_in(model, dtype)
    sync: Sync
    if kind == "live":
        sync = LiveSync(method, policy)
    else:
        _, served = policy_in(model, dtype)
        engine = TransformersEngine(served.unload(), load_tokenizer(model), 1)
        sync = WeightSync(method, policy, engine, cast(Any, kind))
    return at_marks(policy, lambda step, wanted: sync(step)["sync/noise_to_signal"])


def in_place(model: Path, dtype: str) -> dict[str, Any]:
    """Return the same for PEFT's merge and unmerge, as TRL calls them."""
    method, policy = policy_in(model, dtype)
    start = base_of(policy)

    def serve(step: int, wanted: bool) -> float:
        policy.merge_adapter()
        served = base_of(policy) if wanted else {}
        policy.unmerge_adapter()
        if not wanted:
            return 0.0
        with torch.no_grad():
            updates = {name: up @ down for name, (down, up) in low_rank_updates(method, policy)}
        lost = [served[name] - start[name] - update for name, update in updates.items()]
        return norm(lost) / norm(list(updates.values()))

    return at_marks(policy, serve)


def at_marks(policy: PeftModel, serve: Callable[[int, bool], float]) -> dict[str, Any]:
    """Move and serve step by step; return noise and base drift at the marks."""
    method, start = make_method("lora", {}), base_of(policy)
    results: dict[str, Any] = {}
    for step in range(1, max(MARKS) + 1):
        move(policy, step)
        noise = serve(step, step in MARKS)
        if step in MARKS:
            with torch.no_grad():
                update = norm([up @ down for _, (down, up) in low_rank_updates(method, policy)])
            drifted = norm([weight - start[name] for name, weight in base_of(policy).items()])
            results[str(step)] = {"noise": round(noise, 6), "base_drift": round(drifted / update, 6)}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for the model")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    model, results = prepared_model(arguments.work), {}
    for dtype in DTYPES:
        for kind in ("live", "merged", "adapter", "in place"):
            measured = in_place(model, dtype) if kind == "in place" else ours(model, dtype, kind)
            results[f"{kind}, {dtype}"] = measured
            write_results(arguments.output, results)
            print(kind, dtype, json.dumps(measured), flush=True)


if __name__ == "__main__":
    main()
