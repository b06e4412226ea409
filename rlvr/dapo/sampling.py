"""Prompt groups: prompts in seeded order, their completions, and which groups are informative."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from rlvr.config.choices import AnswerRule, Status
from rlvr.config.training import SoftOverlong, Training
from rlvr.dapo.early_stop import Example, FirstSteps, outcome_of
from rlvr.dapo.losses import soft_overlong_punishment
from rlvr.dapo.ranks import ONE_RANK, Ranks
from rlvr.dapo.timer import Timer
from rlvr.rollout.engines.base import Completion, Engine, Request, Tokens
from rlvr.seeds import derive_seed
from rlvr.verify.verdict import Verdict


@dataclass(frozen=True)
class TrainingProblem:
    """A problem as the trainer needs it."""

    id: str
    prompt_ids: tuple[int, ...]
    answer: str
    alternates: tuple[str, ...] = ()
    """Further correct answers."""
    text: str = ""
    """The problem without instructions."""
    rule: AnswerRule = "equal"
    """How the answer is checked."""


@dataclass
class Group:
    """G completions of one prompt and their rewards."""

    problem_id: str
    prompt_ids: tuple[int, ...]
    completions: list[list[int]]
    """Token ids of each completion."""
    correct: list[float]
    """1.0 if the answer is correct (R of the RLVR paper, section 2.4), else 0.0."""
    rewards: list[float]
    """`correct` plus the length punishment."""
    truncated: list[bool]
    """Whether the completion was truncated at `max_new_tokens`."""
    engine_logprobs: list[list[float]]
    """Per token, as computed by the engine that sampled it."""
    old_logprobs: list[list[float]] | None = None
    """Per token, under the policy that sampled it; None while that is the current policy."""


Reward = Callable[[Sequence[TrainingProblem], Sequence[Completion]], Sequence[Verdict | float]]
"""Problems and completions, paired, -> their verdicts; without a verifier 1.0 (correct) or 0.0."""


@dataclass
class PromptStream:
    """An endless stream of problems: every epoch is a new seeded order."""

    problems: Sequence[TrainingProblem]
    seed: int
    cursor: int = 0
    """Problems taken so far."""
    _order_of: tuple[int, np.ndarray] | None = field(default=None, init=False, repr=False, compare=False)
    """Epoch and its order."""

    def take(self, count: int) -> list[tuple[int, TrainingProblem]]:
        """Return the next ``count`` (epoch, problem) pairs."""
        return [self._next() for _ in range(count)]

    def _next(self) -> tuple[int, TrainingProblem]:
        epoch, position = divmod(self.cursor, len(self.problems))
        self.cursor += 1
        return epoch, self.problems[self._order(epoch)[position]]

    def _order(self, epoch: int) -> np.ndarray:
        if self._order_of is None or self._order_of[0] != epoch:
            generator = np.random.default_rng(derive_seed(self.seed, "order", epoch))
            self._order_of = epoch, generator.permutation(len(self.problems))
        return self._order_of[1]


@dataclass(frozen=True)
class StepGroups:
    """The groups of one step."""

    kept: list[Group]
    """What the step trains on."""
    sampled: list[Group]
    """All groups sampled in this step, kept or not."""
    carried: int
    """Groups left over from the step before."""


@dataclass
class GroupSampler:
    """Samples completions for the prompts of a stream, in groups, and rewards them."""

    engine: Engine
    stream: PromptStream
    reward: Reward
    training: Training
    seed: int
    surplus: list[Group] = field(default_factory=list)
    """Groups carried to the next step."""
    first_steps: FirstSteps = field(default_factory=FirstSteps)
    """What became of the completions of the first steps."""
    ranks: Ranks = ONE_RANK
    """The processes among which completions are divided."""

    def sample_round(self, step: int, timer: Timer) -> list[Group]:
        """Sample and reward G completions for each of the next `prompts_per_step` prompts.

        Each rank samples and rewards some of them; all have all of them in the end.
        """
        size = self.training.group_size
        prompts = self.stream.take(self.training.prompts_per_step)
        pairs = [(epoch, problem) for epoch, problem in prompts for _ in range(size)]
        requests = [
            Request(
                problem.prompt_ids, derive_seed(self.seed, "rollout", step, epoch, problem.id, row % size)
            )
            for row, (epoch, problem) in enumerate(pairs)
        ]
        problems = [problem for _, problem in pairs]
        own = self.ranks.share([1] * len(pairs))
        longest = max(len(problem.prompt_ids) for problem in problems)
        with timer("rollout"):
            sampled = self.engine.generate(requests[own], self.training.sampling, longest)
            completions = self.ranks.gathered(sampled)
        with timer("reward"):
            graded = self.ranks.gathered(list(self.reward(problems[own], sampled)))
        groups = []
        for start in range(0, len(pairs), size):
            group, outcomes = completions[start : start + size], graded[start : start + size]
            self._record(problems[start], group, outcomes)
            groups.append(self._group(problems[start], group, [_value(verdict) for verdict in outcomes]))
        return groups

    def _record(
        self, problem: TrainingProblem, completions: list[Completion], verdicts: Sequence[Verdict | float]
    ) -> None:
        self.first_steps.record(
            [
                outcome_of(_value(verdict) > 0, _status(verdict), completion.finish_reason)
                for verdict, completion in zip(verdicts, completions, strict=True)
            ],
            [Example(problem.id, problem.answer, completion.text) for completion in completions],
        )

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


def _value(verdict: Verdict | float) -> float:
    return float(verdict.correct) if isinstance(verdict, Verdict) else float(verdict)


def _status(verdict: Verdict | float) -> Status:
    return verdict.status if isinstance(verdict, Verdict) else "ok"


def length_reward(completion: Completion, max_tokens: int, overlong: SoftOverlong | None) -> float:
    """Return the soft overlong punishment of one completion; 0 where it is off."""
    if overlong is None:
        return 0.0
    return soft_overlong_punishment(len(completion.token_ids), max_tokens, overlong.buffer_tokens)


def informative_groups(groups: list[Group]) -> list[Group]:
    """Return the groups with both correct and incorrect completions (DAPO, arXiv 2503.14476, Eq. 11)."""
    return [group for group in groups if is_informative(group)]


def is_informative(group: Group) -> bool:
    """Tell whether a group has both correct and incorrect completions."""
    return any(value != group.correct[0] for value in group.correct)


def outcomes_differ(group: Group) -> bool:
    """Tell whether the completions of a group differ in correctness or in length punishment."""
    return len(set(zip(group.correct, group.rewards, strict=True))) > 1


def tokens_of(groups: list[Group]) -> list[Tokens]:
    """Return the tokens of every completion with its prompt, group by group."""
    return [Tokens(group.prompt_ids, completion) for group in groups for completion in group.completions]


def group_to_json(group: Group) -> dict[str, Any]:
    """Return a group as JSON, for a checkpoint."""
    return asdict(group)


def group_from_json(value: dict[str, Any]) -> Group:
    """Return the group that :func:`group_to_json` wrote."""
    return Group(**{**value, "prompt_ids": tuple(value["prompt_ids"])})
