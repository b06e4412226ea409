r"""Which share of an update reaches the engine, on the shapes of DeepSeek-R1-Distill-Qwen-1.5B, at rate 1e-5.

    python benchmarks/scale.py --work scale --output docs/results/scale
    python benchmarks/scale.py --work scale --output docs/results/scale --peft-python peft018/bin/python

The second form also merges with the paper's own PEFT, in an environment of its own: `python -m venv peft018`
and `peft018/bin/pip install torch==2.13.0 peft==0.18.0`. Without it that part is left out, and says so.

One of the 28 blocks, all of one shape, of a random model of the published shape, its weights on the grid of
bfloat16 and a vocabulary of 1,024; training computes in float32. Each method, as the text of the paper has it
but without dropout, takes 64 Adam steps at 1e-5 on the policy gradient of random tokens with random
advantages. `fresh` tokens in every step make the gradient noise, the `same` ones make it the same: a real run
lies between. After steps 1, 4, 16 and 64 the weights are rounded to bfloat16. With S the change of the served
weights since the start, and D that of the trained weights,

    share = <S, D> / ||D||^2

is the part of what was learned that is served, over every eighth row of all weights of the method. What DoRA
as PEFT starts it adds to its base before the first step is not learned, so that it does not count.
(`sync/gain` of a training log counts from the base.) Hypotheses: `hypotheses.yaml` in the output folder, with
the rule of the verdicts. Runs that are in the work folder are not repeated; two drawn at random are repeated
from scratch and compared.
"""

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from common import in_process
from full_size import CONFIG, random_weights
from peft.tuners.lora.dora import DoraLinearLayer
from scale_tables import write_tables
from torch import Tensor, nn

from rlvr.config.resolved import TrainConfig
from rlvr.environment import current_environment
from rlvr.files import content_hash, read_json, write_json
from rlvr.methods.base.spec import Method
from rlvr.methods.faults import trained_method
from rlvr.methods.policy import build_policy
from rlvr.methods.weights import merged_weights
from rlvr.planning.plan import load_plan, train_configs
from rlvr.rollout.rounding import stochastically_rounded
from rlvr.seeds import derive_seed

SHAPE = {**CONFIG, "num_hidden_layers": 1, "vocab_size": 1024, "bos_token_id": 0, "eos_token_id": 0}
MARKS = (1, 4, 16, 64)
"""Steps after which the weights are served."""
SEQUENCES, TOKENS = 4, 8
"""Random tokens of a step."""
EVERY = 8
"""One row of so many is measured; `scale_peft.py` measures the same."""
METHODS = ("lora", "dora", "dora-peft", "miss", "rslora", "full")
"""`dora-peft` is DoRA with magnitudes in bfloat16, as PEFT starts it."""
GRADIENTS = {"fresh": ((0, 1, 2), METHODS), "same": ((0,), ("lora", "dora-peft", "full"))}
"""Kind of gradient -> seeds of model, adapter and tokens, and methods."""
REPEATED = 2


@dataclass(frozen=True)
class Run:
    """One method, trained once."""

    method: str
    gradient: str
    seed: int

    def __str__(self) -> str:
        return f"{self.method}-{self.gradient}-s{self.seed}"


RUNS = [
    Run(method, gradient, seed)
    for gradient, (seeds, methods) in GRADIENTS.items()
    for seed in seeds
    for method in methods
]


def run_config(method: str) -> TrainConfig:
    """Return the run of the paper's text, without dropout; of `dora-peft`, with PEFT's magnitudes."""
    name, preset = ("dora", "released") if method == "dora-peft" else (method, "paper")
    (found,) = (
        run for run in train_configs(load_plan("released")) if (run.method, run.preset) == (name, preset)
    )
    faults = ("bf16_magnitude",) if method == "dora-peft" else ()
    without = {"dropout": 0.0} if "dropout" in found.parameters else {}
    return found.model_copy(update={"faults": faults, "parameters": {**found.parameters, **without}})


def base_model(seed: int) -> nn.Module:
    """Return the random model: float32, every weight a number of bfloat16."""
    from transformers import AutoModelForCausalLM, Qwen2Config

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(Qwen2Config(**SHAPE))
        shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
        rotary = model.model.rotary_emb
    weights = random_weights(shapes, derive_seed(seed, "model"))
    model.load_state_dict({name: weight.float() for name, weight in weights.items()}, assign=True)
    model.model.rotary_emb = type(rotary)(model.config)  # not on the meta device
    return model


def without_identity(layer: DoraLinearLayer, lora_A: nn.Linear, lora_B: nn.Linear, **_: Any) -> Tensor:
    """Return B A, of which PEFT takes the norm; it multiplies an identity of 8,960 x 8,960 by both."""
    return lora_B.weight.detach() @ lora_A.weight.detach()


def take_step(policy: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    """Take a step on the policy gradient of random tokens, advantages 1 and -1 in turn."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(SHAPE["vocab_size"], (SEQUENCES, TOKENS + 1), generator=generator)
    logprobs = policy(input_ids=ids[:, :-1]).logits.log_softmax(-1).gather(2, ids[:, 1:, None])
    advantages = torch.tensor([1.0, -1.0]).repeat(SEQUENCES // 2)
    (-(advantages[:, None, None] * logprobs).mean()).backward()
    optimizer.step()
    optimizer.zero_grad()


def sums(served: Tensor, served_before: Tensor, trained: Tensor, before: Tensor) -> Tensor:
    """Return <S, D>, ||D||^2, ||S - D||^2, entries that moved, and entries of one weight, float64."""
    learned = trained - before
    reached = served.float() - served_before.float()
    moved = (served != served_before).sum().double()
    products = [reached * learned, learned.square(), (reached - learned).square()]
    return torch.stack([*(part.sum(dtype=torch.float64) for part in products), moved, _count(served)])


def _count(tensor: Tensor) -> Tensor:
    return torch.tensor(float(tensor.numel()), dtype=torch.float64)


def row(run: Run, merge: str, step: int, total: Tensor) -> dict[str, Any]:
    """Return a line of `shares.csv`."""
    product, square, lost, moved, entries = total.tolist()
    return {
        "run": str(run),
        "merge": merge,
        "step": step,
        "share": product / square,
        "noise_to_signal": (lost / square) ** 0.5,
        "moved_fraction": moved / entries,
        "update_norm": square**0.5,
    }


class Merges:
    """Rounds the merged weights of a policy to bfloat16, and remembers those of the untrained one."""

    def __init__(self, run: Run, method: Method, policy: nn.Module) -> None:
        """Keep the untrained weights, trained and served."""
        self.run, self.method, self.policy = run, method, policy
        self.before = {name: weight.clone() for name, weight in self._measured_rows()}
        rules: dict[str, Callable[[Tensor, int, str], Tensor]]
        rules = {"nearest": lambda weight, *_: weight.bfloat16(), "stochastic": self._stochastic}
        self.rules = rules
        self.served = {
            merge: {name: rule(weight, 0, name) for name, weight in self.before.items()}
            for merge, rule in rules.items()
        }

    def rows(self, step: int) -> Iterator[dict[str, Any]]:
        """Yield the lines of this step."""
        totals = {merge: torch.zeros(5, dtype=torch.float64) for merge in self.rules}
        for name, weight in self._measured_rows():
            for merge, rule in self.rules.items():
                served = rule(weight, step, name)
                totals[merge] += sums(served, self.served[merge][name], weight, self.before[name])
        for merge, total in totals.items():
            yield row(self.run, merge, step, total)

    def _measured_rows(self) -> Iterator[tuple[str, Tensor]]:
        for name, weight in merged_weights(self.method, self.policy):
            yield name, weight[::EVERY]

    def _stochastic(self, weight: Tensor, step: int, name: str) -> Tensor:
        generator = torch.Generator().manual_seed(derive_seed(self.run.seed, "rounding", step, name))
        return stochastically_rounded(weight, torch.bfloat16, generator)


@torch.no_grad()
def state_hash(policy: nn.Module) -> str:
    """Return the hash of all that was trained."""
    digest = hashlib.sha256()
    for parameter in policy.parameters():
        if parameter.requires_grad:
            digest.update(parameter.contiguous().numpy().tobytes())
    return digest.hexdigest()


def train(run: Run, adapters: Path | None) -> dict[str, Any]:
    """Train one run and return what is served of it.

    ``adapters``: folder for what PEFT merges, the base and the adapter at the start and at every mark.
    """
    config = run_config(run.method)
    method, model = trained_method(config), base_model(run.seed)
    if adapters:
        _write_base(model, adapters / "base.safetensors")
    torch.manual_seed(derive_seed(run.seed, "adapter"))
    DoraLinearLayer.get_lora_weight = without_identity
    policy = build_policy(method, model, max(MARKS), derive_seed(run.seed, "projection")).eval()
    optimizer = method.optimizer(policy, config.training)
    with torch.no_grad():
        merges = Merges(run, method, policy)
    rows: list[dict[str, Any]] = []
    for step in range(max(MARKS) + 1):
        if step:
            take_step(
                policy, optimizer, derive_seed(run.seed, "step", step if run.gradient == "fresh" else 1)
            )
        if step in MARKS:
            with torch.no_grad():
                rows += merges.rows(step)
        if adapters and (step in MARKS or not step):
            method.export(policy, adapters / f"step-{step}")
    decisive = config.model_dump(mode="json", include={"trains_as", "faults", "parameters", "training"})
    setup = [SHAPE, MARKS, EVERY, SEQUENCES, TOKENS, run.gradient, run.seed]
    return {
        "run": str(run),
        "method": run.method,
        "gradient": run.gradient,
        "seed": run.seed,
        "learning_rate": config.training.learning_rate,
        "config_sha256": content_hash([decisive, *setup]),
        "trained_sha256": state_hash(policy),
        "rows": rows,
    }


def _write_base(model: nn.Module, path: Path) -> None:
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    blocks = {name: layer for name, layer in layers.items() if name != "lm_head"}
    save_file({name: layer.weight.detach().bfloat16() for name, layer in blocks.items()}, path)


def measure(run: Run, work: Path, peft_python: Path | None) -> dict[str, Any]:
    """Return what is served of a run, from the work folder if it is there."""
    path = work / f"{run}.json"
    if not path.exists():
        print(run, flush=True)
        adapters = work / f"{run}-adapters" if peft_python and run.method != "full" else None
        arguments = ["--run", str(RUNS.index(run)), *(["--adapters", str(adapters)] if adapters else [])]
        found = in_process(__file__, arguments, work / f"{run}-own.json")
        if adapters:
            found["peft"] = merged_by_peft(adapters, peft_python)
            shutil.rmtree(adapters)
        write_json(path, found)
    return read_json(path)


def merged_by_peft(adapters: Path, python: Path | None) -> dict[str, Any]:
    """Merge the adapters with the PEFT of another environment and return what it served."""
    script, output = Path(__file__).with_name("scale_peft.py"), adapters / "merged.json"
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | threads
    subprocess.run([str(python), str(script), str(adapters), str(output)], env=environment, check=True)
    return read_json(output)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two results are the same to the last bit, but for the time they took."""
    return _untimed(one) == _untimed(other)


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untimed(part) for key, part in value.items() if key != "cpu_seconds"}
    return [_untimed(part) for part in value] if isinstance(value, list) else value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, help="folder for unfinished work, about 300 MB")
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")
    parser.add_argument("--peft-python", type=Path, help="python of an environment with PEFT 0.18.0")
    parser.add_argument("--run", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--adapters", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run is not None:
        start = time.process_time()
        found = train(RUNS[arguments.run], arguments.adapters)
        write_json(arguments.output, {**found, "cpu_seconds": round(time.process_time() - start, 1)})
        return
    if arguments.work is None:
        parser.error("--work is needed")
    peft_python = arguments.peft_python
    if peft_python is None or not peft_python.exists():
        print(f"not merged by PEFT 0.18.0: --peft-python {peft_python or ''} is not there", file=sys.stderr)
        peft_python = None
    results = [measure(run, arguments.work, peft_python) for run in RUNS]
    drawn = random.Random(0).sample(range(len(RUNS)), REPEATED)
    for index in drawn:
        again = measure(RUNS[index], arguments.work / "again", peft_python)
        results[index]["repeated"] = "identical" if same(again, results[index]) else "differs"
    environment = current_environment()
    write_json(arguments.output / "environment.json", environment.model_dump(mode="json"))
    hardware = environment.hardware
    machine = f"one thread of {hardware.cpu_count} cores, {hardware.processor}, {hardware.machine}"
    write_tables(results, machine, arguments.output)


if __name__ == "__main__":
    main()
