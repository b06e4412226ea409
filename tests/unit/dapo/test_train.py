"""The training loop: what it writes, and that stopping and starting again changes nothing."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from rlvr.config.resolved import TrainConfig
from rlvr.dapo.train import train
from rlvr.data.problems import write_problems
from rlvr.errors import UserError
from rlvr.files import write_json
from rlvr.methods import get_method
from rlvr.rollout.engines.transformers import TransformersEngine

COLUMNS = [
    "step",
    "reward/mean",
    "reward/correct",
    "completion/length_mean",
    "completion/truncated_fraction",
    "groups/sampled",
    "groups/kept",
    "groups/dropped",
    "groups/carried",
    "groups/informative_fraction",
    "loss/policy",
    "loss/extra",
    "loss/clip_fraction",
    "rollout/mismatch_kl",
    "sync/noise_to_signal",
    "sync/update_norm",
    "sync/canary_kl",
    "policy/entropy",
    "optim/grad_norm",
    "optim/lr",
    "time/rollout_seconds",
    "time/reward_seconds",
    "time/update_seconds",
    "time/sync_seconds",
    "time/step_seconds",
    "tokens/generated",
    "tokens/trained",
    "memory/peak_bytes",
]
SMALL = {"rank": 4, "alpha": 8, "initial_rank": 6, "target_rank": 3}


def even_sum(problems, completions):
    """A reward that a random model earns half of the time."""
    return [float(sum(completion.token_ids) % 2 == 0) for completion in completions]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        {"id": f"{i}+{i}", "problem": f"{i}+{i}", "answer": str(2 * i), "source": "test"} for i in range(30)
    ]
    write_problems(tmp_path / "data.parquet", pd.DataFrame(rows), {"source": {"source": "test"}})
    return tmp_path / "data.parquet"


def small(method: str) -> dict[str, int]:
    return {key: value for key, value in SMALL.items() if key in get_method(method).Parameters.model_fields}


def cell_at(path: Path, method: str = "lora", dropout: float = 0, **training) -> Path:
    settings = {
        "steps": 6,
        "prompts_per_step": 3,
        "group_size": 4,
        "learning_rate": 1e-3,
        "sampling": {"max_new_tokens": 5},
        "soft_overlong": {"buffer_tokens": 2},
        "checkpoint_every": 2,
        **training,
    }
    cell = TrainConfig(
        study="test", run=f"run-{method}", model="tiny", method=method, preset="recommended",
        trains_as=method, faults=(), setting="main", train_seed=1,
        parameters=small(method) | ({"dropout": dropout} if dropout else {}),
        dataset="data", prompt={}, answer_format="first-line-number", training=settings,
    )  # fmt: skip
    write_json(path, cell.model_dump(mode="json"))
    return path


class PowerCut(Exception):
    """The machine went away."""


def fails_at(call: int):
    """The same reward, until the power goes."""
    calls = iter(range(10_000))

    def reward(problems, completions):
        if next(calls) == call:
            raise PowerCut
        return even_sum(problems, completions)

    return reward


@pytest.mark.parametrize(
    ("method", "dropout"),
    [
        *[("full", 0), ("lora", 0), ("dora", 0), ("lora", 0.3)],
        *[("adalora", 0), ("lora_fa", 0), ("lora_plus", 0), ("pissa", 0), ("vera", 0)],
    ],
)
def test_a_resumed_run_is_the_uninterrupted_run_bit_for_bit(tiny_folder, tmp_path, data, method, dropout):
    cell = cell_at(tmp_path / "cell.json", method, dropout)
    train(cell, tiny_folder, data, tmp_path / "a", tmp_path / "whole", reward=even_sum)
    with pytest.raises(PowerCut):
        train(cell, tiny_folder, data, tmp_path / "b", tmp_path / "cut", reward=fails_at(5))
    newest = sorted((tmp_path / "b").glob("*/step-*/state.json"))[-1]
    assert json.loads(newest.read_text())["progress"]["surplus"], "carried groups must be restored too"
    assert not (tmp_path / "cut").exists(), "nothing is published before the end"
    train(cell, tiny_folder, data, tmp_path / "b", tmp_path / "cut", reward=even_sum)
    whole, cut = (
        load_file(tmp_path / "whole/trained.safetensors"),
        load_file(tmp_path / "cut/trained.safetensors"),
    )
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    logs = [pd.read_parquet(tmp_path / name / "train_log.parquet") for name in ("whole", "cut")]
    stable = [name for name in COLUMNS if not name.startswith(("time/", "memory/"))]
    pd.testing.assert_frame_equal(logs[0][stable], logs[1][stable])
    assert json.loads((tmp_path / "cut/run.json").read_text())["run_info"]["attempts"] == 2


def test_the_run_is_logged_and_described(tiny_folder, tmp_path, data):
    train(
        cell_at(tmp_path / "cell.json"),
        tiny_folder,
        data,
        tmp_path / "state",
        tmp_path / "run",
        reward=even_sum,
    )
    log = pd.read_parquet(tmp_path / "run/train_log.parquet")
    assert set(log.columns) == set(COLUMNS)
    assert log["step"].tolist() == list(range(6))
    assert (log["groups/kept"] <= 3).all()
    assert log["optim/lr"].tolist() == [1e-3] * 6
    info = json.loads((tmp_path / "run/run.json").read_text())
    assert info["run_info"]["status"] == "finished"
    assert info["train_info"]["trainable_parameters"] > 0
    assert info["meta_info"]["packages"]["torch"]
    assert info["meta_info"]["model_sha256"] == "test"


def test_a_finished_run_is_published_again_without_training(tiny_folder, tmp_path, data):
    cell = cell_at(tmp_path / "cell.json")
    train(cell, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    content = (tmp_path / "run/trained.safetensors").read_bytes()
    (tmp_path / "run/trained.safetensors").unlink()
    train(cell, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=fails_at(0))
    assert (tmp_path / "run/trained.safetensors").read_bytes() == content


def test_another_setting_never_continues_old_state(tiny_folder, tmp_path, data):
    train(
        cell_at(tmp_path / "a.json"), tiny_folder, data, tmp_path / "state", tmp_path / "a", reward=even_sum
    )
    other = cell_at(tmp_path / "b.json", clip_high=0.3)
    with pytest.raises(PowerCut):
        train(other, tiny_folder, data, tmp_path / "state", tmp_path / "b", reward=fails_at(0))


def test_only_the_last_checkpoints_are_kept(tiny_folder, tmp_path, data):
    train(
        cell_at(tmp_path / "cell.json"),
        tiny_folder,
        data,
        tmp_path / "state",
        tmp_path / "run",
        reward=even_sum,
    )
    assert sorted(path.name for path in (tmp_path / "state").glob("*/*")) == ["step-000004", "step-000006"]


def test_warm_up_is_linear(tiny_folder, tmp_path, data):
    cell = cell_at(tmp_path / "cell.json", warmup_steps=3)
    train(cell, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    rates = pd.read_parquet(tmp_path / "run/train_log.parquet")["optim/lr"]
    assert rates.tolist() == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-3])


def test_nothing_to_learn_from_is_said_before_training(tiny_folder, tmp_path, data, capsys):
    cell = cell_at(tmp_path / "cell.json", steps=1)
    with_zeros = lambda problems, completions: [0.0] * len(problems)  # noqa: E731
    train(cell, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=with_zeros)
    printed = capsys.readouterr().out
    assert "before training, 0% of 12 groups hold right and wrong answers" in printed
    assert "WARNING: no group holds both" in printed
    log = pd.read_parquet(tmp_path / "run/train_log.parquet")
    assert log["groups/kept"].tolist() == [0]
    assert set(log.columns) == set(COLUMNS)


def test_an_overlong_prompt_stops_the_run_or_is_left_out_as_the_study_says(tiny_folder, tmp_path, capsys):
    problems = ["1+1", "2+2", "3+3", "123456+7"]
    rows = [
        {"id": text, "problem": text, "answer": "1", "source": f"test#{line}"}
        for line, text in enumerate(problems, start=1)
    ]
    data = tmp_path / "data.parquet"
    write_problems(data, pd.DataFrame(rows), {"source": {"source": "test"}})
    settings = {"steps": 1, "prompts_per_step": 2, "max_prompt_tokens": 6}
    stop = cell_at(tmp_path / "stop.json", **settings)
    long = r"test#4 \(id '123456\+7'\): a prompt of 10 tokens, "
    with pytest.raises(UserError, match=rf"{long}training\.max_prompt_tokens is 6 \(1 of 4 are too long\)"):
        train(stop, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    drop = cell_at(tmp_path / "drop.json", **settings, overlong_prompts="drop")
    train(drop, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    assert json.loads((tmp_path / "run/run.json").read_text())["train_info"]["dropped_prompts"] == 1
    assert re.search(rf"{long}left out", capsys.readouterr().out)
    room = cell_at(tmp_path / "room.json", sampling={"max_new_tokens": 508})
    with pytest.raises(UserError, match=r"problem '1\+1': .* 508 exceed the 512 positions"):
        train(room, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)


def damage(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.write_bytes(b"{")


def test_a_damaged_checkpoint_is_skipped_and_all_damaged_are_named(tiny_folder, tmp_path, data, capsys):
    cell = cell_at(tmp_path / "cell.json")
    train(cell, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    content = (tmp_path / "run/trained.safetensors").read_bytes()
    damage(tmp_path / "state", "*/step-000006/trained.safetensors")
    train(cell, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    assert "step-000006: damaged" in capsys.readouterr().out
    assert (tmp_path / "run/trained.safetensors").read_bytes() == content
    damage(tmp_path / "state", "*/step-*/state.json")
    with pytest.raises(UserError, match="all checkpoints are damaged; delete the folder"):
        train(cell, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)


def test_a_base_that_training_would_round_is_refused_for_adapters(tiny_folder, tmp_path, data):
    lora = cell_at(tmp_path / "lora.json", dtype="bfloat16")
    with pytest.raises(UserError, match="holds float32 weights, which that would round"):
        train(lora, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    full = cell_at(tmp_path / "full.json", "full", dtype="bfloat16", steps=1)
    train(full, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)


def trained(folder: Path, method: str, tiny_folder: Path, data: Path, **training) -> pd.DataFrame:
    """Train and return the log."""
    cell = cell_at(folder / f"{method}.json", method, **training)
    train(cell, tiny_folder, data, folder / "state", folder / method, reward=even_sum)
    return pd.read_parquet(folder / method / "train_log.parquet")


@pytest.mark.parametrize("method", ["full", "lora", "dora", "ia3"])
def test_in_float32_nothing_is_lost_between_trainer_and_engine(tmp_path, tiny_folder, data, method):
    log = trained(tmp_path, method, tiny_folder, data)
    assert (log["sync/update_norm"] > 0).all()
    assert (log["sync/noise_to_signal"] == 0).all()
    assert log["sync/canary_kl"].max() < 1e-8
    assert log["rollout/mismatch_kl"].max() < 1e-8


def test_a_merge_into_bfloat16_loses_what_an_adapter_keeps(tmp_path, tiny_folder, data):
    """The confound of precision: after a few steps most of a merged update is rounding noise."""
    settings = {"rollout_dtype": "bfloat16", "learning_rate": 1e-3}
    merged = trained(tmp_path, "lora", tiny_folder, data, **settings)
    (tmp_path / "adapter").mkdir()
    hot_loaded = trained(tmp_path / "adapter", "lora", tiny_folder, data, sync="adapter", **settings)
    assert merged["sync/noise_to_signal"].iloc[0] > 0.1
    assert hot_loaded["sync/noise_to_signal"].iloc[0] < 0.01


@pytest.mark.parametrize("method", ["lora", "pissa", "adalora", "vera", "miss"])
def test_a_hot_loaded_adapter_trains_as_merged_weights_do(tmp_path, tiny_folder, data, method):
    (tmp_path / "m").mkdir(), (tmp_path / "a").mkdir()
    merged = trained(tmp_path / "m", method, tiny_folder, data)
    hot_loaded = trained(tmp_path / "a", method, tiny_folder, data, sync="adapter")
    assert hot_loaded["sync/canary_kl"].max() < 1e-8
    assert hot_loaded["rollout/mismatch_kl"].max() < 1e-8
    assert hot_loaded["reward/mean"].tolist() == merged["reward/mean"].tolist()


def test_an_engine_that_keeps_the_base_weights_stops_the_run(tmp_path, tiny_folder, data, monkeypatch):
    """What happened to others: the sync silently sent nothing, and the base model answered all along."""
    monkeypatch.setattr(TransformersEngine, "load_weights", lambda self, weights: list(weights))
    with pytest.raises(UserError, match="does not hold the weights"):
        trained(tmp_path, "lora", tiny_folder, data)
    assert not (tmp_path / "lora").exists()


def test_an_engine_that_hides_it_is_caught_by_the_canary(tmp_path, tiny_folder, data, monkeypatch):
    """It reports what it was sent and computes with something else."""
    sent = {}
    monkeypatch.setattr(TransformersEngine, "load_weights", lambda self, weights: sent.update(weights))
    monkeypatch.setattr(TransformersEngine, "held_weight", lambda self, name: sent[name])
    with pytest.raises(UserError, match="on the canary after the sync"):
        trained(tmp_path, "lora", tiny_folder, data, mismatch_alarm=1e-7)


def test_rollouts_of_another_policy_stop_the_run(tmp_path, tiny_folder, data, monkeypatch):
    """The engine samples at another temperature than it says; no weight is wrong."""
    generate = TransformersEngine.generate

    def hot(self, requests, sampling, *rest):
        return generate(self, requests, sampling.model_copy(update={"temperature": 1.5}), *rest)

    monkeypatch.setattr(TransformersEngine, "generate", hot)
    with pytest.raises(UserError, match="on the rollouts of step 0"):
        trained(tmp_path, "lora", tiny_folder, data)


def test_truncated_importance_sampling_is_one_where_nothing_differs(tmp_path, tiny_folder, data):
    (tmp_path / "with").mkdir()
    plain = trained(tmp_path, "lora", tiny_folder, data)
    corrected = trained(tmp_path / "with", "lora", tiny_folder, data, importance_cap=2.0)
    assert corrected["reward/mean"].tolist() == plain["reward/mean"].tolist()
    assert corrected["loss/policy"].tolist() == pytest.approx(plain["loss/policy"].tolist(), abs=1e-5)


@pytest.mark.parametrize("method", ["lora", "pissa", "pvera"])
def test_noise_in_training_is_no_mismatch(tmp_path, tiny_folder, data, method):
    """The engine samples without dropout, so it is compared with the trainer without dropout."""
    cell = cell_at(tmp_path / "cell.json", method, 0.3 if method != "pvera" else 0)
    train(cell, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    assert pd.read_parquet(tmp_path / "run/train_log.parquet")["rollout/mismatch_kl"].max() < 1e-8


def test_an_engine_whose_numbers_overflow_stops_the_run(tmp_path, tiny_folder, data, monkeypatch):
    monkeypatch.setattr(
        TransformersEngine, "score", lambda self, prompt, answer, t: [float("nan")] * len(answer)
    )
    with pytest.raises(UserError, match="is nan nats"):
        trained(tmp_path, "lora", tiny_folder, data)
