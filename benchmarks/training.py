r"""Time and memory of a training step beside TRL, and the update beside the rate of matrix products.

    python benchmarks/training.py --work bench --output benchmarks/results/training.json
    python benchmarks/training.py --work bench --output float32.json --dtypes float32 --rounds 1

The work: SmolLM2-135M-Instruct, LoRA of rank 32 on all linear layers, 8 prompts of 44 tokens, 8
completions of 32 tokens each, one optimizer step. Both trainers get the same prompts, draw their own
completions, reward every second one, and are left at their defaults otherwise: this package's update computes
each prompt once, TRL recomputes activations. Each measurement is a process of its own, one trainer after the
other, so that a slow minute of the machine meets both; the first step of a process is not counted. Needs the
packages that `make test` installs.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from common import in_process, median, peak_gb, prepared_model, prompts, write_results

from rlvr.files import write_json

PROMPTS, GROUP, NEW_TOKENS, RANK = 8, 8, 32, 32
STEPS = 3
"""Steps of a process; all but the first are counted."""


# --- this package -------------------------------------------------------------------------------


def measure_rlvr(work: Path, dtype: str) -> dict[str, Any]:
    """Return the times of some steps of `rlvr train`, by stage."""
    import pandas as pd

    from rlvr.config.training import Prompt, Training
    from rlvr.dapo.setup import setup
    from rlvr.dapo.timer import Timer
    from rlvr.dapo.train import sync_weights, train_step
    from rlvr.data.problems import write_problems
    from rlvr.planning.plan import load_plan, train_configs

    model = prepared_model(work)
    planned = next(run for run in train_configs(load_plan("smollm2")) if run.method == "lora")
    training = Training(
        steps=STEPS, prompts_per_step=PROMPTS, group_size=GROUP, learning_rate=1e-5, dynamic_sampling=None,
        sampling={"max_new_tokens": NEW_TOKENS}, dtype=dtype,
    )  # fmt: skip
    config = planned.model_copy(
        update={
            "training": training,
            "prompt": Prompt(),
            "parameters": planned.parameters | {"rank": RANK, "alpha": 2 * RANK},
        }
    )
    rows = [{"id": text, "problem": text, "answer": "1", "origin": "benchmark"} for text in prompts()]
    write_problems(work / "prompts.parquet", pd.DataFrame(rows), {})
    write_json(work / "config.json", config.model_dump(mode="json"))
    run = setup(work / "config.json", model, work / "prompts.parquet", work / "checkpoints", every_second)
    sync_weights(run, 0)
    steps = []
    for step in range(STEPS):
        timer = Timer()
        with timer("step"):
            metrics = train_step(run, step, timer)
        run.log.append({"step": step, **metrics})
        steps.append(timer.seconds)
    trained = [parameter for parameter in run.learner.policy.parameters() if parameter.requires_grad]
    prompt = sum(len(problem.prompt_ids) for problem in run.sampler.stream.problems)
    needed = prompt + metrics["tokens/trained"]
    flops = needed_flops(run.learner.total_parameters, sum(p.numel() for p in trained), needed)
    return {
        **medians(steps),
        "sync_seconds": median([step["sync"] for step in steps[1:]]),
        "completion_tokens": metrics["tokens/trained"],
        "needed_tokens": needed,
        "needed_tflop": round(flops / 1e12, 3),
        "gemm_gflops_per_second": round(gemm_rate(getattr(torch, dtype), int(needed)) / 1e9, 1),
    }


def every_second(problems: Any, completions: Any) -> list[float]:
    """Reward every second completion, so that every group teaches something."""
    return [float(index % 2) for index in range(len(completions))]


def needed_flops(parameters: int, trained: int, tokens: float) -> float:
    """Return the floating-point operations of an update: two per weight and token in each product.

    Frozen weights: forward pass and gradient of the inputs; trained ones also that of the weights. SmolLM2
    ties its head to its embedding, so every parameter multiplies once. Attention is left out: 1 % here.
    """
    return tokens * (4 * parameters + 6 * trained)


def gemm_rate(dtype: torch.dtype, rows: int) -> float:
    """Return the measured rate, in operations per second, of the products of this model's middle layers."""
    shapes = [(576, 1536), (1536, 576), (576, 576)]
    operands = [(torch.randn(rows, k).to(dtype), torch.randn(n, k).to(dtype)) for k, n in shapes]
    best = 0.0
    for _ in range(10):
        start = time.perf_counter()
        for inputs, weight in operands:
            torch.nn.functional.linear(inputs, weight)
        seconds = time.perf_counter() - start
        best = max(best, sum(2 * rows * k * n for k, n in shapes) / seconds)
    return best


# --- TRL ----------------------------------------------------------------------------------------


def measure_trl(work: Path, dtype: str) -> dict[str, Any]:
    """Return the times of some steps of TRL's `GRPOTrainer` with the loss `dapo`."""
    import peft
    import trl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

    folder = prepared_model(work)
    steps: list[dict[str, float]] = []

    class Timed(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **keywords: Any) -> None:
            steps.append({"start": time.perf_counter(), "rollout": 0.0})

        def on_step_end(self, args: Any, state: Any, control: Any, **keywords: Any) -> None:
            steps[-1]["step"] = time.perf_counter() - steps[-1]["start"]

    class Trainer(trl.GRPOTrainer):  # type: ignore[misc]
        def _generate_and_score_completions(self, inputs: Any) -> Any:
            start = time.perf_counter()
            try:
                return super()._generate_and_score_completions(inputs)
            finally:
                steps[-1]["rollout"] += time.perf_counter() - start

    trainer = Trainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)),
        processing_class=AutoTokenizer.from_pretrained(folder),
        reward_funcs=lambda completions, **keywords: every_second(None, completions),
        train_dataset=Dataset.from_list(
            [{"prompt": [{"role": "user", "content": text}]} for text in prompts()]
        ),
        peft_config=peft.LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear"),
        args=trl.GRPOConfig(
            output_dir=str(work / "trl"), max_steps=STEPS, learning_rate=1e-5, loss_type="dapo", beta=0.0,
            per_device_train_batch_size=GROUP, gradient_accumulation_steps=PROMPTS, num_generations=GROUP,
            max_completion_length=NEW_TOKENS, bf16=dtype == "bfloat16", use_cpu=True, report_to="none",
            save_strategy="no", logging_strategy="no", disable_tqdm=True,
        ),
        callbacks=[Timed()],
    )  # fmt: skip
    trainer.train()
    for step in steps:
        step["update"] = step["step"] - step["rollout"]
    return medians(steps)


# --- both ---------------------------------------------------------------------------------------


def medians(steps: list[dict[str, float]]) -> dict[str, float]:
    """Return the medians of the stages over all steps but the first."""
    return {
        f"{stage}_seconds": median([step[stage] for step in steps[1:]])
        for stage in ("step", "update", "rollout")
    }


def measure(trainer: str, work: Path, dtype: str) -> dict[str, Any]:
    """Measure one trainer in this process."""
    result = {"rlvr": measure_rlvr, "trl": measure_trl}[trainer](work, dtype)
    return result | {"peak_gb": peak_gb()}


def compared(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return medians over the rounds, and the ratios of TRL to this package."""
    ours, theirs = (
        {name: median([one[trainer][name] for one in rounds], 3) for name in rounds[0][trainer]}
        for trainer in ("rlvr", "trl")
    )
    achieved = ours["needed_tflop"] * 1e3 / ours["update_seconds"]
    return {
        "rlvr": ours,
        "trl": theirs,
        "step_speedup": round(theirs["step_seconds"] / ours["step_seconds"], 2),
        "rollout_speedup": round(theirs["rollout_seconds"] / ours["rollout_seconds"], 2),
        "update_speedup": round(theirs["update_seconds"] / ours["update_seconds"], 2),
        "memory_ratio": round(ours["peak_gb"] / theirs["peak_gb"], 2),
        "update_over_gemm": round(achieved / ours["gemm_gflops_per_second"], 2),
    }


def native_dtypes() -> list[str]:
    """Return the precisions in which this CPU has arithmetic; the others are emulated, many times slower."""
    from rlvr.rollout.engines.bfloat16_attention import has_bfloat16_products

    return ["float32", "bfloat16"] if has_bfloat16_products() else ["float32"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for the model and the runs")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--dtypes", nargs="+", default=native_dtypes(), help="default: those of the CPU's own arithmetic"
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each trainer, interleaved")
    parser.add_argument("--trainer", choices=["rlvr", "trl"], help="measure one, in this process")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.trainer:
        write_json(arguments.output, measure(arguments.trainer, arguments.work, arguments.dtypes[0]))
        return
    results: dict[str, Any] = {}
    for dtype in arguments.dtypes:
        for threads in arguments.threads:
            one = ["--work", str(arguments.work), "--dtypes", dtype, "--trainer"]
            rounds = [
                {
                    trainer: in_process(__file__, [*one, trainer], arguments.work / "one.json", threads)
                    for trainer in ("rlvr", "trl")
                }
                for _ in range(arguments.rounds)
            ]
            results[f"{dtype}, {threads} threads"] = compared(rounds)
            write_results(arguments.output, results)
            print(dtype, threads, json.dumps(results[f"{dtype}, {threads} threads"]), flush=True)


if __name__ == "__main__":
    main()
