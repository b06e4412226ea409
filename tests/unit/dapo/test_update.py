"""Updates: gradients do not depend on the microbatches; loss and gradient agree with TRL's."""

import copy
import math

import pytest
import torch

from rlvr.config.schema import Training
from rlvr.dapo.logprobs import completion_logprobs
from rlvr.dapo.loss_scale import GROWTH_STEPS, LossScale
from rlvr.dapo.losses import ALGORITHMS
from rlvr.dapo.packing import microbatches
from rlvr.dapo.sampling import Group
from rlvr.dapo.update import Learner, _backward, _gradients, make_batch, store_logprobs, update
from rlvr.errors import UserError
from rlvr.methods import make_method
from rlvr.methods.policy import build_policy
from rlvr.models.load import load_model
from rlvr.rollout.engines.base import Tokens


def training(**changes) -> Training:
    values = {"steps": 1, "prompts_per_step": 2, "group_size": 3, "learning_rate": 1e-3}
    return Training(**{**values, "sampling": {"max_new_tokens": 8}, **changes})


def learner_on(folder, name="full", stochastic=False, packed=True, **changes) -> Learner:
    settings = training(**changes)
    method = make_method(name, {} if name == "full" else {"rank": 4, "alpha": 8})
    torch.manual_seed(0)
    base = load_model(folder, settings.dtype)
    total = base.num_parameters()
    policy = build_policy(method, base, settings.optimizer_steps)
    optimizer = method.optimizer(policy, settings)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 1.0)
    return Learner(method, policy, optimizer, scheduler, settings, total, stochastic, packed)


def groups() -> list[Group]:
    """Two groups of three completions of different lengths."""
    completions = [[[5, 6, 1], [7, 1], [5, 8, 9, 10, 1]], [[4, 1], [6, 6, 6, 1], [9, 8, 7, 6, 5, 1]]]
    prompts = [(3, 4, 5), (6, 7, 8, 9, 10)]
    rewards = [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    served = [[[-1.0] * len(tokens) for tokens in rows] for rows in completions]
    return [
        Group(
            problem_id=f"p{i}",
            prompt_ids=prompts[i],
            completions=completions[i],
            correct=rewards[i],
            rewards=rewards[i],
            truncated=[False] * 3,
            engine_logprobs=served[i],
        )
        for i in range(2)
    ]


def advantages_of(batch: list[Group], learner: Learner) -> torch.Tensor:
    rewards_PG = torch.tensor([group.rewards for group in batch])
    return ALGORITHMS[learner.training.algorithm].advantages(rewards_PG)


def updated(learner: Learner, batch: list[Group]) -> dict[str, float]:
    """Metrics of the update of step 0."""
    return update(learner, batch, advantages_of(batch, learner), 0)


def gradient(learner: Learner, batch: list[Group]) -> tuple[float, torch.Tensor]:
    """Loss and flat gradient of a batch, summed over its microbatches."""
    flat = make_batch(batch, advantages_of(batch, learner), learner.training)
    learner.optimizer.zero_grad()
    losses = [
        _backward(learner, flat, rows)["loss"].item()
        for rows in microbatches(flat.tokens, learner.training.tokens_per_microbatch, learner.packed)
    ]
    weights = [p for p in learner.policy.parameters() if p.requires_grad]
    return sum(losses), torch.cat([p.grad.flatten() for p in weights])


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("algorithm", ["dapo", "grpo", "dr_grpo"])
def test_gradients_do_not_depend_on_the_microbatches(tiny_folder, algorithm, packed):
    """Twelve tokens divide both groups: their prompts are computed twice."""
    changes = {"algorithm": algorithm, "packed": packed}
    whole = gradient(learner_on(tiny_folder, **changes), groups())
    divided = gradient(learner_on(tiny_folder, **changes, tokens_per_microbatch=12), groups())
    assert whole[0] == pytest.approx(divided[0], abs=1e-6)
    torch.testing.assert_close(whole[1], divided[1], atol=1e-6, rtol=1e-4)


def test_log_probabilities_are_the_models_own(tiny_folder):
    policy = learner_on(tiny_folder).policy
    sequences = [Tokens([3, 4, 5], [6, 1]), Tokens([3, 4], [5, 6, 7, 1])]
    logprobs, entropy = completion_logprobs(policy, sequences, temperature=0.8, packed=True)
    expected = []
    for prompt, completion in sequences:
        logits = policy(input_ids=torch.tensor([prompt + completion])).logits[0] / 0.8
        table = logits.log_softmax(-1)
        expected += [table[len(prompt) - 1 + i, token] for i, token in enumerate(completion)]
    torch.testing.assert_close(logprobs, torch.stack(expected), atol=1e-5, rtol=0)
    assert (entropy > 0).all()


@pytest.mark.parametrize("method", ["full", "lora", "dora"])
def test_an_update_makes_correct_completions_more_probable(tiny_folder, method):
    learner = learner_on(tiny_folder, method)
    before = copy.deepcopy(groups())
    store_logprobs(learner, before)
    updated(learner, groups())
    after = groups()
    store_logprobs(learner, after)
    for old, new in zip(before, after, strict=True):
        for i, correct in enumerate(old.correct):
            gain = sum(new.old_logprobs[i]) - sum(old.old_logprobs[i])
            assert (gain > 0) == bool(correct)


def test_carried_groups_are_weighed_by_the_policy_that_sampled_them(tiny_folder):
    """A stored log-probability far below today's makes the ratio large, so the clip must act."""
    learner = learner_on(tiny_folder)
    stale = groups()
    store_logprobs(learner, stale)
    fresh_metrics = updated(learner_on(tiny_folder), copy.deepcopy(stale))
    assert fresh_metrics["loss/clip_fraction"] == 0
    for group in stale:
        group.old_logprobs = [[value - 1.0 for value in row] for row in group.old_logprobs]
    assert updated(learner, stale)["loss/clip_fraction"] > 0


def test_more_updates_per_step_take_more_optimizer_steps(tiny_folder):
    learner = learner_on(tiny_folder, updates_per_step=2)
    metrics = updated(learner, groups())
    assert learner.scheduler.last_epoch == 2
    assert metrics["tokens/trained"] == sum(len(c) for g in groups() for c in g.completions)


def test_a_loss_that_is_not_finite_stops_the_run(tiny_folder):
    learner = learner_on(tiny_folder)
    next(learner.policy.parameters()).data.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite"):
        updated(learner, groups())


def weighted(batch: list[Group], factor: float) -> tuple[list[Group], torch.Tensor]:
    """A batch and advantages so small that each token weighs as in a batch of thousands of completions."""
    rewards_PG = torch.tensor([group.rewards for group in batch])
    return batch, factor * ALGORITHMS["dapo"].advantages(rewards_PG)


def float16_gradient(folder, factor: float, scale: float | None = None) -> torch.Tensor:
    """The gradient of LoRA's B matrices in float16, over ``factor``."""
    learner = learner_on(folder, "lora", dtype="float16", max_grad_norm=1e6)
    if scale is not None:
        learner.loss_scale.value = scale
    batch, advantages = weighted(groups(), factor)
    _gradients(learner, make_batch(batch, advantages, learner.training))
    named = learner.policy.named_parameters()
    return torch.cat([p.grad.flatten() for name, p in named if "lora_B" in name]) / factor


def test_gradients_that_float16_cannot_hold_survive_by_the_loss_scale(tiny_folder):
    expected = float16_gradient(tiny_folder, 1.0)
    lost = float16_gradient(tiny_folder, 1e-5, scale=1.0)
    kept = float16_gradient(tiny_folder, 1e-5)
    scale = float(expected.norm())
    assert float((lost - expected).norm()) > 0.5 * scale, "without the scale they vanish"
    assert float((kept - expected).norm()) < 0.05 * scale


def test_an_overflow_repeats_the_step_with_a_smaller_scale_and_loses_nothing(tiny_folder):
    usual, large = (learner_on(tiny_folder, "lora", dtype="float16") for _ in range(2))
    large.loss_scale.value = 2.0**40
    metrics = updated(large, groups())
    assert metrics["optim/overflows"] == math.log2(2.0**40 / large.loss_scale.value) > 0
    assert math.isfinite(metrics["optim/grad_norm"])
    assert updated(usual, groups())["optim/overflows"] == 0
    found, expected = ([p for p in one.policy.parameters() if p.requires_grad] for one in (large, usual))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)
    assert large.scheduler.last_epoch == 1, "one step was done"


def test_an_overflow_that_no_scale_explains_stops_the_run(tiny_folder):
    learner = learner_on(tiny_folder, "lora", dtype="float16")
    batch, advantages = weighted(groups(), float("inf"))
    with pytest.raises(UserError, match="not finite"):
        update(learner, batch, advantages, 0)


def test_the_loss_scale_grows_again_and_other_precisions_have_none():
    scale = LossScale.of("float16")
    assert scale.reduce() and scale.value == 2.0**15
    for _ in range(GROWTH_STEPS):
        scale.succeeded()
    assert scale == LossScale.of("float16")
    while scale.reduce():
        pass
    assert scale.value == 1
    for _ in range(GROWTH_STEPS):
        scale.succeeded()
    assert scale.value == 2, "a scale that fell to 1 grows again"
    for dtype in ("float32", "bfloat16"):
        other = LossScale.of(dtype)
        assert not other.reduce()
        for _ in range(GROWTH_STEPS):
            other.succeeded()
        assert other.value == 1


@pytest.mark.parametrize("algorithm", ["dapo", "grpo", "dr_grpo"])
def test_loss_and_gradient_agree_with_trl(tiny_folder, tmp_path, algorithm):
    """The peer computes the same batch: same advantages, same stored log-probabilities, same clip."""
    import trl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    learner = learner_on(tiny_folder, algorithm=algorithm)
    batch = groups()
    store_logprobs(learner, batch)
    shift = torch.linspace(-0.5, 0.5, 6)
    for group in batch:
        group.old_logprobs = [
            [value + float(shift[(i + j) % 6]) for j, value in enumerate(row)]
            for i, row in enumerate(group.old_logprobs)
        ]
    ours = gradient(learner, batch)

    arguments = trl.GRPOConfig(
        output_dir=str(tmp_path),
        loss_type=algorithm,
        epsilon=0.2,
        epsilon_high=learner.training.clip_high,
        beta=0.0,
        num_generations=3,
        per_device_train_batch_size=6,
        max_completion_length=8,
        use_cpu=True,
        report_to=[],
        gradient_checkpointing=False,
        bf16=False,
    )
    trainer = trl.GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32),
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=arguments,
        train_dataset=Dataset.from_list([{"prompt": "1+1"}]),
        processing_class=AutoTokenizer.from_pretrained(tiny_folder),
    )
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.eval()
    inputs = trl_inputs(batch, advantages_of(batch, learner).flatten())
    loss = trainer._compute_loss(trainer.model, inputs)
    loss.backward()
    named = dict(trainer.model.named_parameters())
    theirs = torch.cat([named[name].grad.flatten() for name, _ in learner.policy.named_parameters()])
    assert loss.item() == pytest.approx(ours[0], abs=1e-5)
    torch.testing.assert_close(ours[1], theirs, atol=1e-6, rtol=1e-3)


def trl_inputs(batch: list[Group], advantages: torch.Tensor) -> dict[str, torch.Tensor]:
    """The padded tensors of TRL's `_compute_loss`."""
    rows = [
        (g.prompt_ids, c, old) for g in batch for c, old in zip(g.completions, g.old_logprobs, strict=True)
    ]
    prompt_width, width = max(len(r[0]) for r in rows), max(len(r[1]) for r in rows)
    shape = (len(rows), width)
    inputs = {
        "prompt_ids": torch.zeros(len(rows), prompt_width, dtype=torch.long),
        "prompt_mask": torch.zeros(len(rows), prompt_width, dtype=torch.long),
        "completion_ids": torch.zeros(shape, dtype=torch.long),
        "completion_mask": torch.zeros(shape, dtype=torch.long),
        "old_per_token_logps": torch.zeros(shape),
        "advantages": advantages,
        "num_items_in_batch": torch.tensor(sum(len(r[1]) for r in rows)),
    }
    for i, (prompt, completion, old) in enumerate(rows):
        inputs["prompt_ids"][i, prompt_width - len(prompt) :] = torch.tensor(prompt)
        inputs["prompt_mask"][i, prompt_width - len(prompt) :] = 1
        inputs["completion_ids"][i, : len(completion)] = torch.tensor(completion)
        inputs["completion_mask"][i, : len(completion)] = 1
        inputs["old_per_token_logps"][i, : len(completion)] = torch.tensor(old)
    return inputs


def test_mismatch_is_zero_where_the_engine_serves_what_is_trained(tiny_folder):
    learner, batch = learner_on(tiny_folder), groups()
    store_logprobs(learner, batch)
    for group in batch:
        group.engine_logprobs = group.old_logprobs
    assert updated(learner_on(tiny_folder), batch)["rollout/mismatch_kl"] == 0
    for group in batch:
        group.engine_logprobs = [[value + 0.1 for value in row] for row in group.old_logprobs]
    expected = math.exp(-0.1) - 1 + 0.1
    assert updated(learner_on(tiny_folder), batch)["rollout/mismatch_kl"] == pytest.approx(expected, rel=1e-3)


def test_old_log_probabilities_are_those_of_the_policy_without_dropout(tiny_folder):
    learner = learner_on(tiny_folder, "lora")
    layers = [module for module in learner.policy.modules() if isinstance(module, torch.nn.Linear)]
    layers[0].register_forward_hook(
        lambda module, inputs, output: torch.nn.functional.dropout(output, 0.5, module.training)
    )
    first, second = groups(), groups()
    store_logprobs(learner, first)
    store_logprobs(learner, second)
    assert [g.old_logprobs for g in first] == [g.old_logprobs for g in second]
    assert learner.policy.training
