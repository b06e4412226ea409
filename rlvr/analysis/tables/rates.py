"""The rows of ``rates.csv``: the trials of a study that tunes, and the rate chosen for each method."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rlvr.artifacts import RateRow
from rlvr.config.rates import Edge
from rlvr.config.resolved import Variant
from rlvr.errors import RunStatus

Status = Literal[RunStatus, "not_trained", "not_evaluated"]
MEASURED: tuple[Status, ...] = ("finished", "exhausted")
"""Trials that have an accuracy."""
TOO_FAST: Status = "diverged"
"""What a trial at too high a rate does: a result of the trial, and not a failure of the study."""


@dataclass(frozen=True)
class Trial:
    """One run of a study that tunes.

    Attributes:
        variant: its row of the tables; the setting is the rate.
        run: its name.
        train_seed: its training seed.
        learning_rate: None where it has not been trained.
        status: how it ended.
        correct: correct samples on the problems that count.
        n_problems: these problems.
        n_samples: their samples; 0 where it has no accuracy.
    """

    variant: Variant
    run: str
    train_seed: int
    learning_rate: float | None
    status: Status
    correct: int = 0
    n_problems: int = 0
    n_samples: int = 0

    @property
    def accuracy(self) -> float | None:
        """Share of correct samples; None where it has not been measured."""
        return self.correct / self.n_samples if self.status in MEASURED else None


@dataclass(frozen=True)
class Choice:
    """The trials of one method and the setting that was chosen; None where none can be."""

    trials: tuple[Trial, ...]
    setting: str | None
    edge: Edge | None

    @property
    def missing(self) -> list[Trial]:
        """Trials that are missing or failed for another reason than their rate."""
        return [trial for trial in self.trials if trial.status not in (*MEASURED, TOO_FAST)]

    def mean_accuracy(self, setting: str) -> float | None:
        """Return the mean over the training seeds of a rate; None unless all of them are measured."""
        found = [trial.accuracy for trial in self.trials if trial.variant.setting == setting]
        known = [accuracy for accuracy in found if accuracy is not None]
        return sum(known) / len(known) if len(known) == len(found) else None


def choose(trials: Sequence[Trial]) -> Choice:
    """Choose the rate of one method from all its trials.

    It is the one with the most correct samples over all training seeds; of equal ones the lowest, which is
    the farthest from diverging. A rate at which a seed diverged cannot be chosen. If a trial is
    missing or failed otherwise, no rate is chosen: with it the choice might have been another.

    Args:
        trials: those of one model, method and preset.
    """
    unchosen = Choice(tuple(trials), None, None)
    if unchosen.missing:
        return unchosen
    rates = {trial.variant.setting: trial.learning_rate or 0.0 for trial in trials}
    correct: dict[str, int] = dict.fromkeys(rates, 0)
    for trial in trials:
        correct[trial.variant.setting] += trial.correct
    diverged = {trial.variant.setting for trial in trials if trial.status == TOO_FAST}
    possible = [setting for setting in rates if setting not in diverged]
    if not possible:
        return unchosen
    best = min(possible, key=lambda setting: (-correct[setting], rates[setting]))
    ends: dict[float, Edge] = {max(rates.values()): "highest", min(rates.values()): "lowest"}
    return Choice(tuple(trials), best, ends.get(rates[best]))


def choices(trials: Sequence[Trial]) -> list[Choice]:
    """Return the choice for every model, method and preset, in the order of the study."""
    methods: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in trials:
        variant = trial.variant
        methods.setdefault((variant.model, variant.method, variant.preset), []).append(trial)
    return [choose(found) for found in methods.values()]


def rate_rows(study: str, chosen: Sequence[Choice]) -> Iterator[RateRow]:
    """Yield a row for every trial."""
    for choice in chosen:
        for trial in choice.trials:
            variant = trial.variant
            won = variant.setting == choice.setting
            yield RateRow(
                study=study,
                model=variant.model,
                method=variant.method,
                preset=variant.preset,
                setting=variant.setting,
                run=trial.run,
                train_seed=trial.train_seed,
                learning_rate=trial.learning_rate,
                status=trial.status,
                accuracy=trial.accuracy,
                mean_accuracy=choice.mean_accuracy(variant.setting),
                n_problems=trial.n_problems,
                n_samples=trial.n_samples,
                chosen=won,
                edge=choice.edge if won else None,
            )


def warnings(chosen: Sequence[Choice]) -> Iterator[str]:
    """Yield a line for every choice that is none, or that may not be the best."""
    for choice in chosen:
        variant = choice.trials[0].variant
        name = f"{variant.method} ({variant.preset}) on {variant.model}"
        if choice.missing:
            runs = ", ".join(f"{trial.run} {trial.status}" for trial in choice.missing)
            yield f"{name}: no rate is chosen, because trials are missing or failed: {runs}"
        elif choice.setting is None:
            yield f"{name}: no rate is chosen: at every rate of the grid a trial diverged; add lower ones"
        elif choice.edge:
            beyond = "lower" if choice.edge == "lowest" else "higher"
            yield (
                f"{name}: the chosen rate is the {choice.edge} of the grid, and a better one may lie beyond "
                f"it; add {beyond} ones, or move its grid by `around`"
            )
