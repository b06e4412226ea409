"""End a run that learns no more, and say why.

At the start: what the verifier said of its first completions. Later: whether its reward has collapsed, or
there is no more to learn.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlvr.config.choices import FinishReason, Status
from rlvr.config.resolved import TrainConfig
from rlvr.errors import RunFailure

SHOWN = 160
"""Characters of an example that a message shows: half from its start, half from its end."""

TRUNCATED, CORRECT, INCORRECT = "truncated", "correct", "incorrect"
REASONS: dict[str, tuple[str, str]] = {
    TRUNCATED: (
        "were truncated after training.sampling.max_new_tokens = {max_new_tokens} before an answer",
        "raise max_new_tokens",
    ),
    "no_answer": (
        "have no answer {readable}",
        "ask for it in `prompt`{or_read}",
    ),
    "unparsed_gold": (
        "have a gold answer that cannot be read",
        "see `columns.answer` and `columns.answer_form` of {dataset} in datasets.yaml",
    ),
    "unevaluated": (
        "give an expression that is not evaluated where the gold answer is a number",
        "use a model that computes it, or easier problems",
    ),
    "timeout": ("took too long to compare", "see the golds of {dataset}"),
    "error": ("could not be compared", "see the golds of {dataset}"),
    INCORRECT: (
        "are incorrect",
        "use easier problems, raise group_size, or check the golds of {dataset} and the prompt",
    ),
    CORRECT: ("are correct", "use harder problems"),
}
"""What became of a completion -> the same in words, and a way out; in the order of messages."""


@dataclass
class Example:
    """A completion of one kind, with its problem."""

    problem_id: str
    gold: str
    text: str


@dataclass
class FirstSteps:
    """What became of the completions of the first steps, until a group is informative."""

    steps: int = 0
    """Steps without an informative group."""
    all_correct: int = 0
    """Groups whose completions are all correct."""
    all_incorrect: int = 0
    """Groups whose completions are all incorrect."""
    completions: dict[str, int] = field(default_factory=dict)
    """Key of :data:`REASONS` -> number."""
    examples: dict[str, Example] = field(default_factory=dict)
    """Key of :data:`REASONS` -> its first completion."""
    settled: bool = False
    """Whether a group was informative, so that nothing more is recorded."""
    idle: int = 0
    """Steps in a row, after that, that trained on no informative group."""

    def record(self, outcomes: Sequence[str], examples: Sequence[Example]) -> None:
        """Record the completions of one group, each with its key of :data:`REASONS`."""
        if self.settled:
            return
        self.all_correct += all(outcome == CORRECT for outcome in outcomes)
        self.all_incorrect += all(outcome != CORRECT for outcome in outcomes)
        for outcome, example in zip(outcomes, examples, strict=True):
            self.completions[outcome] = self.completions.get(outcome, 0) + 1
            self.examples.setdefault(outcome, example)

    def end_step(self, informative: bool, config: TrainConfig) -> None:
        """Count a step, and stop a run that cannot learn; :func:`exhausted` is for one that has learned.

        Args:
            informative: whether the step trained on a group whose completions differ in correctness or in
                length punishment.
            config: the run.

        Raises:
            RunFailure: none of the first steps did (`training.stop_after_uninformative_steps`).
        """
        limit = config.training.stop_after_uninformative_steps
        if self.settled or informative or limit is None:
            self.settled = True
            self.idle = 0 if informative else self.idle + 1
            return
        self.steps += 1
        if self.steps >= min(limit, config.training.steps):
            raise RunFailure("uninformative", self.reasons(config))

    def reasons(self, config: TrainConfig) -> str:
        """Return why nothing can be learned: each reason with its share, an example and a way out."""
        groups, total = self.all_correct + self.all_incorrect, sum(self.completions.values())
        own = config.reward == "rlvr"  # other graders do not read `answer_format`
        names = {
            "max_new_tokens": config.training.sampling.max_new_tokens,
            "readable": f"in the format {config.answer_format}" if own else f"that {config.reward} reads",
            "or_read": ", or set `answer_format` to what the model writes" if own else "",
            "dataset": config.dataset,
        }
        lines = [
            f"{config.run}: stopped after {self.steps} steps, because no group had both correct and "
            f"incorrect completions, and so there was nothing to learn from. Of {groups:,} groups, "
            f"{self.all_incorrect:,} were all incorrect and {self.all_correct:,} all correct. "
            f"Of {total:,} completions"
        ]
        for reason in sorted(self.completions, key=_order):
            words, way_out = (text.format(**names) for text in REASONS.get(reason, (f"are {reason}", "")))
            example = self.examples[reason]
            lines.append(
                f"- {_share(self.completions[reason], total)} {words}, such as {_shortened(example.text)!r} "
                f"for problem {example.problem_id!r} with gold {_shortened(example.gold)!r}"
                + (f"; {way_out}" if way_out else "")
            )
        lines.append("`training.stop_after_uninformative_steps: null` trains in any case")
        return "\n".join(lines)


def exhausted(first_steps: FirstSteps, log: Sequence[Mapping[str, float]], config: TrainConfig) -> bool:
    """Tell whether a run ends before its last step, because its last ones had nothing to learn from.

    Args:
        first_steps: of the run, after the last step of the log.
        log: all finished steps.
        config: the run (`training.stop_after_uninformative_steps`).

    Raises:
        RunFailure: in these steps, the share of correct completions is less than half of the first step's.
    """
    limit, idle = config.training.stop_after_uninformative_steps, first_steps.idle
    if limit is None or idle < limit:
        return False
    first, last = log[:1], log[-idle:]
    if _mean(last, "reward/correct") < _mean(first, "reward/correct") / 2:
        raise RunFailure(
            "diverged",
            f"{config.run}: the reward collapsed from {_mean(first, 'reward/mean'):.2f} in the first step to "
            f"{_mean(last, 'reward/mean'):.2f} in the last {idle}, in which no group had both correct and "
            "incorrect completions; lower training.learning_rate "
            "(`training.stop_after_uninformative_steps: null` trains in any case)",
        )
    return True


def _mean(rows: Sequence[Mapping[str, float]], column: str) -> float:
    """Return the mean over the steps that sampled; NaN where none did."""
    values = [row[column] for row in rows if not math.isnan(row[column])]
    return sum(values) / len(values) if values else math.nan


def first_steps_from_json(value: dict[str, Any]) -> FirstSteps:
    """Return what a checkpoint holds as JSON."""
    examples = {reason: Example(**example) for reason, example in value["examples"].items()}
    return FirstSteps(**{**value, "examples": examples})


def outcome_of(correct: bool, status: Status, finish_reason: FinishReason) -> str:
    """Return what became of a completion, a key of :data:`REASONS`."""
    if correct:
        return CORRECT
    if status == "no_answer" and finish_reason == "length":
        return TRUNCATED
    return INCORRECT if status == "ok" else status


def _order(reason: str) -> int:
    return list(REASONS).index(reason) if reason in REASONS else len(REASONS)


def _share(count: int, total: int) -> str:
    percent = 100 * count / total
    return f"{percent:.0f} %" if percent >= 1 else "under 1 %"


def _shortened(text: str) -> str:
    half = SHOWN // 2
    return text if len(text) <= SHOWN else f"{text[:half]} ... {text[-half:]}"
