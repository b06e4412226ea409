"""A folder as published trains in bfloat16, is exported, and is the same model when plain PEFT loads it."""

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from rlvr.dapo.train import train
from rlvr.methods.export import export
from rlvr.methods.weights import exported_weights
from rlvr.models.load import load_model
from tests.helpers.published import as_published
from tests.unit.dapo.test_train import config_at, data, even_sum  # noqa: F401 (data is a fixture)


@pytest.mark.parametrize("method", ["lora", "dora", "pissa", "vera"])
def test_a_published_folder_trains_and_is_exported(method, tiny_folder, tmp_path, data):  # noqa: F811
    model = as_published(tiny_folder, tmp_path / "model")
    config = config_at(tmp_path / "config.json", method, steps=2, dtype="bfloat16", rollout_dtype="bfloat16")
    train(config, model, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    export(config, model, tmp_path / "run" / "trained.safetensors", tmp_path / "adapter")
    base = {name: weight.float() for name, weight in load_file(model / "model.safetensors").items()}
    served = dict(exported_weights(load_model(model, "float32"), tmp_path / "adapter"))
    assert any((weight - base[name]).abs().max() > 0 for name, weight in served.items())
    ids = torch.arange(5, 15)[None]
    with torch.no_grad():
        loaded = PeftModel.from_pretrained(load_model(model, "float32"), str(tmp_path / "adapter")).eval()
        merged = load_model(model, "float32").eval()
        for name, weight in served.items():
            merged.get_parameter(name).data.copy_(weight)
        torch.testing.assert_close(
            loaded(input_ids=ids).logits, merged(input_ids=ids).logits, atol=1e-4, rtol=1e-4
        )
