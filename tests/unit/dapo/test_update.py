"""Updates: gradients do not depend on the microbatches; loss and gradient agree with TRL's."""

import copy
import math

import pytest
import torch

from rlvr.config.training import Training
from rlvr.dapo.logprobs import completion_logprobs
from rlvr.dapo.loss_scale import GROWTH_STEPS, LossScale
from rlvr.dapo.losses import ALGORITHMS
from rlvr.dapo.packing import microbatches
from rlvr.dapo.sampling import Group, tokens_of
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


def some_truncated() -> list[Group]:
    """The groups, of which two completions were truncated."""
    first, second = groups()
    first.truncated, second.truncated = [False, False, True], [True, False, False]
    return [first, second]


def shifted(learner: Learner, batch: list[Group]) -> list[Group]:
    """The groups as a somewhat different policy sampled them, so that clips act on both sides."""
    store_logprobs(learner, batch)
    shift = torch.linspace(-0.5, 0.5, 6)
    for group in batch:
        group.old_logprobs = [
            [value + float(shift[(i + j) % 6]) for j, value in enumerate(row)]
            for i, row in enumerate(group.old_logprobs)
        ]
    return batch


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
        _backward(learner, flat, rows)[0].item()
        for rows in microbatches(flat.tokens, learner.training.tokens_per_microbatch, learner.packed)
    ]
    weights = [p for p in learner.policy.parameters() if p.requires_grad]
    return sum(losses), torch.cat([p.grad.flatten() for p in weights])


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("filtering", [False, True])
def test_gradients_do_not_depend_on_the_microbatches(tiny_folder, algorithm, filtering, packed):
    """Twelve tokens divide both groups: their prompts are computed twice."""
    settings = {"algorithm": algorithm, "overlong_filtering": filtering, "packed": packed}
    batch = shifted(learner_on(tiny_folder), some_truncated())
    whole = gradient(learner_on(tiny_folder, **settings), batch)
    divided = gradient(learner_on(tiny_folder, **settings, tokens_per_microbatch=12), batch)
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


def carried_and_fresh(folder) -> list[Group]:
    """Four groups, each of two optimizer steps on two of them; the first of each was sampled earlier."""
    earlier = shifted(learner_on(folder), some_truncated())
    return [earlier[0], groups()[0], earlier[1], groups()[1]]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("method", ["full", "lora"])
def test_several_packed_updates_on_carried_groups_are_the_padded_ones(tiny_folder, method, algorithm):
    """By plain gradient descent: AdamW would divide rounding errors by their own size."""
    results = []
    for packed in (True, False):
        learner = learner_on(tiny_folder, method, packed=packed, updates_per_step=2, algorithm=algorithm)
        start = {name: p.detach().clone() for name, p in learner.policy.named_parameters()}
        trained = [parameter for parameter in learner.policy.parameters() if parameter.requires_grad]
        learner.optimizer = torch.optim.SGD(trained, lr=0.5)
        learner.scheduler = torch.optim.lr_scheduler.LambdaLR(learner.optimizer, lambda step: 1.0)
        batch = carried_and_fresh(tiny_folder)
        metrics = updated(learner, batch)
        moved = {name: p.detach() - start[name] for name, p in learner.policy.named_parameters()}
        results.append((metrics, moved, [group.old_logprobs for group in batch]))
    (packed_metrics, packed_moves, packed_old), (metrics, moves, old) = results
    assert packed_metrics == pytest.approx(metrics, rel=1e-4, abs=1e-5)
    clipped = metrics["loss/clip_low_fraction"] + metrics["loss/clip_high_fraction"]
    assert clipped > 0 or algorithm == "cispo", "the carried groups are those of another policy"
    for one, other in zip(packed_old, old, strict=True):
        for row, same in zip(one, other, strict=True):
            assert row == pytest.approx(same, abs=1e-5)
    assert max(float(move.abs().max()) for move in moves.values()) > 1e-3
    for name, move in moves.items():
        torch.testing.assert_close(packed_moves[name], move, atol=1e-5, rtol=1e-3)


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
    assert fresh_metrics["loss/clip_low_fraction"] == fresh_metrics["loss/clip_high_fraction"] == 0
    for group in stale:
        group.old_logprobs = [[value - 1.0 for value in row] for row in group.old_logprobs]
    metrics = updated(learner, stale)
    assert metrics["loss/clip_high_fraction"] > 0 == metrics["loss/clip_low_fraction"]


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


def test_overlong_filtering_leaves_truncated_completions_out_of_the_loss_alone(tiny_folder):
    learner = learner_on(tiny_folder, overlong_filtering=True)
    batch = make_batch(some_truncated(), advantages_of(some_truncated(), learner), learner.training)
    everything = make_batch(groups(), advantages_of(groups(), learner), learner.training)
    assert batch.tokens == [everything.tokens[row] for row in (0, 1, 4, 5)]
    assert batch.advantages_S.tolist() == everything.advantages_S[[0, 1, 4, 5]].tolist()
    assert batch.weights_S.tolist() == pytest.approx([1 / (3 + 2 + 4 + 6)] * 4), (
        "a mean over tokens in the loss"
    )
    weights = {
        name: make_batch(
            some_truncated(),
            advantages_of(groups(), learner),
            training(algorithm=name, overlong_filtering=True),
        ).weights_S.tolist()
        for name in ("grpo", "gspo", "dr_grpo")
    }
    assert weights["grpo"] == weights["gspo"] == pytest.approx([1 / (6 * n) for n in (3, 2, 4, 6)])
    assert weights["dr_grpo"] == pytest.approx([1 / (6 * 8)] * 4)
    assert updated(learner, some_truncated())["tokens/trained"] == 15


def test_a_step_of_which_filtering_leaves_nothing_changes_nothing(tiny_folder, caplog):
    learner = learner_on(tiny_folder, overlong_filtering=True, updates_per_step=2)
    batch = groups()
    batch[0].truncated = [True] * 3
    assert updated(learner, batch)["tokens/trained"] == 12
    assert learner.scheduler.last_epoch == 1, "one of the two optimizer steps is left"
    batch[1].truncated = [True] * 3
    before = [parameter.clone() for parameter in learner.policy.parameters()]
    metrics = updated(learner, batch)
    assert metrics["tokens/trained"] == 0 and math.isnan(metrics["loss/policy"])
    assert learner.scheduler.last_epoch == 1
    assert all(map(torch.equal, before, learner.policy.parameters()))
    assert "step 0: no update, because overlong filtering leaves no completion" in caplog.messages


@pytest.fixture(scope="module")
def peer(tiny_folder, tmp_path_factory):
    """Return a function from settings to TRL's trainer on the tiny model."""
    import trl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    def trainer(settings: Training) -> trl.GRPOTrainer:
        name = settings.algorithm
        arguments = trl.GRPOConfig(
            output_dir=str(tmp_path_factory.mktemp("trl")),
            loss_type="grpo" if name == "gspo" else name,
            importance_sampling_level="sequence" if name == "gspo" else "token",
            epsilon=settings.clip_low,
            epsilon_high=settings.clip_high + (name == "cispo"),  # there the largest weight itself
            mask_truncated_completions=settings.overlong_filtering,
            beta=0.0,
            num_generations=3,
            per_device_train_batch_size=6,
            max_completion_length=settings.sampling.max_new_tokens,
            use_cpu=True,
            report_to=[],
            gradient_checkpointing=False,
            bf16=False,
        )
        made = trl.GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32),
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            args=arguments,
            train_dataset=Dataset.from_list([{"prompt": "1+1"}]),
            processing_class=AutoTokenizer.from_pretrained(tiny_folder),
        )
        made.current_gradient_accumulation_steps = 1
        made.model.eval()
        return made

    return trainer


def trl_inputs(trainer, batch: list[Group], advantages: torch.Tensor) -> dict[str, torch.Tensor]:
    """What TRL's own code makes of the completions, with our advantages and stored log-probabilities."""
    tokens = tokens_of(batch)
    prompts, completions = [list(row.prompt_ids) for row in tokens], [row.completion_ids for row in tokens]
    trainer._generate = lambda _: (prompts, completions, None, completions, None, {}, None, None)
    inputs = trainer._generate_and_score_completions([{"prompt": "1+1"}] * len(tokens))
    old = torch.zeros(inputs["completion_ids"].shape)
    for row, values in enumerate(values for group in batch for values in group.old_logprobs):
        old[row, : len(values)] = torch.tensor(values)
    return {**inputs, "advantages": advantages, "old_per_token_logps": old}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("filtering", [False, True])
def test_loss_and_gradient_agree_with_trl(tiny_folder, peer, algorithm, filtering):
    """The peer computes the same batch: same advantages, same stored log-probabilities, same clip."""
    # Narrow, so that means over completions are clipped, too; TRL's CISPO has no lower bound.
    narrow = {"clip_low": 1.0 if algorithm == "cispo" else 0.1, "clip_high": 0.1}
    learner = learner_on(tiny_folder, algorithm=algorithm, overlong_filtering=filtering, **narrow)
    batch = shifted(learner, ended(some_truncated()))
    advantages = advantages_of(batch, learner)
    ours = gradient(learner, batch)

    trainer = peer(learner.training)
    loss = trainer._compute_loss(trainer.model, trl_inputs(trainer, batch, advantages.flatten()))
    loss.backward()
    named = dict(trainer.model.named_parameters())
    theirs = torch.cat([named[name].grad.flatten() for name, _ in learner.policy.named_parameters()])
    assert loss.item() == pytest.approx(ours[0], abs=1e-5)
    assert loss.item() != 0
    torch.testing.assert_close(ours[1], theirs, atol=1e-6, rtol=1e-3)

    metrics = update(learner, batch, advantages, 0)
    logged = {name: values[-1] for name, values in trainer._metrics["eval"].items()}
    assert metrics["policy/entropy"] == pytest.approx(logged["entropy"], abs=1e-5)
    if algorithm in ("dapo", "grpo", "dr_grpo"):  # of GSPO it counts completions, of CISPO those with A > 0
        low, high = metrics["loss/clip_low_fraction"], metrics["loss/clip_high_fraction"]
        theirs = logged["clip_ratio/low_mean"], logged["clip_ratio/high_mean"]
        assert (low, high) == pytest.approx(theirs) and low + high > 0


def ended(batch: list[Group]) -> list[Group]:
    """The groups with an end token where, and only where, a completion was not truncated: TRL's rule."""
    for group in batch:
        for tokens, truncated in zip(group.completions, group.truncated, strict=True):
            tokens[-1] = 5 if truncated else 1
    return batch


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
