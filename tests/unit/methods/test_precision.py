"""Methods do not depend on the precision of the base, nor on the machine that decomposed it."""

import pytest
import torch

from rlvr.methods import methods
from rlvr.methods.policy import load_trained_state, trainable_parameters, trained_state
from rlvr.methods.weights import exported_weights, merged_weights
from tests.helpers.grid import cases
from tests.helpers.small_methods import base_model, logits, method_of, policy_of, train, untrained

DECOMPOSING = [
    *("adamss", "geora", "kasa", "lora_xs", "mica", "milora", "milora_plus", "osf", "pissa", "psoft"),
    *("rlmo", "rlpo", "tinylora"),
]
"""Methods that start from singular vectors of the base."""


@pytest.mark.parametrize(("name", "dtype", "family"), cases(11))
def test_untrained_weights_are_the_base_in_every_precision(name, dtype, family):
    """A training step moves weights by about 1e-4 of their size: what is there before must be far less."""
    base = dict(base_model(dtype, family).named_parameters())
    for key, weight in merged_weights(method_of(name), policy_of(name, dtype, family)):
        before = base[key].float()
        assert (weight - before).norm() <= 1e-6 * before.norm()


@pytest.mark.parametrize("name", sorted(methods()))
def test_a_saved_state_means_the_same_on_a_float16_base_under_another_generator(name):
    method, policy = method_of(name), policy_of(name, "float16")
    state = {key: tensor.clone() for key, tensor in trained_state(method, policy).items()}
    elsewhere = untrained(method, "float16", seed=77)
    load_trained_state(method, elsewhere, state, "test")
    here = dict(merged_weights(method, policy))
    for key, weight in merged_weights(method, elsewhere):
        assert torch.equal(weight, here[key]), key


@pytest.fixture
def other_machine(monkeypatch):
    """Another LAPACK: singular vectors are unique up to their sign; here every second one differs."""
    svd = torch.linalg.svd

    def turned(matrix, full_matrices=True):
        u, s, vh = svd(matrix, full_matrices=full_matrices)
        sign = torch.ones(len(s))
        sign[::2] = -1
        return u * sign, s, sign[:, None] * vh

    return lambda: monkeypatch.setattr(torch.linalg, "svd", turned)


@pytest.mark.parametrize("name", DECOMPOSING)
def test_a_run_means_the_same_where_singular_vectors_have_other_signs(name, other_machine, tmp_path):
    method, policy = method_of(name), policy_of(name)
    train(method, policy, rate=0.1)
    state = {key: tensor.clone() for key, tensor in trained_state(method, policy).items()}
    here = dict(merged_weights(method, policy))
    method.export(policy, tmp_path)
    other_machine()
    elsewhere = policy_of(name)
    load_trained_state(method, elsewhere, state, "test")
    for key, weight in merged_weights(method, elsewhere):
        torch.testing.assert_close(weight, here[key], atol=0, rtol=0)
    exported = dict(exported_weights(base_model(), tmp_path))  # of OSF the whole model
    for key, weight in here.items():
        torch.testing.assert_close(exported[key], weight, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "dtype", "family"), cases(7, dtypes=("bfloat16", "float16"), always=1))
def test_an_export_keeps_an_update_below_the_grid_of_its_base(name, dtype, family, tmp_path):
    """A bfloat16 gain of one moves by 0.4 % or not at all; an update is smaller than that."""
    method, policy = method_of(name), policy_of(name, dtype, family)
    torch.manual_seed(0)
    for parameter in policy.parameters():
        if parameter.requires_grad:
            parameter.data += 2e-4 * torch.randn_like(parameter)
    trained = dict(merged_weights(method, policy))
    method.export(policy, tmp_path)
    base = base_model(dtype, family)
    if method.loaded_as_base:
        base = base.float()
    start = {key: weight.detach().clone() for key, weight in base.named_parameters()}
    exported = {key: weight for key, weight in exported_weights(base, tmp_path) if key in trained}
    assert exported.keys() == trained.keys()
    update = sum(float((trained[key] - start[key].float()).square().sum()) for key in trained) ** 0.5
    error = sum(float((exported[key].float() - trained[key]).square().sum()) for key in trained) ** 0.5
    assert update > 0
    assert error <= 0.02 * update


@pytest.mark.parametrize("part", ["vector_a", "vector_b", "weight"])
def test_psoft_on_a_bfloat16_base_answers_small_changes(part):
    """1 + 1e-3 is 1 in bfloat16; the policy that is trained must be the one that is merged all the same."""
    method, policy = method_of("psoft"), policy_of("psoft", "bfloat16")
    layer = dict(method.adapted_layers(policy))["model.layers.0.mlp.up_proj"]
    rotation = layer.psoft_R["default"]
    torch.manual_seed(0)
    x, size = torch.randn(256, 64, dtype=torch.bfloat16), 1e-3
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        coordinates = torch.randn(256, rotation.size, dtype=torch.bfloat16)
        getattr(rotation, part).add_(size)
        answer = rotation(coordinates) - coordinates
    expected = coordinates.float() @ (rotation.get_matrix() - torch.eye(rotation.size)).T
    assert (answer - expected).norm() <= 0.02 * expected.norm()
    assert torch.isfinite(layer(x)).all()


@pytest.mark.parametrize(("tying", "vectors"), [(0.0, 14), (0.5, 7), (0.9, 1), (1.0, 1)])
def test_tied_tinylora_trains_fewer_vectors(tying, vectors):
    policy = untrained(method_of("tinylora", weight_tying=tying, vector_length=13))
    assert trainable_parameters(policy) == 13 * vectors


def test_unilora_is_one_vector_and_moves_as_one():
    method, policy = method_of("unilora"), policy_of("unilora")
    before = logits(policy)
    with torch.no_grad():
        policy.base_model.unilora_theta_d["default"].mul_(50)
    assert [p.shape for p in policy.parameters() if p.requires_grad] == [(method.parameters.vector_length,)]
    assert (logits(policy) - before).abs().max() > 1e-3
