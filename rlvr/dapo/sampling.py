"""Prompt groups: which prompts, which completions, which groups teach something."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from rlvr.config.schema import SoftOverlong, Training
from rlvr.dapo.losses import soft_overlong_punishment
from rlvr.rollout.engines.base import Completion, Engine, Request
from rlvr.seeds import derive_seed


@dataclass(frozen=True)
class TrainingProblem:
    """A problem as the trainer needs it."""

    id: str
    prompt_ids: tuple[int, ...]
    answer: str


@dataclass
class Group:
    """G completions of one prompt and what they earned."""

    problem_id: str
    prompt_ids: tuple[int, ...]
    completions: list[list[int]]
    """Token ids of each completion."""
    correct: list[float]
    """1.0 where the answer is right (R of the paper, section 2.4), else 0.0."""
    rewards: list[float]
    """`correct` and the length punishment."""
    truncated: list[bool]
    """Cut at the length limit."""
    engine_logprobs: list[list[float]]
    """Per token, as the engine that drew them saw them."""
    old_logprobs: list[list[float]] | None = None
    """Per token, under the policy that drew them; None while that is still the current policy."""


Reward = Callable[[Sequence[TrainingProblem], Sequence[Completion]], list[float]]
"""Problems and completions, paired, -> 1.0 (right) or 0.0."""


@dataclass
class PromptStream:
    """An endless stream of problems: every epoch is a new seeded order."""

    problems: Sequence[TrainingProblem]
    seed: int
    cursor: int = 0
    """Problems handed out so far."""

    def take(self, count: int) -> list[tuple[int, TrainingProblem]]:
        """Return the next ``count`` (epoch, problem) pairs."""
        return [self._next() for _ in range(count)]

    def _next(self) -> tuple[int, TrainingProblem]:
        epoch, position = divmod(self.cursor, len(self.problems))
        self.cursor += 1
        return epoch, self.problems[self._order(epoch)[position]]

    def _order(self, epoch: int) -> np.ndarray:
        if getattr(self, "_cached", (None, None))[0] != epoch:
            generator = np.random.default_rng(derive_seed(self.seed, "order", epoch))
            self._cached = (epoch, generator.permutation(len(self.problems)))
        return self._cached[1]


@dataclass
class StepGroups:
    """The groups of one step and how they were found."""

    groups: list[Group]
    """What the step trains on."""
    sampled: list[Group] = field(default_factory=list)
    """All groups drawn in this step, kept or not."""
    carried: int = 0
    """Groups left over from the step before."""
    reward_seconds: float = 0.0
    """Wall time spent on rewards."""


@dataclass
class GroupSampler:
    """Dynamic sampling (DAPO, arXiv 2503.14476, section 3.2): draw until enough groups are informative.

    Groups beyond what the step needs are carried to the next step, whole and in order: nothing that was drawn
    is thrown away because it came late, which would favour short answers.
    """

    engine: Engine
    stream: PromptStream
    reward: Reward
    training: Training
    seed: int
    surplus: list[Group] = field(default_factory=list)

    def sample(self, step: int) -> StepGroups:
        """Return the groups of ``step``; fewer than asked for if the rounds run out, perhaps none."""
        need = self.training.prompts_per_step
        dynamic = self.training.dynamic_sampling
        result = StepGroups(groups=self.surplus, carried=len(self.surplus))
        for _ in range(dynamic.max_rounds if dynamic else 1):
            if len(result.groups) >= need:
                break
            drawn = self._draw(step, need, result)
            result.sampled += drawn
            result.groups = result.groups + (informative_groups(drawn) if dynamic else drawn)
        self.surplus = result.groups[need:]
        result.groups = result.groups[:need]
        return result

    def _draw(self, step: int, count: int, result: StepGroups) -> list[Group]:
        """Draw G completions for each of the next ``count`` prompts, and reward them."""
        size = self.training.group_size
        pairs = [(epoch, problem) for epoch, problem in self.stream.take(count) for _ in range(size)]
        requests = [
            Request(
                problem.prompt_ids, derive_seed(self.seed, "rollout", step, epoch, problem.id, row % size)
            )
            for row, (epoch, problem) in enumerate(pairs)
        ]
        completions = self.engine.generate(requests, self.training.sampling)
        problems = [problem for _, problem in pairs]
        started = time.perf_counter()
        correct = self.reward(problems, completions)
        result.reward_seconds += time.perf_counter() - started
        return [
            self._group(problems[start], completions[start : start + size], correct[start : start + size])
            for start in range(0, len(pairs), size)
        ]

    def _group(self, problem: TrainingProblem, completions: list[Completion], correct: list[float]) -> Group:
        limit, overlong = self.training.sampling.max_new_tokens, self.training.soft_overlong
        return Group(
            problem_id=problem.id,
            prompt_ids=problem.prompt_ids,
            completions=[completion.token_ids for completion in completions],
            correct=correct,
            rewards=[
                value + length_reward(completion, limit, overlong)
                for value, completion in zip(correct, completions, strict=True)
            ],
            truncated=[completion.finish_reason == "length" for completion in completions],
            engine_logprobs=[completion.logprobs for completion in completions],
        )


def length_reward(completion: Completion, max_tokens: int, overlong: SoftOverlong | None) -> float:
    """Return the soft overlong punishment of one completion, 0 where it is off."""
    if overlong is None:
        return 0.0
    return soft_overlong_punishment(len(completion.token_ids), max_tokens, overlong.buffer_tokens)


def informative_groups(groups: list[Group]) -> list[Group]:
    """Return the groups that hold right and wrong answers (DAPO, arXiv 2503.14476, Eq. 11)."""
    return [group for group in groups if mixed(group)]


def mixed(group: Group) -> bool:
    """Tell whether a group holds right and wrong answers; others give no gradient."""
    return any(value != group.correct[0] for value in group.correct)


def group_to_json(group: Group) -> dict[str, Any]:
    """Return a group as JSON, for a checkpoint."""
    return asdict(group)


def group_from_json(value: dict[str, Any]) -> Group:
    """Return the group that :func:`group_to_json` wrote."""
    return Group(**{**value, "prompt_ids": tuple(value["prompt_ids"])})


def iterate_sequences(groups: list[Group]) -> Iterator[tuple[list[int], list[int]]]:
    """Yield (prompt ids, completion ids) of every completion, group by group."""
    for group in groups:
        for completion in group.completions:
            yield list(group.prompt_ids), completion
