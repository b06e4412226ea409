r"""Peak memory of a step as `rlvr plan` states it, beside what a process really takes, on a CPU.

    python benchmarks/planned_memory.py --model resources/models/smollm2-135m-instruct --work planned \
        --output planned.json --methods lora full --tokens 1024 2048

Each method, as its preset `recommended` has it, is set up as `rlvr train` does it, in a process of its own,
and does one update of eight random completions that share a prompt and fill one microbatch. The peak is that
of the process, Python and its libraries included.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from rlvr.config.resolved import TrainConfig, read_config
from rlvr.config.training import Training
from rlvr.files import write_json
from rlvr.methods import make_method
from rlvr.methods.fits import shape_of_folder
from rlvr.planning.memory import trained_memory
from rlvr.planning.plan import load_plan, train_configs

PROMPT, COMPLETIONS = 32, 8


def config_of(method: str, tokens: int, dtype: str, checkpointing: bool) -> TrainConfig:
    """Return the configuration of a run whose step is one microbatch of so many tokens."""
    planned = next(run for run in train_configs(load_plan("smollm2")) if run.method == "lora")
    training = Training(
        steps=1, prompts_per_step=1, group_size=COMPLETIONS, learning_rate=1e-5, dynamic_sampling=None,
        sampling={"max_new_tokens": (tokens - PROMPT) // COMPLETIONS}, dtype=dtype,
        max_prompt_tokens=2 * PROMPT,
        tokens_per_microbatch=tokens, gradient_checkpointing=checkpointing, rollout_batch_size=COMPLETIONS,
    )  # fmt: skip
    from rlvr.methods.presets import method_presets

    preset = method_presets(Path("config"), method)["recommended"]
    return planned.model_copy(
        update={
            "method": method,
            "trains_as": preset.trained.name,
            "parameters": preset.trained.parameters.model_dump(mode="json"),
            "training": training,
            "run": method,
        }
    )


def measure(config_path: Path, model: Path) -> dict[str, Any]:
    """Return the peak memory of this process after one update."""
    import pandas as pd
    import torch

    from rlvr.dapo.sampling import Group
    from rlvr.dapo.setup import setup
    from rlvr.dapo.update import update
    from rlvr.data.problems import write_problems

    config = read_config(config_path, TrainConfig)
    data = config_path.with_suffix(".parquet")
    write_problems(data, pd.DataFrame([{"id": "p", "problem": "1+2", "answer": "3", "origin": "x"}]), {})
    run = setup(config_path, model, data, config_path.parent / "checkpoints")
    ready = peak_bytes()
    size = config.training.sampling.max_new_tokens
    completions = torch.randint(100, 40_000, (COMPLETIONS, size)).tolist()
    group = Group(
        problem_id="p",
        prompt_ids=tuple(range(PROMPT)),
        completions=completions,
        correct=[float(index % 2) for index in range(COMPLETIONS)],
        rewards=[float(index % 2) for index in range(COMPLETIONS)],
        truncated=[False] * COMPLETIONS,
        engine_logprobs=[[-10.0] * size] * COMPLETIONS,
    )
    update(run.learner, [group], torch.tensor([[-1.0, 1.0] * (COMPLETIONS // 2)]), 0)
    return {"setup_bytes": ready, "peak_bytes": peak_bytes()}


def peak_bytes() -> int:
    """Return the largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured(config: TrainConfig, model: Path, work: Path) -> dict[str, Any]:
    """Measure in a process of its own."""
    path = work / f"{config.run}-{config.training.tokens_per_microbatch}.json"
    write_json(path, config.model_dump(mode="json"))
    output = work / "measured.json"
    command = [sys.executable, __file__, "--work", str(work), "--model", str(model), "--output", str(output)]
    subprocess.run([*command, "--measure", str(path)], check=True)
    result = json.loads(output.read_text())
    planned = planned_bytes(config, model)
    return result | {"planned_bytes": planned, "ratio": round(planned / result["peak_bytes"], 3)}


def planned_bytes(config: TrainConfig, model: Path) -> float:
    """Return the peak that `rlvr plan` states."""
    shape = shape_of_folder(model)
    method = make_method(config.trains_as, config.parameters)
    device = load_plan("smollm2").devices.devices["cpu"]
    return trained_memory(config, method, method.expected_parameters(shape), shape, device).peak


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="prepared model folder")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", default=["lora", "full", "dora", "ia3", "ln_tuning"])
    parser.add_argument("--tokens", nargs="+", type=int, default=[1024, 2048])
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--measure", type=Path, help="measure one configuration, in this process")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.measure:
        write_json(arguments.output, measure(arguments.measure, arguments.model))
        return
    results: dict[str, Any] = {}
    for method in arguments.methods:
        for tokens in arguments.tokens:
            config = config_of(method, tokens, arguments.dtype, arguments.gradient_checkpointing)
            results[f"{method}, {tokens} tokens"] = measured(config, arguments.model, arguments.work)
            write_json(arguments.output, results)
            print(method, tokens, json.dumps(results[f"{method}, {tokens} tokens"]), flush=True)


if __name__ == "__main__":
    main()
