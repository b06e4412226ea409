"""A family is tried when its model is prepared, and refused there if training would refuse it."""

import logging

import pytest
import torch
from transformers import AutoModelForCausalLM

from rlvr.cli import main
from rlvr.dapo.trial import trial_model, try_model
from rlvr.errors import UserError
from rlvr.files import write_json
from rlvr.models.tiny import build_tokenizer
from tests.helpers.causal_models import causal_config
from tests.helpers.families import family_config

LARGER = {"num_hidden_layers": 8, "vocab_size": 500, "eos_token_id": [499, 3], "pad_token_id": 498}


@pytest.mark.parametrize("family", ["opt", "gemma2", "gpt2"])
def test_a_family_that_can_be_trained_passes(family, tmp_path, caplog):
    causal_config(family).save_pretrained(tmp_path)
    with caplog.at_level(logging.INFO):
        try_model(tmp_path)
    assert "not tried" not in caplog.text


@pytest.mark.parametrize(
    ("family", "settings", "blocks"),
    [
        ("llama", {}, 2),
        ("gemma3_text", {}, 6),
        ("jamba", {"attn_layer_offset": 2, "attn_layer_period": 4}, 3),
    ],
)
def test_the_first_blocks_hold_all_kinds_of_them(family, settings, blocks):
    model = trial_model(family_config(family, **LARGER | settings))
    assert model.config.num_hidden_layers == blocks == len(model.model.layers)
    assert model.config.vocab_size == len(build_tokenizer())


def test_a_model_that_cannot_be_sampled_is_refused(tmp_path):
    """No block of it has attention, by which the cache counts."""
    mamba = {"mamba_n_heads": 4, "mamba_d_head": 32, "mamba_n_groups": 1, "mamba_d_state": 8}
    family_config("bamba", **LARGER | mamba, attn_layer_indices=[]).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"model_type bamba.*cannot be trained.*family"):
        try_model(tmp_path)


def test_blocks_that_are_too_large_are_not_tried(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("rlvr.dapo.trial.LARGEST_TRIAL", 1000)
    causal_config("llama").save_pretrained(tmp_path)
    with caplog.at_level(logging.INFO):
        try_model(tmp_path)
    assert "not tried before training: its blocks are too large" in caplog.text


def test_preparing_a_model_refuses_it_with_a_way_out(tmp_path, capsys):
    """CodeGen divides its attention among four devices, and so its heads."""
    tokenizer, config = build_tokenizer(), causal_config("codegen", rotary_dim=8)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(tmp_path / "published")
    tokenizer.save_pretrained(tmp_path / "published")
    write_json(tmp_path / "entry.json", {"source": "local", "path": str(tmp_path / "published")})
    assert main(["prepare-model", str(tmp_path / "entry.json"), "-o", str(tmp_path / "model")]) == 1
    message = capsys.readouterr().err
    assert "model_type codegen" in message and "use another precision" in message
