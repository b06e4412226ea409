"""Dynamic sampling: which groups are kept, which are carried, when more are sampled."""

import math
from dataclasses import dataclass, field

import pytest

from rlvr.config.training import Training
from rlvr.dapo.sampling import (
    GroupSampler,
    PromptStream,
    StepGroups,
    TrainingProblem,
    group_from_json,
    group_to_json,
)
from rlvr.dapo.timer import Timer
from rlvr.dapo.train import group_metrics, sample_groups
from rlvr.rollout.engines.base import Completion, Request

PROBLEMS = [TrainingProblem(f"p{i}", (i,), "1") for i in range(50)]


@dataclass
class EchoEngine:
    """Returns the seed that it was given: a real engine's contract, without a model."""

    requests: list[Request] = field(default_factory=list)

    def generate(self, requests, sampling, longest_prompt=0):
        self.requests += requests
        return [Completion([request.seed % 7, 1], [0.0, 0.0], "", "stop", 0.0) for request in requests]


def training(**changes) -> Training:
    values = {"steps": 4, "prompts_per_step": 4, "group_size": 4, "learning_rate": 1e-3}
    return Training(**{**values, "sampling": {"max_new_tokens": 4}, **changes})


def sampler_with(reward, **changes) -> GroupSampler:
    return GroupSampler(EchoEngine(), PromptStream(PROBLEMS, seed=3), reward, training(**changes), seed=3)


def sample(sampler: GroupSampler, step: int) -> StepGroups:
    return sample_groups(sampler, step, Timer())


def first_correct(problems, completions):
    """Every group is informative: its first completion is correct."""
    return [float(i % 4 == 0) for i in range(len(problems))]


def correct_for_even(problems, completions):
    """Groups of even problems are informative, the others all incorrect."""
    return [float(i % 4 == 0 and int(p.id[1:]) % 2 == 0) for i, p in enumerate(problems)]


def test_a_full_batch_takes_one_round():
    batch = sample(sampler_with(first_correct), 0)
    assert len(batch.kept) == len(batch.sampled) == 4


def test_uninformative_groups_are_replaced_and_the_surplus_is_carried():
    sampler = sampler_with(correct_for_even, prompts_per_step=5)
    first = sample(sampler, 0)
    assert len(first.kept) == 5
    assert all(int(group.problem_id[1:]) % 2 == 0 for group in first.kept)
    kept = [group for group in first.sampled if int(group.problem_id[1:]) % 2 == 0]
    assert len(kept) > 5, "this seed leaves a surplus; without one the test would prove nothing"
    assert sampler.surplus == kept[5:], "no informative group is discarded"
    carried = list(sampler.surplus)
    second = sample(sampler, 1)
    assert second.kept[: len(carried)] == carried
    assert second.carried == len(carried)


def test_the_surplus_can_be_discarded():
    sampler = sampler_with(
        correct_for_even, prompts_per_step=5, dynamic_sampling={"surplus": "discard", "max_rounds": 9}
    )
    first = sample(sampler, 0)
    informative = [group for group in first.sampled if int(group.problem_id[1:]) % 2 == 0]
    assert len(informative) > 5, "this seed leaves a surplus; without one the test would prove nothing"
    assert first.kept == informative[:5], "the first ones in the order of their prompts are kept"
    second = sample(sampler, 1)
    assert sampler.surplus == [] and second.carried == 0
    assert not any(group in informative for group in second.kept)
    assert group_metrics(second, 5)["groups/carried_fraction"] == 0


def test_shares_of_old_groups_and_of_the_batch_that_is_filled():
    groups = sample(sampler_with(first_correct), 0).kept
    shares = [
        (metrics["groups/carried_fraction"], metrics["groups/filled_fraction"])
        for kept, carried in ((4, 1), (4, 6), (2, 1))
        for metrics in [group_metrics(StepGroups(groups[:kept], groups, carried), 4)]
    ]
    assert shares == [(0.25, 1), (1, 1), (0.5, 0.5)]
    empty = group_metrics(StepGroups([], groups, 0), 4)
    assert math.isnan(empty["groups/carried_fraction"]) and empty["groups/filled_fraction"] == 0


def test_rounds_are_capped():
    sampler = sampler_with(
        lambda problems, completions: [0.0] * len(problems), dynamic_sampling={"max_rounds": 3}
    )
    batch = sample(sampler, 0)
    assert batch.kept == []
    assert len(batch.sampled) == 12


def test_groups_of_correct_completions_are_not_informative_either():
    sampler = sampler_with(
        lambda problems, completions: [1.0] * len(problems), dynamic_sampling={"max_rounds": 2}
    )
    assert sample(sampler, 0).kept == []


def test_without_dynamic_sampling_every_group_is_kept():
    sampler = sampler_with(lambda problems, completions: [0.0] * len(problems), dynamic_sampling=None)
    assert len(sample(sampler, 0).kept) == 4


def test_the_length_punishment_is_part_of_the_reward_but_not_of_the_choice():
    sampler = sampler_with(first_correct, soft_overlong={"buffer_tokens": 4})
    group = sample(sampler, 0).kept[0]
    assert group.correct == [1.0, 0.0, 0.0, 0.0]
    assert group.rewards == [0.5, -0.5, -0.5, -0.5]  # 2 tokens of 4, buffer 4


def test_every_epoch_holds_every_problem_once_in_a_new_order():
    stream = PromptStream(PROBLEMS, seed=0)
    first, second = stream.take(50), stream.take(50)
    assert sorted(p.id for _, p in first) == sorted(p.id for _, p in second) == sorted(p.id for p in PROBLEMS)
    assert [p.id for _, p in first] != [p.id for _, p in second]
    assert {epoch for epoch, _ in second} == {1}


def test_every_completion_has_a_seed_of_its_own():
    sampler = sampler_with(first_correct)
    for step in range(15):  # more than one epoch
        sample(sampler, step)
    seeds = [request.seed for request in sampler.engine.requests]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("change", [{"seed": 4}, {}])
def test_samples_depend_on_the_seed_alone(change):
    def steps_with(seed):
        sampler = GroupSampler(EchoEngine(), PromptStream(PROBLEMS, seed), first_correct, training(), seed)
        return [sample(sampler, step) for step in range(3)]

    def tokens(steps):
        return [group.completions for step in steps for group in step.kept]

    assert (tokens(steps_with(3)) == tokens(steps_with(change.get("seed", 3)))) is not bool(change)


def test_metrics_count_all_sampled_groups_and_are_unknown_without_any():
    sampler = sampler_with(correct_for_even, prompts_per_step=5)
    batch = sample(sampler, 0)
    metrics = group_metrics(batch, 5)
    assert metrics["groups/sampled"] == len(batch.sampled) > metrics["groups/kept"] == 5
    assert metrics["groups/dropped"] + len(batch.kept) + len(sampler.surplus) == len(batch.sampled)
    rewards = [value for group in batch.sampled for value in group.rewards]
    assert metrics["reward/mean"] == sum(rewards) / len(rewards)
    sampler.surplus = batch.kept  # enough for the next step, which then samples none
    carried = group_metrics(sample(sampler, 1), 5)
    assert (carried["groups/sampled"], carried["groups/carried"], carried["groups/kept"]) == (0, 5, 5)
    assert math.isnan(carried["reward/mean"]) and math.isnan(carried["groups/informative_fraction"])


def test_groups_survive_a_checkpoint():
    group = sample(sampler_with(first_correct), 0).kept[0]
    group.old_logprobs = [[-0.1, -0.2]] * 4
    assert group_from_json(group_to_json(group)) == group
