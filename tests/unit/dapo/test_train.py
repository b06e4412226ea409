"""The training loop: what it writes, and that a resumed run equals an uninterrupted one."""

import importlib.metadata
import json
import logging
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from rlvr.artifacts import TRAIN_LOG, RunRecord, read_record, read_train_log
from rlvr.config.resolved import TrainConfig, read_config
from rlvr.dapo.train import train
from rlvr.data.problems import write_problems
from rlvr.errors import UserError
from rlvr.files import read_json, sha256_of, write_json
from rlvr.methods import get_method
from rlvr.models.load import load_model
from rlvr.models.tiny import build_tokenizer
from rlvr.rollout.engines.transformers import CompletionSampler, TransformersEngine
from tests.helpers.causal_models import causal_model
from tests.helpers.forked_trainer import even_sum

COLUMNS = list(TRAIN_LOG)
SMALL = {"rank": 4, "alpha": 8, "initial_rank": 6, "target_rank": 3}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        {"id": f"{i}+{i}", "problem": f"{i}+{i}", "answer": str(2 * i), "origin": "test"} for i in range(30)
    ]
    write_problems(tmp_path / "data.parquet", pd.DataFrame(rows), {"entry": {"source": "test"}})
    return tmp_path / "data.parquet"


def small(method: str) -> dict[str, int]:
    return {key: value for key, value in SMALL.items() if key in get_method(method).Parameters.model_fields}


def config_at(path: Path, method: str = "lora", dropout: float = 0, **training) -> Path:
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
    config = TrainConfig(
        study="test", run=f"run-{method}", model="tiny", method=method, preset="recommended",
        trains_as=method, faults=(), setting="main", train_seed=1,
        parameters=small(method) | ({"dropout": dropout} if dropout else {}),
        dataset="data", prompt={}, answer_format="first-line-number", training=settings,
    )  # fmt: skip
    write_json(path, config.model_dump(mode="json"))
    return path


class PowerCut(Exception):
    """Simulates a killed machine."""


def fails_at(call: int):
    """The same reward, until call number ``call``."""
    calls = iter(range(10_000))

    def reward(problems, completions):
        if next(calls) == call:
            raise PowerCut
        return even_sum(problems, completions)

    return reward


@pytest.mark.parametrize(
    ("method", "dropout", "sync"),
    [
        *[("full", 0, "merged"), ("lora", 0, "merged"), ("dora", 0, "merged"), ("lora", 0.3, "merged")],
        *[(name, 0, "merged") for name in ("adalora", "lora_fa", "lora_plus", "pissa", "vera")],
        *[(name, 0, "merged") for name in ("adamss", "kasa")],
        *[("full", 0, "live"), ("lora", 0.3, "live"), ("adalora", 0, "live")],
    ],
)
def test_a_resumed_run_is_the_uninterrupted_run_bit_for_bit(
    tiny_folder, tmp_path, data, method, dropout, sync
):
    config = config_at(tmp_path / "config.json", method, dropout, sync=sync)
    train(config, tiny_folder, data, tmp_path / "a", tmp_path / "whole", reward=even_sum)
    with pytest.raises(PowerCut):
        train(config, tiny_folder, data, tmp_path / "b", tmp_path / "resumed", reward=fails_at(5))
    newest = sorted((tmp_path / "b").glob("*/step-*/state.json"))[-1]
    assert json.loads(newest.read_text())["progress"]["surplus"], "carried groups must be restored too"
    assert not (tmp_path / "resumed").exists(), "nothing is written before the end"
    train(config, tiny_folder, data, tmp_path / "b", tmp_path / "resumed", reward=even_sum)
    whole, resumed = (
        load_file(tmp_path / "whole/trained.safetensors"),
        load_file(tmp_path / "resumed/trained.safetensors"),
    )
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    logs = [pd.read_parquet(tmp_path / name / "train_log.parquet") for name in ("whole", "resumed")]
    stable = [name for name in COLUMNS if not name.startswith(("time/", "memory/"))]
    pd.testing.assert_frame_equal(logs[0][stable], logs[1][stable])
    assert json.loads((tmp_path / "resumed/run.json").read_text())["run_info"]["attempts"] == 2


def test_log_and_record_describe_the_run(tiny_folder, tmp_path, data):
    train(
        config_at(tmp_path / "config.json"),
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
    record = read_record(tmp_path / "run/run.json", RunRecord)
    assert record.run_info.config == read_config(tmp_path / "config.json", TrainConfig)
    assert record.run_info.attempts == 1
    assert record.run_info.devices == 1, "trainer and engine share the only device"
    assert record.run_info.device_seconds == record.run_info.seconds > 0
    total = sum(tensor.numel() for tensor in load_model(tiny_folder, "float32").parameters())
    assert record.train_info.total_parameters == total
    assert 0 < record.train_info.trainable_parameters < total
    assert record.train_info.reward_first == log["reward/mean"].iloc[0]
    assert record.train_info.reward_last == pytest.approx(log["reward/mean"].tail(5).mean())
    assert record.meta_info.packages["torch"] == importlib.metadata.version("torch")
    assert record.meta_info.model_sha256 == "test"


def test_the_phases_add_up_to_the_step(tiny_folder, tmp_path, data):
    config = config_at(tmp_path / "config.json", steps=2)
    train(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    log = pd.read_parquet(tmp_path / "run/train_log.parquet")
    phases = log[[f"time/{name}_seconds" for name in ("rollout", "reward", "update", "sync")]]
    assert (phases > 0).all(axis=None)
    assert (phases.sum(axis=1) <= log["time/step_seconds"]).all()


class TwoDevices(TransformersEngine):
    """An engine that reports a second device."""

    devices = property(
        lambda self: frozenset(p.device for p in self.model.parameters()) | {torch.device("meta")}
    )


def test_device_seconds_count_the_devices_of_trainer_and_engine(tiny_folder, tmp_path, data, monkeypatch):
    monkeypatch.setattr("rlvr.rollout.engines.transformers.TransformersEngine", TwoDevices)
    config = config_at(tmp_path / "config.json", steps=1, sync="merged")
    train(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    info = read_record(tmp_path / "run/run.json", RunRecord).run_info
    assert info.devices == 2, "the device that both use counts once"
    assert info.device_seconds == 2 * info.seconds


def test_results_of_a_finished_run_are_written_again_without_training(tiny_folder, tmp_path, data, caplog):
    caplog.set_level(logging.INFO, logger="rlvr")
    config = config_at(tmp_path / "config.json")
    train(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    assert f"run-lora: no checkpoint in {tmp_path / 'state'}/" in caplog.text
    assert "starting at step 0" in caplog.text
    content = (tmp_path / "run/trained.safetensors").read_bytes()
    (tmp_path / "run/trained.safetensors").unlink()
    train(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=fails_at(0))
    assert (tmp_path / "run/trained.safetensors").read_bytes() == content
    assert f"run-lora: resuming after 6 steps, from the checkpoint in {tmp_path / 'state'}/" in caplog.text


def test_another_setting_never_continues_old_state(tiny_folder, tmp_path, data):
    train(
        config_at(tmp_path / "a.json"), tiny_folder, data, tmp_path / "state", tmp_path / "a", reward=even_sum
    )
    other = config_at(tmp_path / "b.json", clip_high=0.3)
    with pytest.raises(PowerCut):
        train(other, tiny_folder, data, tmp_path / "state", tmp_path / "b", reward=fails_at(0))


def test_only_the_last_checkpoints_are_kept(tiny_folder, tmp_path, data):
    train(
        config_at(tmp_path / "config.json"),
        tiny_folder,
        data,
        tmp_path / "state",
        tmp_path / "run",
        reward=even_sum,
    )
    assert sorted(path.name for path in (tmp_path / "state").glob("*/step-*")) == [
        "step-000004",
        "step-000006",
    ]


def test_warm_up_is_linear(tiny_folder, tmp_path, data):
    config = config_at(tmp_path / "config.json", warmup_steps=3)
    train(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    rates = pd.read_parquet(tmp_path / "run/train_log.parquet")["optim/lr"]
    assert rates.tolist() == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-3])


def test_a_run_with_nothing_to_learn_from_warns_before_training(tiny_folder, tmp_path, data, caplog):
    config = config_at(tmp_path / "config.json", steps=1, stop_after_uninformative_steps=None)
    with_zeros = lambda problems, completions: [0.0] * len(problems)  # noqa: E731
    with caplog.at_level("INFO"):
        train(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=with_zeros)
    assert "before training, 0% of 12 groups have both correct and incorrect completions" in caplog.messages
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert "there is nothing to learn from" in warning.getMessage()
    log = pd.read_parquet(tmp_path / "run/train_log.parquet")
    assert log["groups/kept"].tolist() == [0]
    assert set(log.columns) == set(COLUMNS)


def rarely_informative(problems, completions):
    """About one group in four has both correct and incorrect completions."""
    return [
        float(sum(completion.token_ids) % 2 == 0 and int(problem.id.split("+")[0]) % 4 == 0)
        for problem, completion in zip(problems, completions, strict=True)
    ]


def test_a_batch_that_is_not_filled_is_reported_once_and_logged(tiny_folder, tmp_path, data, caplog):
    config = config_at(tmp_path / "config.json", dynamic_sampling={"max_rounds": 3, "surplus": "discard"})
    train(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=rarely_informative)
    log = pd.read_parquet(tmp_path / "run/train_log.parquet")
    assert (log["groups/filled_fraction"] == log["groups/kept"] / 3).all()
    assert ((log["groups/filled_fraction"] > 0) & (log["groups/filled_fraction"] < 1)).sum() > 1
    warnings = [message for message in caplog.messages if "of 3 groups: 3 rounds" in message]
    assert len(warnings) == 1 and "training.dynamic_sampling.max_rounds" in warnings[0]
    assert (log["groups/carried"] == 0).all()
    assert log["rollouts/completions"].tolist() == (4 * log["groups/sampled"]).cumsum().tolist()


def float16_folder(tiny_folder: Path, folder: Path) -> Path:
    """The tiny model, stored in float16."""
    shutil.copytree(tiny_folder, folder)
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: one.half() for name, one in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    return folder


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_float16_base_trains_and_resumes_bit_for_bit(tiny_folder, tmp_path, data, method, monkeypatch):
    monkeypatch.setattr("rlvr.dapo.loss_scale.START", 2.0**40)  # overflows: the scale matters
    model = float16_folder(tiny_folder, tmp_path / "model")
    config = config_at(tmp_path / "config.json", method, dtype="float16", rollout_dtype="float16")
    train(config, model, data, tmp_path / "a", tmp_path / "whole", reward=even_sum)
    with pytest.raises(PowerCut):
        train(config, model, data, tmp_path / "b", tmp_path / "resumed", reward=fails_at(5))
    train(config, model, data, tmp_path / "b", tmp_path / "resumed", reward=even_sum)
    whole, resumed = (load_file(tmp_path / name / "trained.safetensors") for name in ("whole", "resumed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    logs = [pd.read_parquet(tmp_path / name / "train_log.parquet") for name in ("whole", "resumed")]
    assert logs[0]["optim/overflows"].tolist() == logs[1]["optim/overflows"].tolist()
    assert logs[0]["optim/overflows"][0] > 0
    assert (logs[0]["rollout/mismatch_kl"] < 1e-3).all() and (logs[0]["sync/update_norm"] > 0).all()


@pytest.mark.parametrize("family", ["gemma2", "granite"])
def test_a_model_that_changes_its_logits_trains(family, tmp_path, data):
    """The trainer's log-probabilities are the engine's; the output layer alone gives other ones."""
    folder = tmp_path / "model"
    causal_model(family).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    write_json(folder / "provenance.json", {"sha256": "test"})
    log = trained(tmp_path, "lora", folder, data, steps=3, sync="merged")
    assert log["rollout/mismatch_kl"].max() < 1e-8
    assert log["sync/canary_kl"].max() < 1e-8
    assert (log["sync/update_norm"] > 0).all()


def test_dropout_of_the_base_is_not_trained_with(tiny_folder, tmp_path, data):
    """The run is the one of the same base without dropout."""
    noisy = tmp_path / "model"
    shutil.copytree(tiny_folder, noisy)
    config = json.loads((noisy / "config.json").read_text())
    (noisy / "config.json").write_text(json.dumps({**config, "attention_dropout": 0.5}))
    for folder, name in ((tiny_folder, "quiet"), (noisy, "noisy")):
        (tmp_path / name).mkdir()
        trained(tmp_path / name, "lora", folder, data, steps=2)
    quiet, noisy_run = (
        load_file(tmp_path / name / "lora/trained.safetensors") for name in ("quiet", "noisy")
    )
    assert all(torch.equal(quiet[name], noisy_run[name]) for name in quiet)


def test_an_overlong_prompt_stops_the_run_or_is_dropped(tiny_folder, tmp_path, caplog):
    problems = ["1+1", "2+2", "3+3", "123456+7"]
    rows = [
        {"id": text, "problem": text, "answer": "1", "origin": f"test#{line}"}
        for line, text in enumerate(problems, start=1)
    ]
    data = tmp_path / "data.parquet"
    write_problems(data, pd.DataFrame(rows), {"entry": {"source": "test"}})
    settings = {"steps": 1, "prompts_per_step": 2, "max_prompt_tokens": 6}
    stop = config_at(tmp_path / "stop.json", **settings)
    overlong = "test#4 (id '123456+7'): prompt of 10 tokens exceeds training.max_prompt_tokens = 6"
    with pytest.raises(UserError, match=re.escape(f"{overlong} (1 of 4 prompts do)")):
        train(stop, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    drop = config_at(tmp_path / "drop.json", **settings, overlong_prompts="drop")
    train(drop, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    assert json.loads((tmp_path / "run/run.json").read_text())["train_info"]["dropped_prompts"] == 1
    assert f"{overlong}; dropped" in caplog.messages
    room = config_at(tmp_path / "room.json", sampling={"max_new_tokens": 508})
    with pytest.raises(UserError, match=r"problem '1\+1': .* 508 exceed the 512 positions"):
        train(room, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)


def damage(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.write_bytes(b"{")


def test_a_damaged_checkpoint_is_skipped_and_all_damaged_are_named(tiny_folder, tmp_path, data, caplog):
    config = config_at(tmp_path / "config.json")
    train(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    content = (tmp_path / "run/trained.safetensors").read_bytes()
    damage(tmp_path / "state", "*/step-000006/trained.safetensors")
    train(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    assert "step-000006: damaged" in caplog.text
    assert (tmp_path / "run/trained.safetensors").read_bytes() == content
    damage(tmp_path / "state", "*/step-*/state.json")
    with pytest.raises(UserError, match="all checkpoints are damaged; delete the folder"):
        train(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)


def test_what_an_earlier_version_did_not_log_is_unknown(tiny_folder, tmp_path, data):
    config = config_at(tmp_path / "config.json")
    train(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    (folder,) = (tmp_path / "state").glob("*/step-000006")
    state, hashes = (read_json(folder / name) for name in ("state.json", "sha256.json"))
    for row in state["progress"]["log"]:
        del row["sync/gain"]
    write_json(folder / "state.json", state)
    write_json(folder / "sha256.json", {**hashes, "state.json": sha256_of(folder / "state.json")})
    train(config, tiny_folder, data, tmp_path / "state", tmp_path / "again", reward=even_sum)
    log = read_train_log(tmp_path / "again/train_log.parquet")
    assert log["sync/gain"].isna().all() and log["sync/update_norm"].notna().any()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_base_that_training_would_round_is_refused(tiny_folder, tmp_path, data, method):
    config = config_at(tmp_path / "config.json", method, dtype="bfloat16")
    with pytest.raises(UserError, match="bfloat16, which would round the float32 weights"):
        train(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)


def trained(folder: Path, method: str, tiny_folder: Path, data: Path, **training) -> pd.DataFrame:
    """Train and return the log."""
    config = config_at(folder / f"{method}.json", method, **training)
    train(config, tiny_folder, data, folder / "state", folder / method, reward=even_sum)
    return pd.read_parquet(folder / method / "train_log.parquet")


@pytest.mark.parametrize("method", ["full", "lora", "dora", "ia3"])
def test_in_float32_nothing_is_lost_between_trainer_and_engine(tmp_path, tiny_folder, data, method):
    log = trained(tmp_path, method, tiny_folder, data, sync="merged")
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
    merged = trained(tmp_path / "m", method, tiny_folder, data, sync="merged")
    hot_loaded = trained(tmp_path / "a", method, tiny_folder, data, sync="adapter")
    assert hot_loaded["sync/canary_kl"].max() < 1e-8
    assert hot_loaded["rollout/mismatch_kl"].max() < 1e-8
    assert hot_loaded["reward/mean"].tolist() == merged["reward/mean"].tolist()


def test_an_engine_that_keeps_the_base_weights_stops_the_run(tmp_path, tiny_folder, data, monkeypatch):
    """Seen elsewhere: the sync sent nothing, without an error, and the base model sampled all rollouts."""
    monkeypatch.setattr(TransformersEngine, "load_weights", lambda self, weights: list(weights))
    with pytest.raises(UserError, match="does not hold the weights"):
        trained(tmp_path, "lora", tiny_folder, data, sync="merged")
    assert not (tmp_path / "lora").exists()


def test_an_engine_that_hides_it_is_caught_by_the_canary(tmp_path, tiny_folder, data, monkeypatch):
    """The engine reports the weights that it was sent and computes with others."""
    sent = {}
    monkeypatch.setattr(TransformersEngine, "load_weights", lambda self, weights: sent.update(weights))
    monkeypatch.setattr(TransformersEngine, "held_weight", lambda self, name: sent[name])
    with pytest.raises(UserError, match="on the canary after the sync"):
        trained(tmp_path, "lora", tiny_folder, data, sync="merged", mismatch_alarm=1e-7)


@pytest.mark.parametrize("sync", ["live", "merged"])
def test_rollouts_of_another_policy_stop_the_run(tmp_path, tiny_folder, data, monkeypatch, sync):
    """The weights are correct, but the engine samples at another temperature than it was told."""
    generate = CompletionSampler.generate

    def hot(self, requests, sampling, longest_prompt=0):
        return generate(self, requests, sampling.model_copy(update={"temperature": 1.5}), longest_prompt)

    monkeypatch.setattr(CompletionSampler, "generate", hot)
    with pytest.raises(UserError, match="on the rollouts of step 0"):
        trained(tmp_path, "lora", tiny_folder, data, sync=sync)


def test_truncated_importance_sampling_is_one_where_nothing_differs(tmp_path, tiny_folder, data):
    (tmp_path / "with").mkdir()
    plain = trained(tmp_path, "lora", tiny_folder, data)
    corrected = trained(tmp_path / "with", "lora", tiny_folder, data, importance_cap=2.0)
    assert corrected["reward/mean"].tolist() == plain["reward/mean"].tolist()
    assert corrected["loss/policy"].tolist() == pytest.approx(plain["loss/policy"].tolist(), abs=1e-5)


@pytest.mark.parametrize("method", ["lora", "pissa", "pvera"])
def test_noise_in_training_is_no_mismatch(tmp_path, tiny_folder, data, method):
    """The engine samples without dropout, so it is compared with the trainer without dropout."""
    config = config_at(tmp_path / "config.json", method, 0.3 if method != "pvera" else 0)
    train(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    assert pd.read_parquet(tmp_path / "run/train_log.parquet")["rollout/mismatch_kl"].max() < 1e-8


@pytest.mark.parametrize("sync", ["live", "merged"])
def test_an_engine_whose_numbers_overflow_stops_the_run(tmp_path, tiny_folder, data, monkeypatch, sync):
    monkeypatch.setattr(
        CompletionSampler, "score", lambda self, tokens, t: [float("nan")] * len(tokens.completion_ids)
    )
    with pytest.raises(UserError, match="is nan nats"):
        trained(tmp_path, "lora", tiny_folder, data, sync=sync)


@pytest.mark.parametrize("method", ["lora", "dora", "full"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_policy_that_samples_itself_is_served_exactly(method, dtype, tmp_path, data):
    folder = tmp_path / "model"
    causal_model("llama", dtype).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    write_json(folder / "provenance.json", {"sha256": "test"})
    log = trained(tmp_path, method, folder, data, steps=3, dtype=dtype, sync="live")
    assert (log["sync/noise_to_signal"].dropna() == 0).all()
    assert (log["sync/update_norm"] > 0).all()
    assert log["sync/canary_kl"].isna().all()
    assert log["rollout/mismatch_kl"].max() < (1e-8 if dtype == "float32" else 1e-2)
