"""The pitfalls of methods that the paper does not have: what they start from, share, and do not change."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from transformers import AutoModelForCausalLM

from rlvr.errors import UserError
from rlvr.methods import get_method, make_method
from rlvr.methods.base.measure import shape_of
from rlvr.methods.catalogue.geora import smallest
from rlvr.methods.layers.adamss import ClusteredLinear, clustered
from rlvr.methods.layers.lily import InterconnectedLinear
from rlvr.methods.weights import merged_weights
from tests.helpers.families import family_config
from tests.helpers.small_methods import INPUTS, base_model, method_of, policy_of, train, training, untrained


def layers_of(name: str, policy: nn.Module) -> dict[str, nn.Module]:
    return dict(method_of(name).adapted_layers(policy))


# --- RLPO, RLMO, GeoRA, NoRA-init: where they start -------------------------------------------------


@pytest.mark.parametrize(("name", "chosen"), [("rlpo", slice(4)), ("rlmo", slice(-4, None))])
def test_rlpo_and_rlmo_read_orthonormal_directions_of_the_base(name, chosen):
    method, policy = method_of(name), policy_of(name)
    for _, layer in method.adapted_layers(policy):
        weight, down = method.base_weights(layer)["weight"], layer.lora_A["default"].weight
        torch.testing.assert_close(down @ down.T, torch.eye(4), atol=1e-5, rtol=0)
        gains = torch.linalg.svdvals(weight)[chosen]
        torch.testing.assert_close((weight @ down.T).norm(dim=0), gains, atol=1e-5, rtol=1e-3)
        assert not layer.lora_B["default"].weight.any()


def test_the_mask_of_geora_keeps_the_smallest_entries():
    matrix = torch.tensor([[3.0, -1.0, 0.5], [-0.2, 2.0, -4.0]])
    assert smallest(matrix, 0.5).tolist() == [[False, True, True], [True, False, False]]
    assert smallest(matrix, 0.01).sum() == 1


def principal(weight: torch.Tensor) -> torch.Tensor:
    u, s, vh = torch.linalg.svd(weight, full_matrices=False)
    return u[:, :4] * s[:4] @ vh[:4]


@pytest.mark.parametrize("alpha", [4, 8])
def test_geora_starts_from_the_masked_base_times_its_scale(alpha):
    method = method_of("geora", alpha=alpha)
    for _, layer in method.adapted_layers(untrained(method)):
        weight = method.base_weights(layer)["weight"]
        mask = smallest(weight, 0.2) | smallest(principal(weight), 0.2)
        assert 0.2 < mask.float().mean() < 0.4
        down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        torch.testing.assert_close(up @ down, principal(weight * mask), atol=1e-5, rtol=1e-3)
        assert layer.scaling["default"] == alpha / 4


def test_columns_have_norm_one_always_in_nora_and_at_the_start_in_nora_init():
    policy = policy_of("nora_init")
    for layer in layers_of("nora_init", policy).values():
        norms = layer.lora_A["default"].weight.norm(dim=0)
        torch.testing.assert_close(norms, torch.ones_like(norms))
    method, policy = method_of("nora"), policy_of("nora")
    train(method, policy, rate=0.1)
    for layer in layers_of("nora", policy).values():
        down, _ = method.to_lora(layer)
        torch.testing.assert_close(down.norm(dim=0), torch.ones(down.shape[1]))
        assert (layer.down.norm(dim=0) - 1).abs().max() > 0.1, "what is trained is not normalised itself"


def test_nora_refuses_a_rank_at_which_a_would_never_move():
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        get_method("nora").Parameters(rank=1)


def test_sparse_small_moves_the_entries_that_supertuning_leaves_alone():
    plain, moved = dict(base_model().named_parameters()), {}
    for name in ("sparse_small", "supertuning"):
        method, policy = method_of(name), policy_of(name)
        train(method, policy)
        moved[name] = {key: weight != plain[key] for key, weight in merged_weights(method, policy)}
    for key in (key for key in plain if key in moved["supertuning"] and key.endswith("weight")):
        small, large = (plain[key].abs()[moved[name][key]] for name in ("sparse_small", "supertuning"))
        assert 0 < len(small) == len(large)
        assert small.max() < large.min()
        assert small.max() <= plain[key].abs().flatten().sort().values[len(small)]


def test_a_run_of_sparse_small_records_its_fixed_choice_and_is_read_again():
    values = make_method("sparse_small", {}).parameters.model_dump()
    assert values["largest"] is False
    assert make_method("sparse_small", values).parameters.largest is False
    with pytest.raises(UserError, match="largest"):
        make_method("sparse_small", {"largest": True})


# --- KaSA -----------------------------------------------------------------------------------------------


def test_kasa_takes_the_minor_components_out_with_the_first_step():
    method, policy = method_of("kasa"), policy_of("kasa", "bfloat16")
    optimizer = train(method, policy, "bfloat16", steps=1, rate=1e-9)
    assert optimizer.state
    for layer in layers_of("kasa", policy).values():
        weight = layer.base_layer.weight.float()
        u, s, vh = torch.linalg.svd(weight, full_matrices=False)
        rest = u[:, :-4] * s[:-4] @ vh[:-4]
        torch.testing.assert_close(method.merged(layer)["weight"], rest, atol=1e-5, rtol=1e-4)


def test_kasas_regularisers_are_those_of_its_paper():
    method, policy = method_of("kasa", shrinkage=0.5, orthogonality=2.0), policy_of("kasa")
    sizes, distances = [], []
    for layer in layers_of("kasa", policy).values():
        sizes.append(layer.diagonal.norm() ** 2)
        gram = layer.down @ layer.down.T
        distances.append(2.0 + torch.linalg.norm(gram - torch.eye(4)))  # B = 0: the norm of the identity, 2
    expected = 0.5 * torch.stack(sizes).mean() + 2.0 * torch.stack(distances).mean()
    torch.testing.assert_close(method.extra_loss(policy), expected)


# --- OSF ------------------------------------------------------------------------------------------------


def test_gradients_of_osf_leave_the_principal_directions_alone():
    policy = policy_of("osf")
    policy(input_ids=INPUTS, labels=INPUTS).loss.backward()
    for layer in layers_of("osf", policy).values():
        u, _, vh = torch.linalg.svd(layer.base_layer.weight, full_matrices=False)
        preserved = len(layer.principal_down)
        assert preserved == min(layer.base_layer.weight.shape) // 2
        assert layer.up.grad.abs().max() > 0 and layer.down.grad.abs().max() > 0
        assert (u[:, :preserved].T @ layer.up.grad).abs().max() <= 1e-5 * layer.up.grad.norm()
        assert (layer.down.grad @ vh[:preserved].T).abs().max() <= 1e-5 * layer.down.grad.norm()


def test_the_numbers_that_osf_keeps_are_those_of_its_buffers():
    buffers = [one for layer in layers_of("osf", policy_of("osf")).values() for one in layer.buffers()]
    kept = method_of("osf").kept_numbers(shape_of(base_model()))
    assert sum(one.numel() for one in buffers) == kept > 0


def test_osf_answers_small_changes_on_a_bfloat16_base():
    """The minor components are half of the weight: a change of 1e-4 must not drown in their rounding."""
    policy = policy_of("osf", "bfloat16")
    layer = layers_of("osf", policy)["model.layers.0.mlp.up_proj"]
    torch.manual_seed(0)
    x = torch.randn(64, 64, dtype=torch.bfloat16)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        base = nn.functional.linear(x, layer.base_layer.weight, layer.base_layer.bias)
        assert torch.equal(layer(x), base)
        for parameter in (layer.up, layer.down, layer.values):
            parameter *= 1 + 1e-4 * torch.randn_like(parameter)
        down, up = (factor.bfloat16() for factor in layer._factors())
        answer = (x @ down.T @ up.T).float()
    expected = x.float() @ layer.update()["weight"].T
    assert expected.norm() > 0
    assert (answer - expected).norm() <= 0.02 * expected.norm()


# --- Lily -----------------------------------------------------------------------------------------------


def test_lily_shares_a_among_neighbours_and_all_b_among_layers_of_a_kind():
    policy = untrained(method_of("lily", stride=1))
    one, other = (layers_of("lily", policy)[f"model.layers.{block}.mlp.up_proj"] for block in range(2))
    assert one.experts is other.experts and one.down is not other.down
    assert one.logits is not other.logits
    layers = layers_of("lily", policy_of("lily"))
    assert layers["model.layers.0.mlp.up_proj"].down is layers["model.layers.1.mlp.up_proj"].down
    assert layers["model.layers.0.mlp.up_proj"].down is not layers["model.layers.0.mlp.gate_proj"].down


@pytest.mark.parametrize(("stride", "factors"), [(1, 3), (2, 2), (3, 1), (14, 1)])
def test_lily_counts_one_a_for_every_stride_of_blocks(stride, factors):
    method = method_of("lily", stride=stride, target_modules=["q_proj"])
    model = AutoModelForCausalLM.from_config(family_config("llama", num_hidden_layers=3))
    assert method.expected_parameters(shape_of(model)) == 4 * (64 * factors + 64 * 2) + 3 * 2


def test_the_experts_of_lily_differ_after_training_though_all_start_at_zero():
    policy = policy_of("lily")
    train(method_of("lily"), policy)
    layer = layers_of("lily", policy)["model.layers.0.mlp.up_proj"]
    assert isinstance(layer, InterconnectedLinear)
    first, second = layer.experts.detach()
    assert (first - second).norm() > 1e-3 * first.norm()


# --- AdaMSS ---------------------------------------------------------------------------------------------


def test_clusters_of_points_are_found_and_none_is_left_empty():
    torch.manual_seed(0)
    groups = torch.arange(40) % 2
    points = 10 * groups[:, None] + torch.randn(40, 3)
    found = clustered(points, 2, 1)
    assert torch.equal(found, groups) or torch.equal(found, 1 - groups)
    assert clustered(torch.zeros(9, 3), 3, 3).bincount().tolist() == [3, 3, 3]
    assert clustered(points, 8, 5).bincount().tolist() == [5] * 8


def test_rows_of_an_adamss_update_lie_in_the_subspaces_of_their_clusters():
    method, policy = method_of("adamss"), policy_of("adamss")
    train(method, policy)
    for layer in layers_of("adamss", policy).values():
        assert isinstance(layer, ClusteredLinear)
        update = layer.update()["weight"]
        right = torch.linalg.svd(layer.base_layer.weight, full_matrices=False).Vh[:8]
        torch.testing.assert_close(update @ right.T @ right, update, atol=1e-5, rtol=1e-4)
        for number in range(4):
            rows = update[layer.cluster == number]
            assert torch.linalg.matrix_rank(rows, atol=1e-4 * float(update.norm())) <= 2
            assert rows.any()


def test_adamss_starts_in_the_principal_directions_of_each_cluster():
    for layer in layers_of("adamss", policy_of("adamss")).values():
        left = torch.linalg.svd(layer.base_layer.weight, full_matrices=False).U[:, :8]
        for number in range(4):
            rows, directions = left[layer.cluster == number], layer.down[number]
            torch.testing.assert_close(directions @ directions.T, torch.eye(2), atol=1e-5, rtol=0)
            energy = torch.linalg.svdvals(rows)[:2]
            torch.testing.assert_close((rows @ directions.T).norm(dim=0), energy, atol=1e-5, rtol=1e-3)


def test_adamss_refuses_clusters_that_its_rows_do_not_fill():
    with pytest.raises(UserError, match=r"subspaces 20 x subspace_rank 2 does not fit .*k_proj.*32 outputs"):
        untrained(method_of("adamss", subspaces=20))
    with pytest.raises(UserError, match="subspace_rank 9 is above rank 8"):
        make_method("adamss", {"rank": 8, "subspace_rank": 9})


def test_adamss_freezes_the_least_important_clusters_until_its_share_is_left():
    method = method_of("adamss", kept=0.25, warmup_fraction=0.1, settled_fraction=0.6, interval=3)
    policy = untrained(method, steps=20)
    layers = list(layers_of("adamss", policy).values())
    decaying = training(1e-2).model_copy(update={"weight_decay": 0.1})
    optimizer, left, still = method.optimizer(policy, decaying), [], []
    for step in range(20):
        before = [(layer.down.detach().clone(), layer.up.detach().clone()) for layer in layers]
        frozen = [~layer.active for layer in layers]
        optimizer.zero_grad()
        policy(input_ids=INPUTS, labels=INPUTS).loss.backward()
        optimizer.step()
        method.after_step(policy, optimizer, step)
        for layer, (down, up), off in zip(layers, before, frozen, strict=True):
            still.append(torch.equal(layer.down[off], down[off]))
            still.append(torch.equal(layer.up[off[layer.cluster]], up[off[layer.cluster]]))
            assert not torch.equal(layer.up, up) or off.all()
        left.append(int(method.metrics(policy)["method/active_clusters"]))
    total = 4 * len(layers)
    assert left[0] == total and left[-1] == total // 4 and left == sorted(left, reverse=True)
    assert len(set(left)) > 3 and set(left[11:]) == {total // 4}
    assert all(still), "neither momentum nor weight decay moves what is frozen"
    assert any(update.any() for layer in layers for update in layer.up[~layer.active[layer.cluster]])


def test_the_importance_of_a_cluster_is_that_of_its_own_entries():
    layer = next(iter(layers_of("adamss", policy_of("adamss")).values()))
    with torch.no_grad():
        layer.up.fill_(1.0)
    layer.down.grad, layer.up.grad = torch.zeros_like(layer.down), torch.zeros_like(layer.up)
    layer.up.grad[layer.cluster == 2] = 3.0
    layer.observe()
    assert layer.scores().tolist() == pytest.approx([0, 0, (0.15 * 3) ** 2, 0], abs=1e-6)
    layer.active[2] = False
    assert layer.scores()[2] == -1
