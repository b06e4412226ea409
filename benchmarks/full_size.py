r"""Time and memory of the paper's methods on a random model of the size of DeepSeek-R1-Distill-Qwen-1.5B.

    python benchmarks/full_size.py --work full-size --output full-size.json
    python benchmarks/full_size.py --work full-size --output full-size.json --methods lora dora

The folder is written as transformers 4.44 wrote the published one: the same `config.json` and
`generation_config.json`, one bfloat16 file, a tokenizer with the published special tokens (its other tokens
are single characters). Each method, as the preset `paper` of the study `paper-1.5b` has it, then goes the
whole way in processes of its own: one DAPO step in bfloat16 on two short completions with random rewards,
export, and reload by plain PEFT, whose merged weights must be those of the policy. Full fine-tuning runs on
the first six layers, because its optimizer needs 16 bytes per parameter, and samples live, which saves the
memory of a second model. Results are added to the output
file, method by method.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rlvr.config.resolved import TrainConfig, read_config
from rlvr.config.training import Prompt
from rlvr.data.problems import write_problems
from rlvr.files import read_json, write_json
from rlvr.planning.plan import load_plan, train_configs

if TYPE_CHECKING:
    import torch

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151643,
    "hidden_act": "silu",
    "hidden_size": 1536,
    "initializer_range": 0.02,
    "intermediate_size": 8960,
    "max_position_embeddings": 131072,
    "max_window_layers": 21,
    "model_type": "qwen2",
    "num_attention_heads": 12,
    "num_hidden_layers": 28,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 10000,
    "sliding_window": 4096,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.44.0",
    "use_cache": True,
    "use_mrope": False,
    "use_sliding_window": False,
    "vocab_size": 151936,
}
GENERATION: dict[str, Any] = {
    "_from_model_config": True,
    "bos_token_id": 151646,
    "eos_token_id": 151643,
    "do_sample": True,
    "temperature": 0.6,
    "top_p": 0.95,
    "transformers_version": "4.39.3",
}
SPECIAL = {
    "<｜end▁of▁sentence｜>": 151643,
    "<｜User｜>": 151644,
    "<｜Assistant｜>": 151645,
    "<｜begin▁of▁sentence｜>": 151646,
    "<think>": 151648,
    "</think>": 151649,
}
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] }}"
    "{% elif message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}"
    "{% else %}{{ '<｜Assistant｜>' + message['content'] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}"
)
"""What the published template renders for a chat without tools."""

SCRIPT = str(Path(__file__).resolve())
FULL_LAYERS = 6
STEP = {
    "steps": 1,
    "prompts_per_step": 1,
    "group_size": 2,
    "warmup_steps": 0,
    "dynamic_sampling": None,
    "sampling": {"max_new_tokens": 4},
    "rollout_batch_size": 4,
}
"""What is smaller than in the study; precision, checkpointing and method settings are the study's."""


def write_published_folder(folder: Path, layers: int) -> None:
    """Write a random model of the published shape, with ``layers`` of its 28 layers.

    In a process of its own, as all that takes memory: a process starts with the peak of its parent.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    folder.mkdir(parents=True)
    write_json(folder / "config.json", {**CONFIG, "num_hidden_layers": layers})
    write_json(folder / "generation_config.json", GENERATION)
    write_tokenizer(folder)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    save_file(random_weights(shapes, 0), folder / "model.safetensors", {"format": "pt"})


def random_weights(shapes: "dict[str, torch.Size]", seed: int) -> "dict[str, torch.Tensor]":
    """Return bfloat16 weights of these shapes: ones for norms, normal of deviation 0.02 for all others."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return {
        name: (
            torch.ones(shape) if "norm" in name else 0.02 * torch.randn(shape, generator=generator)
        ).bfloat16()
        for name, shape in shapes.items()
    }


def write_tokenizer(folder: Path) -> None:
    """Write a tokenizer of single characters with the published special tokens under their ids."""
    import string

    characters = {character: index for index, character in enumerate(string.printable)}
    added = [
        {"id": index, "content": token, "special": True, "single_word": False}
        | {"lstrip": False, "rstrip": False, "normalized": False}
        for token, index in SPECIAL.items()
    ]
    split = {"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False}
    tokenizer = {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": split,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": characters | SPECIAL, "unk_token": " "},
    }
    write_json(folder / "tokenizer.json", tokenizer)
    tokens = {"bos_token": "<｜begin▁of▁sentence｜>", "eos_token": "<｜end▁of▁sentence｜>"}
    settings = {"add_bos_token": True, "add_eos_token": False, "model_max_length": 16384, "legacy": True}
    write_json(
        folder / "tokenizer_config.json",
        {**settings, **tokens, "pad_token": tokens["eos_token"], "chat_template": TEMPLATE}
        | {"tokenizer_class": "PreTrainedTokenizerFast"},
    )


def prepare(work: Path, layers: int) -> tuple[Path, dict[str, float]]:
    """Return the prepared model of ``layers`` layers, made if it is not there, with time and memory."""
    published, model = work / f"published-{layers}", work / f"model-{layers}"
    if model.exists():
        return model, read_json(work / f"model-{layers}.json")
    timed([SCRIPT, "publish", str(published), str(layers)])
    write_json(work / f"entry-{layers}.json", {"source": "local", "path": str(published)})
    measured = timed(
        ["-m", "rlvr.cli", "prepare-model", str(work / f"entry-{layers}.json"), "-o", str(model)]
    )
    write_json(work / f"model-{layers}.json", measured)
    return model, measured


def timed(arguments: list[str]) -> dict[str, float]:
    """Run Python on some arguments and return its wall time, CPU time and peak memory; stop if it fails."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(arguments)}")
    return {
        "seconds": round(time.monotonic() - start, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gib": round(usage.ru_maxrss / 2**20, 2),
    }


def paper_config(method: str) -> TrainConfig:
    """Return the run of a method in the study of the paper, cut to one small step and a short prompt."""
    (run,) = (run for run in train_configs(load_plan("paper-1.5b")) if run.method == method)
    served = {"sync": "live"} if method == "full" else {}
    training = type(run.training)(**{**run.training.model_dump(), **STEP, **served})
    return run.model_copy(update={"training": training, "prompt": Prompt()})


def measure(method: str, work: Path) -> dict[str, Any]:
    """Take one method the whole way and return what each stage took."""
    model, prepared = prepare(work, FULL_LAYERS if method == "full" else CONFIG["num_hidden_layers"])
    folder = work / method
    data, config = work / "data.parquet", folder / "config.json"
    rows = pd.DataFrame([{"id": "p", "problem": "1+2", "answer": "3", "origin": "benchmark"}])
    write_problems(data, rows, {"entry": {"source": "benchmark"}})
    write_json(config, paper_config(method).model_dump(mode="json"))
    stages = {
        "train": [SCRIPT, "train", str(config), str(model), str(data), str(folder)],
        "export": [
            *("-m", "rlvr.cli", "export", str(config), "--model", str(model)),
            *("--trained", str(folder / "run" / "trained.safetensors"), "-o", str(folder / "adapter")),
        ],
        "reload": [SCRIPT, "reload", str(config), str(model), str(folder)],
    }
    measured = {stage: timed(arguments) for stage, arguments in stages.items()}
    size = sum(file.stat().st_size for file in (folder / "adapter").iterdir())
    return {
        "prepare": prepared,
        **measured,
        "export_mib": round(size / 2**20, 1),
        **read_json(folder / "reload.json"),
    }


def train_one(config: Path, model: Path, data: Path, folder: Path) -> None:
    """Train the step; every second completion is rewarded, so that there is a gradient."""
    from rlvr.dapo.train import train

    def reward(problems: Any, completions: Any) -> list[float]:
        return [float(index % 2) for index in range(len(completions))]

    train(config, model, data, folder / "checkpoints", folder / "run", reward=reward)


def reload(config_path: Path, model: Path, folder: Path) -> None:
    """Compare what plain PEFT loads and merges with what the policy is, in the last block."""
    from safetensors.torch import load_file

    from rlvr.methods.faults import trained_method
    from rlvr.methods.policy import load_trained_state, run_policy
    from rlvr.methods.weights import exported_weights, merged_weights
    from rlvr.models.load import load_model

    config = read_config(config_path, TrainConfig)
    method = trained_method(config)
    last = f"layers.{read_json(model / 'config.json')['num_hidden_layers'] - 1}."
    base = {
        name: value.detach().clone()
        for name, value in load_model(model, "bfloat16").named_parameters()
        if last in name
    }
    policy = run_policy(config, method, load_model(model, "bfloat16"), start=False)
    load_trained_state(method, policy, load_file(folder / "run" / "trained.safetensors"), "trained")
    ours = {name: weight.detach().clone() for name, weight in merged_weights(method, policy) if last in name}
    del policy
    update = error = 0.0
    for name, weight in exported_weights(load_model(model, "bfloat16"), folder / "adapter"):
        if name in ours:
            expected = ours.pop(name)
            error = max(error, float((weight.float() - expected).norm()))
            update = max(update, float((expected - base[name].float()).norm()))
    if ours:
        raise SystemExit(f"{method.name}: the export lacks {sorted(ours)}")
    write_json(folder / "reload.json", {"update_norm": update, "reload_error_norm": error})


def main() -> None:
    stage = sys.argv[1] if len(sys.argv) > 1 else ""
    if stage == "publish":
        write_published_folder(Path(sys.argv[2]), int(sys.argv[3]))
        return
    if stage in ("train", "reload"):
        {"train": train_one, "reload": reload}[stage](*map(Path, sys.argv[2:]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for models and runs, about 20 GB")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", help="default: all of the paper")
    arguments = parser.parse_args()
    methods = arguments.methods or list(
        dict.fromkeys(run.method for run in train_configs(load_plan("paper-1.5b")))
    )
    results = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    for method in methods:
        results[method] = measure(method, arguments.work)
        write_json(arguments.output, results)
        print(method, json.dumps(results[method]), flush=True)


if __name__ == "__main__":
    main()
