r"""Time and memory of one training step's stages at the length of the paper's completions, on a GPU.

    python benchmarks/device_step.py --work full-size --output device-step.json
    python benchmarks/device_step.py --work full-size --output device-step.json --methods lora --tokens 4096

The model is the random one of `full_size.py`, with the shapes of DeepSeek-R1-Distill-Qwen-1.5B. Each method,
as the preset `paper` of the study `paper-1.5b` has it, is set up as `rlvr train` does it; then, on random
completions of 16,384 tokens less the prompt, the update and the weight sync are timed, and a step of sampling
by the policy itself. For one method, merged as in the study, steps of sampling are timed at several lengths,
with and without CUDA graphs, and a whole call. The methods follow one another in one process, so that no
import is timed; each starts with an empty cache. The first update, which chooses kernels and allocates the
optimizer's state, is not counted.
"""

import argparse
import gc
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import torch
from full_size import CONFIG, paper_config, prepare

from rlvr.config.training import Sampling
from rlvr.dapo.head import plain_model
from rlvr.dapo.sampling import Group
from rlvr.dapo.setup import Run, setup
from rlvr.dapo.update import update
from rlvr.data.problems import write_problems
from rlvr.environment import current_environment
from rlvr.files import write_json
from rlvr.planning.plan import load_plan, train_configs
from rlvr.rollout.engines import graphed, static
from rlvr.rollout.engines.base import Request
from rlvr.rollout.engines.live import LiveEngine
from rlvr.rollout.engines.sampling import Sampled
from rlvr.rollout.engines.transformers import CompletionSampler

PROMPT_TOKENS = 128
SEQUENCES = 4
"""Completions of an update: with 32,768 tokens a microbatch, two microbatches."""
ROLLOUTS = 128
"""Completions that are sampled at once."""
LENGTHS = (256, 2048, 4096, 8192, 12288, 16256)
"""Tokens in the cache at which steps of sampling are timed."""
STEPS = {True: 60, False: 16}
"""Steps of sampling, with and without CUDA graphs."""
FIRST = 4
"""Of these, the step at which the clock starts."""


def seconds(action: Callable[[], Any]) -> float:
    """Return the wall time of an action, with the device idle before and after."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    action()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def random_group(tokens: int) -> Group:
    """Return a group of random completions; prompt and completion together have ``tokens`` tokens."""
    generator = torch.Generator().manual_seed(0)
    size = tokens - PROMPT_TOKENS
    completions = torch.randint(100, 100_000, (SEQUENCES, size), generator=generator).tolist()
    return Group(
        problem_id="p",
        prompt_ids=tuple(range(PROMPT_TOKENS)),
        completions=completions,
        correct=[float(index % 2) for index in range(SEQUENCES)],
        rewards=[float(index % 2) for index in range(SEQUENCES)],
        truncated=[False] * SEQUENCES,
        engine_logprobs=[[-12.0] * size] * SEQUENCES,
    )


def needed_flops(tokens: int, run: Run, full: bool) -> float:
    """Return the floating-point operations that an update of the sequences needs, without recomputation.

    Two per weight and token in the forward pass and in the gradient of the inputs; two more in the gradient
    of the weights where they are trained. Causal attention: QK^T and PV over half of the positions, twice
    that in the backward pass. The embedding multiplies nothing; the adapter's products are left out.
    """
    weights = run.learner.total_parameters - CONFIG["vocab_size"] * CONFIG["hidden_size"]
    passes = 6 if full else 4
    attention = 3 * 2 * tokens * CONFIG["hidden_size"] * CONFIG["num_hidden_layers"]
    return SEQUENCES * tokens * (passes * weights + attention)


def measure(run: Run, tokens: int) -> dict[str, Any]:
    """Return seconds, rates and peak memory of the stages of a step."""
    group = random_group(tokens)
    advantages = torch.tensor([[-1.0, 1.0] * (SEQUENCES // 2)])
    synced = seconds(lambda: run.sync(0))
    update(run.learner, [group], advantages, 0)
    torch.cuda.reset_peak_memory_stats()
    updated = seconds(lambda: update(run.learner, [group], advantages, 1))
    peak = torch.cuda.max_memory_allocated()
    flops = needed_flops(tokens, run, run.config.method == "full")
    return {
        "sync_seconds": round(synced, 2),
        "sync_seconds_again": round(seconds(lambda: run.sync(1)), 2),
        "update_seconds": round(updated, 2),
        "update_tokens_per_second": round(SEQUENCES * tokens / updated),
        "needed_tflops_per_second": round(flops / updated / 1e12, 1),
        "update_peak_gib": round(peak / 2**30, 2),
        "trainable": sum(p.numel() for p in run.learner.policy.parameters() if p.requires_grad),
    }


def step_seconds(engine: CompletionSampler, length: int, recorded: bool) -> float:
    """Return the mean time of a step of sampling after ``length`` tokens."""
    times, sample = [], static.sample_tokens

    def timed_sample(*arguments: Any) -> Sampled:
        if len(times) in (FIRST, STEPS[recorded] - 1):
            torch.cuda.synchronize()
        times.append(time.perf_counter())
        return sample(*arguments)

    requests = [Request((100,) * length, seed) for seed in range(ROLLOUTS)]
    devices = graphed.DEVICES if recorded else ()
    with patch.object(static, "sample_tokens", timed_sample), patch.object(graphed, "DEVICES", devices):
        engine.generate(requests, Sampling(max_new_tokens=STEPS[recorded]))
    return (times[-1] - times[FIRST]) / (len(times) - 1 - FIRST)


def rollouts(engine: CompletionSampler, tokens: int) -> dict[str, Any]:
    """Return the time of steps at several lengths, and the rate of completions that start together."""
    steps = {}
    for length in LENGTHS:
        for recorded in (True, False):
            torch.cuda.empty_cache()
            name = f"{length} {'recorded' if recorded else 'plain'}"
            try:
                steps[name] = round(1e3 * step_seconds(engine, length, recorded), 2)
            except torch.OutOfMemoryError as error:
                steps[name] = str(error).splitlines()[0]
            print(name, steps[name], flush=True)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    requests = [Request(tuple(range(100, 100 + PROMPT_TOKENS)), seed) for seed in range(ROLLOUTS)]
    took = seconds(lambda: engine.generate(requests, Sampling(max_new_tokens=tokens)))
    return {
        "step_milliseconds": steps,
        "rollout_tokens": tokens,
        "rollout_seconds": round(took, 1),
        "rollout_tokens_per_second": round(ROLLOUTS * tokens / took),
        "rollout_peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def live_step(run: Run) -> float:
    """Return the milliseconds of a step of sampling by the policy itself, after few tokens."""
    policy, tokenizer = run.learner.policy, run.engine.tokenizer
    engine = LiveEngine(policy, plain_model(policy), tokenizer, ROLLOUTS, run.config.training.dtype)
    return round(1e3 * step_seconds(engine, LENGTHS[0], recorded=True), 2)


def matrix_tflops() -> float:
    """Return the rate of a large product of matrices in bfloat16."""
    matrix = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    for _ in range(3):
        matrix @ matrix
    took = seconds(lambda: [matrix @ matrix for _ in range(10)])
    return round(10 * 2 * 8192**3 / took / 1e12)


def measured_run(method: str, work: Path, tokens: int, rollout_tokens: int | None) -> dict[str, Any]:
    """Set one method up, measure it and free its memory."""
    model, _ = prepare(work, CONFIG["num_hidden_layers"])
    folder = work / f"device-{method}"
    data, config = work / "device.parquet", folder / "config.json"
    write_problems(data, pd.DataFrame([{"id": "p", "problem": "1+2", "answer": "3", "origin": "x"}]), {})
    settings = paper_config(method)
    training = settings.training.model_copy(
        update={"sampling": Sampling(max_new_tokens=tokens), "rollout_batch_size": ROLLOUTS}
    )
    write_json(config, settings.model_copy(update={"training": training}).model_dump(mode="json"))
    torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    run = setup(config, model, data, folder / "checkpoints")
    result = {
        "setup_seconds": round(time.perf_counter() - start, 1),
        "setup_peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        **measure(run, tokens),
    }
    run.learner.optimizer.zero_grad(set_to_none=True)
    torch.cuda.empty_cache()
    result["live_step_milliseconds"] = live_step(run)
    return result | (rollouts(run.engine, rollout_tokens) if rollout_tokens else {})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for the model and the runs")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", help="default: all of the paper")
    parser.add_argument("--tokens", type=int, default=16384, help="tokens of prompt and completion")
    parser.add_argument("--rollouts", default="lora", help="method whose merged weights sample too")
    parser.add_argument("--rollout-tokens", type=int, default=2048, help="tokens of each completion")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    names = arguments.methods or dict.fromkeys(run.method for run in train_configs(load_plan("paper-1.5b")))
    environment = current_environment().model_dump(mode="json")
    results: dict[str, Any] = {"environment": environment, "matrix_tflops": matrix_tflops()}
    for method in names:
        try:
            rollout_tokens = arguments.rollout_tokens if method == arguments.rollouts else None
            results[method] = measured_run(method, arguments.work, arguments.tokens, rollout_tokens)
        except torch.OutOfMemoryError as error:
            results[method] = {"error": str(error).splitlines()[0]}
        gc.collect()
        torch.cuda.empty_cache()
        write_json(arguments.output, results)
        print(method, json.dumps(results[method]), flush=True)


if __name__ == "__main__":
    main()
