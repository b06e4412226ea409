"""The pitfalls of each method: mistakes of other implementations, and what no invariant shows."""

from itertools import pairwise

import pytest
import torch
from pydantic import ValidationError

from rlvr.config.resolved import TrainConfig
from rlvr.dapo.mismatch import TokenRecord
from rlvr.dapo.setup import build_learner
from rlvr.dapo.update import IDLE, Learner, optimizer_step
from rlvr.methods import get_method, make_method
from rlvr.methods.catalogue.adalora import kept_ranks
from rlvr.methods.catalogue.hra import _update as hra_update
from rlvr.methods.weights import merged_weights
from tests.helpers.small_methods import (
    INPUTS,
    STEPS,
    base_model,
    method_of,
    policy_of,
    train,
    training,
    untrained,
)


def built(name: str, dtype: str = "float32", steps: int = STEPS, **values):
    """A method with chosen settings, and its policy."""
    method = make_method(name, values)
    return method, untrained(method, dtype, steps=steps)


def take_steps(method, policy, steps: int):
    """Train on a fixed text."""
    optimizer = method.optimizer(policy, training())
    for step in range(steps):
        optimizer.zero_grad()
        policy(input_ids=INPUTS, labels=INPUTS).loss.backward()
        optimizer.step()
        method.after_step(policy, optimizer, step)
    return optimizer


# --- AdaLoRA ------------------------------------------------------------------------------------


def test_adalora_takes_ranks_away_until_the_target_is_reached():
    values = {"initial_rank": 6, "target_rank": 2, "warmup_fraction": 0.2, "final_fraction": 0.2}
    method, policy = built("adalora", steps=20, **values)
    layers = len(kept_ranks(policy))
    optimizer = method.optimizer(policy, training())
    budgets = []
    for step in range(20):
        optimizer.zero_grad()
        policy(input_ids=INPUTS, labels=INPUTS).loss.backward()
        optimizer.step()
        method.after_step(policy, optimizer, step)
        budgets.append(sum(kept_ranks(policy).values()))
    assert budgets[3] == 6 * layers, "nothing is taken away while it warms up"
    assert all(later <= earlier for earlier, later in pairwise(budgets))
    assert set(budgets[-4:]) == {2 * layers}, "the target is reached and kept to the end"
    assert len(set(kept_ranks(policy).values())) > 1, "layers keep different ranks: that is the method"


def test_adalora_settles_its_ranks_even_if_that_step_has_no_gradient():
    """A step whose groups were all correct or all incorrect trains nothing."""
    values = {"initial_rank": 6, "target_rank": 2, "warmup_fraction": 0.1, "final_fraction": 0.2}
    method, policy = built("adalora", steps=20, **values)
    optimizer = method.optimizer(policy, training())
    for step in (*range(10), 18, 19):
        optimizer.zero_grad()
        policy(input_ids=INPUTS, labels=INPUTS).loss.backward()
        optimizer.step()
        method.after_step(policy, optimizer, step)
    assert sum(kept_ranks(policy).values()) == 2 * len(kept_ranks(policy))


@pytest.mark.parametrize(
    ("steps", "target", "trained", "kept"),
    [
        (1, 2, [0], 2),  # one step, in which ranks settle at once
        (3, 6, [0, 1, 2], 6),  # nothing to take away
        (10, 2, [9], 2),  # no gradient before they settle: that step's own decides
        (10, 2, [8, 9], 2),
    ],
)
def test_adalora_reaches_its_target_in_runs_of_any_kind(steps, target, trained, kept):
    values = {"initial_rank": 6, "target_rank": target, "warmup_fraction": 0.2, "final_fraction": 0.2}
    method, policy = built("adalora", steps=steps, **values)
    optimizer = method.optimizer(policy, training())
    policy.train()
    for step in trained:
        optimizer.zero_grad()
        policy(input_ids=INPUTS, labels=INPUTS).loss.backward()
        optimizer.step()
        method.after_step(policy, optimizer, step)
    assert sum(kept_ranks(policy).values()) == kept * len(kept_ranks(policy))


def test_adaloras_orthogonality_is_in_the_policy_loss(monkeypatch):
    """PEFT adds it to ``outputs.loss``, which a policy loss never reads."""
    method, policy = built("adalora", initial_rank=6, target_rank=2)
    settings = training(1e-3)
    optimizer = method.optimizer(policy, settings)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    learner = Learner(method, policy, optimizer, scheduler, settings, 0, stochastic=False, packed=True)
    nothing = (torch.zeros(()), TokenRecord(*torch.zeros(5, 1)))
    monkeypatch.setattr("rlvr.dapo.update._backward", lambda *_: nothing)
    monkeypatch.setattr("rlvr.dapo.update.microbatches", lambda *_: [[0]])
    monkeypatch.setattr(type(method), "after_step", lambda *_: None)  # there are no gradients
    before = {name: p.clone() for name, p in policy.named_parameters() if p.requires_grad}
    metrics = optimizer_step(learner, IDLE, 0).values
    factors = [p for name, p in policy.named_parameters() if ".lora_A." in name]
    defect = torch.stack([torch.linalg.norm(a @ a.T - torch.eye(len(a))) for a in factors]).mean()
    assert metrics["loss/extra"] == pytest.approx(0.5 * float(defect), rel=0.05)
    moved = {
        name for name, p in policy.named_parameters() if name in before and not torch.equal(p, before[name])
    }
    assert moved == {name for name in before if ".lora_E." not in name}, "A and B alone are made orthogonal"


def test_adaloras_constant_is_not_trained_on_a_bfloat16_base():
    policy = policy_of("adalora", "bfloat16")
    constants = [p for name, p in policy.named_parameters() if ".ranknum." in name]
    assert constants and not any(p.requires_grad for p in constants)


def test_adaloras_importances_are_part_of_a_saved_state():
    method, policy = method_of("adalora"), policy_of("adalora")
    train(method_of("adalora"), policy, steps=1)
    state = method.method_state(policy)
    fresh = policy_of("adalora")
    method.load_method_state(fresh, state)
    assert state and any(tensor.any() for tensor in state.values())
    again = method.method_state(fresh)
    assert state.keys() == again.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in state.items())


def test_adalora_refuses_a_target_above_its_start():
    with pytest.raises(ValidationError, match="above initial_rank"):
        get_method("adalora").Parameters(initial_rank=8, target_rank=16)


# --- LoRA-FA, LoRA+, rsLoRA -------------------------------------------------------------------------


def test_lora_fa_never_moves_a():
    policy = policy_of("lora_fa")
    before = {name: p.clone() for name, p in policy.named_parameters() if ".lora_A." in name}
    train(method_of("lora_fa"), policy)
    after = dict(policy.named_parameters())
    assert before and all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize("projected", [True, False])
def test_lora_fas_projected_update_really_runs(projected):
    """Adam's first step is -rate * sign(gradient), so the sign shows which gradient was taken."""
    values = {"rank": 4, "alpha": 8, "projected_update": projected}
    method, policy = built("lora_fa", **values)
    for name, parameter in policy.named_parameters():
        if ".lora_A." in name:
            parameter.data += 0.3  # rows that resemble each other, so that the correction is not small
    optimizer = method.optimizer(policy, training(1e-3))
    policy(input_ids=INPUTS, labels=INPUTS).loss.backward()
    same, of = 0.0, 0
    gradients = {n: p.grad.clone() for n, p in policy.named_parameters() if ".lora_B." in n}
    optimizer.step()
    for name, parameter in policy.named_parameters():
        if ".lora_B." in name:
            a = policy.get_parameter(name.replace("lora_B", "lora_A"))
            corrected = gradients[name] @ torch.linalg.inv(a @ a.T)  # LoRA-FA, Eq. 4, up to a positive factor
            same += float((parameter.sign() == -corrected.sign()).sum())
            of += parameter.numel()
    assert same / of > 0.98 if projected else same / of < 0.8


def test_lora_plus_keeps_its_ratio_under_the_scheduler():
    method, policy = built("lora_plus", rank=4, alpha=8, ratio=16)
    optimizer = method.optimizer(policy, training(1e-3))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: min(1.0, (done + 1) / 3))
    names = {id(p): name for name, p in policy.named_parameters()}
    for step in range(4):
        rates = {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
        expected = 1e-3 * min(1.0, (step + 1) / 3)
        for name, rate in rates.items():
            assert rate == pytest.approx(expected if ".lora_A." in name else 16 * expected)
        assert len(rates) == sum(p.requires_grad for p in policy.parameters())
        optimizer.step()
        scheduler.step()


def test_rslora_scales_by_the_square_root_of_the_rank():
    _, policy = built("rslora", rank=4, alpha=8)
    _, plain = built("lora", rank=4, alpha=8)
    scales = [
        {scale for _, layer in method_of("lora").adapted_layers(p) for scale in layer.scaling.values()}
        for p in (policy, plain)
    ]
    assert scales == [{4.0}, {2.0}]


# --- PiSSA, MiLoRA, OLoRA ----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "chosen"), [("pissa", slice(0, 4)), ("milora", slice(-4, None))])
def test_initial_factors_are_the_right_singular_components(name, chosen):
    method, policy = method_of(name), policy_of(name)
    for _, layer in method.adapted_layers(policy):
        u, s, vh = torch.linalg.svd(method.base_weights(layer)["weight"], full_matrices=False)
        part = u[:, chosen] * s[chosen] @ vh[chosen]
        start = layer.scaling["default"] * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
        torch.testing.assert_close(start, part, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["pissa", "milora", "olora"])
def test_the_part_taken_out_of_the_base_is_frozen_and_never_dropped_out(name):
    method, policy = built(name, rank=4, alpha=4, dropout=0.5)
    initial = [p for key, p in policy.named_parameters() if ".initial." in key]
    assert initial and not any(p.requires_grad for p in initial)
    for _, layer in method.adapted_layers(policy):
        assert isinstance(layer.lora_dropout["initial"], torch.nn.Identity)


def test_pissa_starts_as_the_base_in_bfloat16_to_the_last_bit():
    """A residual rounded to bfloat16 would be another model before the first step."""
    method, policy = method_of("pissa"), policy_of("pissa", "bfloat16")
    plain = dict(base_model("bfloat16").named_parameters())
    for name, weight in merged_weights(method, policy):
        if name.endswith("weight"):
            torch.testing.assert_close(weight, plain[name].float(), atol=1e-6, rtol=0)


# --- other methods -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ln_tuning", "ia3"])
def test_multiplicative_methods_move_at_small_rates_in_bfloat16(name):
    """One is 2^-7 away from its neighbour in bfloat16: a step of 1e-5 needs a float32 master."""
    policy = policy_of(name, "bfloat16")
    before = {key: p.clone() for key, p in policy.named_parameters() if p.requires_grad}
    train(method_of(name), policy, "bfloat16", rate=1e-5)
    after = dict(policy.named_parameters())
    assert all((after[key] != value).all() for key, value in before.items())


def test_ia3_scales_the_bias_with_its_layer():
    method, policy = method_of("ia3"), policy_of("ia3")
    train(method_of("ia3"), policy)
    plain = dict(base_model().named_parameters())
    merged = dict(merged_weights(method, policy))
    biases = [name for name in merged if name.endswith("bias")]
    assert biases and all(not torch.equal(merged[name], plain[name]) for name in biases)


def test_ia3_refuses_feedforward_modules_that_are_no_targets():
    with pytest.raises(ValidationError, match="up_proj is not among target_modules"):
        get_method("ia3").Parameters(feedforward_modules=("up_proj",))


def test_doras_magnitude_is_the_norm_of_each_merged_row():
    method, policy = method_of("dora"), policy_of("dora", "bfloat16")
    train(method_of("dora"), policy, "bfloat16")
    for _, layer in method.adapted_layers(policy):
        magnitude = layer.lora_magnitude_vector["default"].weight
        assert magnitude.dtype == torch.float32
        torch.testing.assert_close(method.merged(layer)["weight"].norm(dim=1), magnitude, atol=2e-3, rtol=0)


def test_veras_random_matrices_travel_with_the_adapter(tmp_path):
    from safetensors.torch import load_file

    method_of("vera").export(policy_of("vera"), tmp_path)
    assert {"base_model.vera_A", "base_model.vera_B"} <= load_file(
        tmp_path / "adapter_model.safetensors"
    ).keys()


def test_hra_refuses_an_odd_number_of_reflections():
    with pytest.raises(ValidationError, match="multiple of 2"):
        get_method("hra").Parameters(rank=3)


def test_slicefine_moves_on_and_keeps_what_it_learnt():
    method, policy = built("slicefine", steps=6, rank=4, interval=2)
    optimizer = take_steps(method, policy, 2)
    assert not optimizer.state, "what AdamW knew of the old columns is of no use for the new ones"
    first = dict(merged_weights(method, policy))
    take_steps(method, policy, 2)
    last, plain = dict(merged_weights(method, policy)), dict(base_model().named_parameters())
    for name in (name for name in last if name.endswith("weight")):
        assert not torch.equal(first[name][:, :4], plain[name][:, :4])
        assert torch.equal(first[name][:, 4:], plain[name][:, 4:])
        assert torch.equal(last[name][:, :4], first[name][:, :4])
        assert not torch.equal(last[name][:, 4:8], plain[name][:, 4:8])
        assert torch.equal(last[name][:, 8:], plain[name][:, 8:])


def test_milora_plus_reads_minor_directions_and_leaves_the_base_alone():
    method, policy = method_of("milora_plus"), policy_of("milora_plus")
    for _, layer in method.adapted_layers(policy):
        weight, down = method.base_weights(layer)["weight"], layer.lora_A["default"].weight
        smallest = torch.linalg.svdvals(weight)[-4:]
        torch.testing.assert_close((weight @ down.T).norm(dim=0), smallest, atol=1e-5, rtol=1e-3)
        assert not layer.lora_B["default"].weight.any()


def test_the_training_seed_alone_decides_where_an_adapter_starts(tiny_folder):
    starts = []
    for seed, noise in ((1, 0), (1, 5), (2, 0)):
        torch.manual_seed(noise)  # what happened before in this process must not matter
        config = TrainConfig(
            study="s", run="r", model="m", method="lora", preset="recommended", trains_as="lora", faults=(),
            setting="main", train_seed=seed, parameters={"rank": 4}, dataset="d",
            prompt={}, answer_format="boxed", training=training().model_dump(),
        )  # fmt: skip
        policy = build_learner(config, tiny_folder).policy
        starts.append(torch.cat([p.flatten() for n, p in policy.named_parameters() if ".lora_A." in n]))
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])


def test_adaloras_importances_go_where_the_policy_is():
    """A saved state comes from the CPU."""
    method, policy = method_of("adalora"), policy_of("adalora")
    train(method_of("adalora"), policy, steps=1)
    state = method.method_state(policy)
    elsewhere = policy_of("adalora").to("meta")
    method.load_method_state(elsewhere, state)
    loaded = method.method_state(elsewhere)
    assert loaded.keys() == state.keys()
    importances = [tensor for key, tensor in loaded.items() if not key.startswith("rank_pattern/")]
    assert importances and {tensor.device.type for tensor in importances} == {"meta"}


def test_adalora_logs_the_ranks_that_are_left():
    method, policy = method_of("adalora"), policy_of("adalora")
    train(method_of("adalora"), policy)
    assert method.metrics(policy) == {"method/kept_ranks": 3 * len(kept_ranks(policy))}
    assert method_of("lora").metrics(policy_of("lora")) == {}


def test_hra_answers_small_turns_on_a_bfloat16_base():
    """Two directions of a pair, soon after the start, are one and the same in bfloat16."""
    method, policy = method_of("hra"), policy_of("hra", "bfloat16")
    layer = dict(method.adapted_layers(policy))["model.layers.0.mlp.down_proj"]
    directions, weight = layer.hra_u["default"], layer.get_base_layer().weight
    torch.manual_seed(0)
    x = torch.randn(64, 96, dtype=torch.bfloat16)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        directions[:, 0] *= 1 + 1e-3 * torch.randn(96)
        answer = hra_update(x, directions, weight)
    expected = x.float() @ (method.merged(layer)["weight"] - weight.float()).T
    assert (answer - expected).norm() <= 1e-2 * expected.norm() and expected.norm() > 0


def test_hra_keeps_no_dense_matrix_for_the_backward_pass():
    """PEFT keeps [in, in] matrices, r and more of them for every layer."""
    method, policy = built("hra", rank=4)
    layer = dict(method.adapted_layers(policy))["model.layers.0.mlp.down_proj"]
    x, kept = torch.randn(8, 96, requires_grad=True), []

    def note(tensor):
        kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        ours, theirs = layer(x), len(kept)
        assert (96, 96) not in kept
        peft = type(layer).forward(layer, x)
    assert (96, 96) in kept[theirs:]
    for gradient, expected in zip(*(_gradients(y, layer, x) for y in (ours, peft)), strict=True):
        torch.testing.assert_close(gradient, expected, atol=1e-5, rtol=1e-4)


def _gradients(y: torch.Tensor, layer, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(y.square().sum(), (layer.hra_u["default"], x))
