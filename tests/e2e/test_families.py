"""Every family is prepared, trained, exported, reloaded by plain PEFT and evaluated, or is refused."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from rlvr.artifacts import Sample, read_rows
from rlvr.config.resolved import GenerateConfig, TrainConfig
from rlvr.dapo.train import train
from rlvr.data.problems import write_problems
from rlvr.errors import UserError
from rlvr.evaluate.generate import generate
from rlvr.files import write_json
from rlvr.methods.export import export
from rlvr.models.prepare import prepare_model
from rlvr.models.tiny import build_tokenizer
from tests.helpers.families import FAMILIES, family_config
from tests.helpers.grid import EXHAUSTIVE

OFTEN = ("qwen3", "gemma2", "granite", "phi3", "gpt2", "mixtral")
"""Families that differ in norms, head, fused layers, positions and experts; the others are exhaustive."""
METHODS = ("lora", "full", "ln_tuning")


def published(family: str, folder: Path) -> Path:
    """A folder of a tiny random model of a family with the built-in tokenizer, weights in bfloat16."""
    tokenizer = build_tokenizer()
    config = family_config(
        family,
        vocab_size=len(tokenizer),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    rows = [{"id": f"{i}", "problem": f"{i}+1", "answer": str(i + 1), "origin": "test"} for i in range(6)]
    path = tmp_path_factory.mktemp("data") / "data.parquet"
    write_problems(path, pd.DataFrame(rows), {"entry": {"source": "test"}})
    return path


def train_config(folder: Path, method: str, dtype: str = "bfloat16") -> Path:
    training = {
        **{"steps": 2, "prompts_per_step": 2, "group_size": 3, "learning_rate": 1e-2, "dtype": dtype},
        **{"sampling": {"max_new_tokens": 4}, "dynamic_sampling": None},
    }
    config = TrainConfig(
        study="test", run="run", model="family", method=method, preset="recommended", trains_as=method,
        faults=(), setting="main", train_seed=1, parameters={}, dataset="data", prompt={},
        answer_format="boxed", training=training,
    )  # fmt: skip
    write_json(folder / f"{method}.json", config.model_dump(mode="json"))
    return folder / f"{method}.json"


def generate_config(folder: Path) -> Path:
    config = GenerateConfig(
        study="test", benchmark="test", dataset="data", samples_per_problem=2, sampling={"max_new_tokens": 4},
        prompt={}, batch_size=8, dtype="bfloat16", seed=0, shared_seed=False,
    )  # fmt: skip
    write_json(folder / "generate.json", config.model_dump(mode="json"))
    return folder / "generate.json"


def alternating(problems, completions):
    return [float(index % 2) for index in range(len(completions))]


def goes_the_whole_way(model: Path, method: str, data: Path, folder: Path) -> None:
    config = train_config(folder, method)
    run, adapter = folder / f"{method}-run", folder / f"{method}-adapter"
    train(config, model, data, folder / "checkpoints", run, reward=alternating)
    assert json.loads((run / "run.json").read_text())["train_info"]["steps"] == 2
    log = pd.read_parquet(run / "train_log.parquet")
    assert (log["sync/update_norm"] > 0).all()
    export(config, model, run / "trained.safetensors", adapter)
    if (adapter / "adapter_config.json").exists():
        base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)
        PeftModel.from_pretrained(base, str(adapter))
    else:
        AutoModelForCausalLM.from_pretrained(adapter)
    samples = folder / f"{method}-samples"
    generate([generate_config(folder)], model, [data], adapter, folder / "journals", samples)
    assert len(read_rows(samples / "test.parquet", Sample)) == 12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=[] if name in OFTEN else EXHAUSTIVE) for name in FAMILIES]
)
def test_a_family_goes_the_whole_way_or_is_refused(family, method, data, tmp_path):
    folder = published(family, tmp_path / "published")
    write_json(tmp_path / "entry.json", {"source": "local", "path": str(folder)})
    model = tmp_path / "model"
    try:
        prepare_model(tmp_path / "entry.json", [], [], model)
        goes_the_whole_way(model, method, data, tmp_path)
    except UserError as error:
        assert any(way_out in str(error) for way_out in ("target_modules: [", "remain: full")), error
