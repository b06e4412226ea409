"""The curves of training."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from rlvr.config.resolved import Variant
from rlvr.report.charts.curves import Curve, training_curve, training_panels
from rlvr.report.inputs import Inputs
from rlvr.report.panels import ModelPanels, Panels, panels_of_models
from rlvr.report.section import Section
from rlvr.report.text import number, percent

REFERENCE_METHOD = "lora"  # dashed in the panels of the others
CARRIED, FILLED, SPENT = "groups/carried_fraction", "groups/filled_fraction", "rollouts/completions"
CLIPPED_LOW, CLIPPED_HIGH = "loss/clip_low_fraction", "loss/clip_high_fraction"
GAIN, MOVED = "sync/gain", "sync/moved_fraction"
CURVES: list[tuple[str, str, float | None]] = [  # title, column of the log, largest possible value
    ("Mean reward", "reward/mean", None),
    ("Completion length (tokens)", "completion/length_mean", None),
    ("Share of informative groups", "groups/informative_fraction", 1.0),
    ("Share of trained groups that were carried over", CARRIED, 1.0),
    ("Share of the batch filled", FILLED, 1.0),
    ("Completions sampled so far", SPENT, None),
    ("Weight-sync noise-to-signal ratio", "sync/noise_to_signal", None),
    ("Share of the update that is served (gain)", GAIN, None),
    ("Share of the served weights that moved", MOVED, 1.0),
    ("Mismatch KL (nats per token)", "rollout/mismatch_kl", None),
    ("Largest mismatch of a token (nats)", "rollout/mismatch_max", None),
    ("Effective sample size (share of the tokens)", "rollout/effective_sample_size", 1.0),
    ("Entropy (nats per token)", "policy/entropy", None),
    ("Share of tokens clipped below", CLIPPED_LOW, 1.0),
    ("Share of tokens clipped above", CLIPPED_HIGH, 1.0),
]
UNREMARKABLE = {CARRIED: 0.0, FILLED: 1.0, CLIPPED_LOW: 0.0, CLIPPED_HIGH: 0.0, GAIN: 1.0, MOVED: 1.0}
"""Columns whose panels are left out where every step has this value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """Context of the section.

    Attributes:
        reference: the method of the dashed curves.
        several_references: whether the curves of different variants of it are dashed in different panels.
        groups: how the batches came about: where they were sampled, how full they were, what they cost.
    """

    models: list[ModelPanels]
    groups: list[str]
    reference: str
    several_references: bool


def build(inputs: Inputs) -> Training:
    """Return the curves of every model: the reward first."""
    references = [
        sum(v.method == REFERENCE_METHOD for v in inputs.trained_of(m)) for m in inputs.study.models
    ]
    return Training(
        models=panels_of_models(inputs, _groups),
        groups=[*carried_sentences(inputs), *filled_sentences(inputs), *spent_sentences(inputs)],
        reference=REFERENCE_METHOD,
        several_references=max(references) > 1,
    )


def reference_of(inputs: Inputs, variant: Variant) -> Variant | None:
    """Return the LoRA variant to compare with: the nearest in preset, then in setting.

    A LoRA variant is compared with the first one of its preset, and that with the first one of the study.
    None for the latter, and where the study has no LoRA.
    """
    candidates = [other for other in inputs.trained_of(variant.model) if other.method == REFERENCE_METHOD]
    if variant.method != REFERENCE_METHOD:
        return min(
            candidates,
            key=lambda other: (other.preset != variant.preset, other.setting != variant.setting),
            default=None,
        )
    first_of_preset = next(other for other in candidates if other.preset == variant.preset)
    return next((other for other in (first_of_preset, candidates[0]) if other != variant), None)


def carried_sentences(inputs: Inputs) -> list[str]:
    """Say which share of the groups trained on an older policy sampled; nothing where no log has it."""
    logged = _logged(inputs, CARRIED)
    old = {label: values for label, values in logged.items() if values.max() > 0}
    if not logged:
        return []
    if not old:
        return ["Every group trained on was sampled by the policy of its own step."]
    share = _extremes({label: float(values.mean()) for label, values in old.items()}, percent)
    most = percent(max(float(values.max()) for values in old.values()))
    return [
        f"Not strictly on-policy: {share} of the groups trained on were sampled by the policy of the step "
        f"before (mean over steps; at most {most} in one step)."
    ]


def filled_sentences(inputs: Inputs) -> list[str]:
    """Say where batches were smaller than configured; nothing where no log has it."""
    logged = _logged(inputs, FILLED)
    short = {label: values for label, values in logged.items() if values.min() < 1}
    if not logged:
        return []
    if not short:
        return ["Every batch was full."]
    share = _extremes({label: float((values < 1).mean()) for label, values in short.items()}, percent)
    least = percent(min(float(values.min()) for values in short.values()))
    return [
        f"Batches were smaller than configured in {share} of the steps, because the rounds of dynamic "
        f"sampling found too few informative groups; the smallest was {least} full."
    ]


def spent_sentences(inputs: Inputs) -> list[str]:
    """Say how many completions a training run sampled; nothing where no log has it."""
    logged = _logged(inputs, SPENT, per_run=True)
    if not logged:
        return []
    spent = _extremes({label: float(ends.mean()) for label, ends in logged.items()}, number)
    return [f"Completions sampled per training run: {spent}."]


def _logged(inputs: Inputs, column: str, per_run: bool = False) -> dict[str, pd.Series]:
    """Return the values of a column by label, over all steps and seeds, or the last one of each run."""
    found = {}
    for variant in inputs.trained:
        logs = [log[column].dropna() for log in _logs(inputs, variant) if column in log]
        if any(map(len, logs)):
            values = pd.Series([log.iloc[-1] for log in logs if len(log)]) if per_run else pd.concat(logs)
            name = f"{inputs.label(variant)}, {variant.model}" if inputs.several_models else None
            found[name or inputs.label(variant)] = values
    return found


def _extremes(values: dict[str, float], show: Callable[[float], str]) -> str:
    """Return the value of the only label, or the smallest and the largest with their labels."""
    low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    if show(values[low]) == show(values[high]):
        return show(values[low]) + (f" ({low})" if len(values) == 1 else "")
    return f"{show(values[low])} ({low}) to {show(values[high])} ({high})"


def _groups(inputs: Inputs, model: str) -> list[Panels]:
    variants = inputs.trained_of(model)
    references = {
        inputs.label(variant): inputs.label(reference)
        for variant in variants
        if (reference := reference_of(inputs, variant))
    }
    return [
        Panels(
            title=title,
            figures=training_panels(
                {inputs.label(variant): _curve(inputs, variant, column) for variant in variants},
                references,
                title,
                ceiling,
            ),
        )
        for title, column, ceiling in CURVES
        if not _unremarkable(inputs, column)
    ]


def _unremarkable(inputs: Inputs, column: str) -> bool:
    """Tell whether a column has the same expected value in every step of all runs."""
    return column in UNREMARKABLE and all(
        (values == UNREMARKABLE[column]).all() for values in _logged(inputs, column).values()
    )


def _curve(inputs: Inputs, variant: Variant, column: str) -> Curve | None:
    logs = [log for log in _logs(inputs, variant) if column in log]
    return training_curve(logs, column) if logs else None


def _logs(inputs: Inputs, variant: Variant) -> list[pd.DataFrame]:
    """Return the training logs of a variant that have rows."""
    runs = inputs.study.runs_of(variant)
    return [log for run in runs if (log := inputs.train_logs.get(run.run)) is not None and len(log)]


SECTION = Section(part="training", order=10, id="training", title="", template="training.html", build=build)
