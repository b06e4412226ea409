"""What is evaluated is what users load: in 16 bits an adapter is not merged, so no small update is lost."""

import pytest
import torch

from rlvr.methods import methods
from rlvr.methods.weights import exported_weights, load_exported
from tests.helpers.small_methods import INPUTS, base_model, logits, method_of, plain_with, policy_of, train

NAMES = sorted(methods())


@torch.no_grad()
def plain_logits(model: torch.nn.Module) -> torch.Tensor:
    """Logits as an engine computes them: without autocast."""
    return model.eval()(input_ids=INPUTS).logits.float()


@pytest.mark.parametrize("name", NAMES)
def test_an_export_loaded_in_bfloat16_is_the_policy(name, tmp_path):
    method, policy = method_of(name), policy_of(name, "bfloat16")
    train(method, policy, "bfloat16")
    trained = logits(policy, "bfloat16")
    method.export(policy, tmp_path)
    loaded = base_model("bfloat16")
    load_exported(loaded, tmp_path)
    base = plain_logits(base_model("bfloat16"))
    assert (plain_logits(loaded) - trained).norm() < 0.1 * (trained - base).norm()


def test_an_update_below_the_grid_survives_as_an_adapter_and_not_as_a_merge(tmp_path):
    method, policy = method_of("lora"), policy_of("lora", "bfloat16")
    train(method, policy, "bfloat16", steps=1, rate=1e-4)
    method.export(policy, tmp_path)
    adapter = base_model("bfloat16")
    load_exported(adapter, tmp_path)
    base, exact = base_model("bfloat16").float(), base_model("bfloat16").float()
    merged = plain_with(exported_weights(base_model("bfloat16").float(), tmp_path), "bfloat16")
    load_exported(exact, tmp_path)
    update = plain_logits(exact) - plain_logits(base)
    lost_by_merge, lost_by_adapter = (
        (plain_logits(model.float()) - plain_logits(base) - update).norm() / update.norm()
        for model in (merged, adapter)
    )
    assert lost_by_adapter < 0.01
    assert lost_by_merge > 0.1
