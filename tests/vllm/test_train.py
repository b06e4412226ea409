"""Training and evaluation with vLLM, through the commands that the workflow calls."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from rlvr.artifacts import Sample, read_rows
from rlvr.config.resolved import GenerateConfig, TrainConfig
from rlvr.data.problems import write_problems
from rlvr.files import write_json
from tests.helpers.paths import REPOSITORY
from tests.vllm.conftest import NEEDS_VLLM

pytestmark = NEEDS_VLLM
PARAMETERS = {"lora": {"rank": 4, "alpha": 8}, "full": {}, "dora": {"rank": 4, "alpha": 8}}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.parquet"
    rows = [{"id": f"{i}+1", "problem": f"{i}+1", "answer": str(i + 1), "origin": "test"} for i in range(30)]
    write_problems(path, pd.DataFrame(rows), {"entry": {"source": "test"}})
    return path


def train_config(path: Path, method: str, **training) -> Path:
    settings = {
        **{"steps": 3, "prompts_per_step": 4, "group_size": 8, "learning_rate": 1e-3, "engine": "vllm"},
        # Rewards of length alone: the model is not pretrained, so no answer is correct.
        **{
            "sampling": {"max_new_tokens": 5},
            "soft_overlong": {"buffer_tokens": 4},
            "dynamic_sampling": None,
        },
        **{"stop_after_uninformative_steps": None, "checkpoint_every": 2, "rollout_batch_size": 32},
        **training,
    }
    config = TrainConfig(
        study="test", run=f"run-{method}", model="tiny", method=method, preset="recommended",
        trains_as=method, faults=(), setting="main", train_seed=1, parameters=PARAMETERS[method],
        dataset="data", prompt={}, answer_format="first-line-number", training=settings,
    )  # fmt: skip
    write_json(path, config.model_dump(mode="json"))
    return path


def run(*arguments: object) -> str:
    command = [sys.executable, "-m", "rlvr.cli", *map(str, arguments)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def trained(folder: Path, tiny_folder: Path, data: Path, method: str, **training) -> Path:
    config = train_config(folder / "config.json", method, **training)
    run("train", config, "--model", tiny_folder, "--data", data,
        "--checkpoints", folder / "state", "--output", folder / "run")  # fmt: skip
    return folder / "run"


@pytest.mark.parametrize(
    ("method", "sync", "dtype"),
    [("lora", "merged", "float32"), ("lora", "adapter", "float32"), ("full", "merged", "float32"),
     ("dora", "merged", "bfloat16")],
)  # fmt: skip
def test_a_run_trains_on_what_vllm_samples(method, sync, dtype, tmp_path, tiny_folder, data):
    output = trained(tmp_path, tiny_folder, data, method, sync=sync, rollout_dtype=dtype)
    log = pd.read_parquet(output / "train_log.parquet")
    assert len(log) == 3
    assert (log["sync/update_norm"] > 0).all()
    limit = 1e-8 if dtype == "float32" else 1e-2
    assert log["sync/canary_kl"].max() < limit
    assert log["rollout/mismatch_kl"].max() < limit


def test_a_run_is_evaluated_with_vllm_as_with_transformers(tmp_path, tiny_folder, data):
    output = trained(tmp_path, tiny_folder, data, "lora")
    adapter = tmp_path / "adapter"
    run("export", tmp_path / "config.json", "--model", tiny_folder,
        "--trained", output / "trained.safetensors", "--output", adapter)  # fmt: skip
    rows = {}
    for engine in ("vllm", "transformers"):
        config = GenerateConfig(
            study="test", benchmark="test", dataset="data", samples_per_problem=1, prompt={}, batch_size=16,
            sampling={"temperature": 0, "max_new_tokens": 8}, dtype="float32", seed=0, shared_seed=False,
            engine=engine,
        )  # fmt: skip
        write_json(tmp_path / f"{engine}.json", config.model_dump(mode="json"))
        run("generate", tmp_path / f"{engine}.json", "--model", tiny_folder, "--data", data, "--adapter",
            adapter, "--checkpoints", tmp_path / "state", "--output", tmp_path / engine)  # fmt: skip
        rows[engine] = read_rows(tmp_path / engine / "test.parquet", Sample)
    assert rows["vllm"]["text"].tolist() == rows["transformers"]["text"].tolist()
