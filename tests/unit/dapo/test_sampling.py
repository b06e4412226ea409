"""Dynamic sampling: what is kept, what is carried, what is drawn again."""

from dataclasses import dataclass, field

import pytest

from rlvr.config.schema import Training
from rlvr.dapo.sampling import GroupSampler, PromptStream, TrainingProblem, group_from_json, group_to_json
from rlvr.rollout.engines.base import Completion, Request

PROBLEMS = [TrainingProblem(f"p{i}", (i,), "1") for i in range(50)]


@dataclass
class EchoEngine:
    """Answers with the seed it was given: a real engine's contract, without a model."""

    requests: list[Request] = field(default_factory=list)

    def generate(self, requests, sampling):
        self.requests += requests
        return [Completion([request.seed % 7, 1], [0.0, 0.0], "", "stop", 0.0) for request in requests]


def training(**changes) -> Training:
    values = {"steps": 4, "prompts_per_step": 4, "group_size": 4, "learning_rate": 1e-3}
    return Training(**{**values, "sampling": {"max_new_tokens": 4}, **changes})


def sampler_with(reward, **changes) -> GroupSampler:
    return GroupSampler(EchoEngine(), PromptStream(PROBLEMS, seed=3), reward, training(**changes), seed=3)


def first_right(problems, completions):
    """Every group is mixed: its first completion is right."""
    return [float(i % 4 == 0) for i in range(len(problems))]


def right_for_even(problems, completions):
    """Groups of even problems are mixed, the others all wrong."""
    return [float(i % 4 == 0 and int(p.id[1:]) % 2 == 0) for i, p in enumerate(problems)]


def test_a_full_batch_takes_one_round():
    drawn = sampler_with(first_right).sample(0)
    assert len(drawn.groups) == len(drawn.sampled) == 4


def test_uninformative_groups_are_replaced_and_the_surplus_is_carried():
    sampler = sampler_with(right_for_even, prompts_per_step=5)
    first = sampler.sample(0)
    assert len(first.groups) == 5
    assert all(int(group.problem_id[1:]) % 2 == 0 for group in first.groups)
    kept = [group for group in first.sampled if int(group.problem_id[1:]) % 2 == 0]
    assert len(kept) > 5, "this seed leaves a surplus; without one the test would prove nothing"
    assert sampler.surplus == kept[5:], "what was drawn and is informative is not thrown away"
    carried = list(sampler.surplus)
    second = sampler.sample(1)
    assert second.groups[: len(carried)] == carried
    assert second.carried == len(carried)


def test_rounds_are_capped():
    sampler = sampler_with(
        lambda problems, completions: [0.0] * len(problems), dynamic_sampling={"max_rounds": 3}
    )
    drawn = sampler.sample(0)
    assert drawn.groups == []
    assert len(drawn.sampled) == 12


def test_all_right_groups_teach_nothing_either():
    sampler = sampler_with(
        lambda problems, completions: [1.0] * len(problems), dynamic_sampling={"max_rounds": 2}
    )
    assert sampler.sample(0).groups == []


def test_without_dynamic_sampling_every_group_is_kept():
    sampler = sampler_with(lambda problems, completions: [0.0] * len(problems), dynamic_sampling=None)
    assert len(sampler.sample(0).groups) == 4


def test_the_length_punishment_is_part_of_the_reward_but_not_of_the_choice():
    sampler = sampler_with(first_right, soft_overlong={"buffer_tokens": 4})
    group = sampler.sample(0).groups[0]
    assert group.correct == [1.0, 0.0, 0.0, 0.0]
    assert group.rewards == [0.5, -0.5, -0.5, -0.5]  # 2 tokens of 4, buffer 4


def test_every_epoch_holds_every_problem_once_in_a_new_order():
    stream = PromptStream(PROBLEMS, seed=0)
    first, second = stream.take(50), stream.take(50)
    assert sorted(p.id for _, p in first) == sorted(p.id for _, p in second) == sorted(p.id for p in PROBLEMS)
    assert [p.id for _, p in first] != [p.id for _, p in second]
    assert {epoch for epoch, _ in second} == {1}


def test_every_completion_has_a_seed_of_its_own():
    sampler = sampler_with(first_right)
    for step in range(15):  # more than one epoch
        sampler.sample(step)
    seeds = [request.seed for request in sampler.engine.requests]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("change", [{"seed": 4}, {}])
def test_samples_depend_on_the_seed_alone(change):
    def draw(seed):
        sampler = GroupSampler(EchoEngine(), PromptStream(PROBLEMS, seed), first_right, training(), seed)
        return [sampler.sample(step) for step in range(3)]

    def tokens(steps):
        return [group.completions for step in steps for group in step.groups]

    assert (tokens(draw(3)) == tokens(draw(change.get("seed", 3)))) is not bool(change)


def test_groups_survive_a_checkpoint():
    group = sampler_with(first_right).sample(0).groups[0]
    group.old_logprobs = [[-0.1, -0.2]] * 4
    assert group_from_json(group_to_json(group)) == group
