"""Weights on their way to vLLM: all of them, a decoder layer at a time. vLLM itself: tests/vllm."""

import pytest
import torch

from rlvr.errors import UserError
from rlvr.models.load import load_model
from rlvr.rollout.engines.vllm_weights import BaseWeights, group_of


@pytest.fixture
def names(tiny_folder) -> list[str]:
    return [name for name, _ in load_model(tiny_folder, "float32").named_parameters()]


@pytest.fixture
def base(tiny_folder, names) -> BaseWeights:
    return BaseWeights(tiny_folder, names, torch.float32)


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("model.layers.3.self_attn.q_proj.weight", "model.layers.3"),
        ("model.layers.11.mlp.experts.4.up_proj.weight", "model.layers.11"),
        ("transformer.h.0.attn.c_attn.bias", "transformer.h.0"),
        ("model.embed_tokens.weight", "model.embed_tokens"),
        ("lm_head.weight", "lm_head"),
    ],
)
def test_what_an_engine_may_fuse_is_sent_together(name, group):
    assert group_of(name) == group


def test_all_weights_are_sent_and_the_given_ones_replace_those_of_the_folder(base, names, tiny_folder):
    own = dict(load_model(tiny_folder, "float32").named_parameters())
    given = {name: own[name].detach() + 1 for name in names if ".layers.1.self_attn.q_proj" in name}
    sent = list(base.replaced(given.items()))
    assert sorted(name for name, _ in sent) == sorted(names)
    for name, weight in sent:
        assert torch.equal(weight, given.get(name, own[name]))
    groups = [group_of(name) for name, _ in sent]
    assert groups[: groups.count("model.layers.1")] == ["model.layers.1"] * groups.count("model.layers.1")


def test_weights_are_taken_one_layer_at_a_time(base, names):
    taken = []

    def stream():
        for name in names:
            taken.append(name)
            yield name, base[name]

    sent = base.replaced(stream())
    for name, _ in sent:
        if name.startswith("model.layers.0"):
            break
    assert not [name for name in taken if name.startswith("model.layers.1") and name != taken[-1]]


def test_weights_are_rounded_to_the_precision_of_the_engine(tiny_folder, names):
    rounded = BaseWeights(tiny_folder, names, torch.bfloat16)
    assert {weight.dtype for _, weight in rounded} == {torch.bfloat16}


def test_an_unknown_weight_is_refused(base):
    with pytest.raises(UserError, match=r"no weight 'model\.layers\.9\.nonsense'"):
        list(base.replaced([("model.layers.9.nonsense", torch.zeros(1))]))


def test_a_weight_that_comes_after_its_layer_is_refused(base, names):
    order = [names[1], names[0], names[2]]
    assert group_of(names[1]) == group_of(names[2]) != group_of(names[0])
    with pytest.raises(UserError, match="in another order"):
        list(base.replaced((name, base[name]) for name in order))


def test_parameters_that_are_stored_under_other_names_are_refused(tiny_folder, names):
    with pytest.raises(
        UserError, match=r"'model.experts' is stored under another name.*engine: transformers"
    ):
        BaseWeights(tiny_folder, [*names, "model.experts"], torch.float32)
