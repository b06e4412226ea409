"""The curves of training: all methods in one panel."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rlvr.artifacts import FailedRun
from rlvr.config.resolved import Variant
from rlvr.report.charts.lines import Axis, Line, LinePanel, share_axis, thinned
from rlvr.report.figure1 import paper_curves
from rlvr.report.inputs import Inputs
from rlvr.report.panels import Found, PagePanel, line_kind, page_panels
from rlvr.report.section import Section
from rlvr.report.text import compact, listing, number, percent

CARRIED, FILLED, SPENT = "groups/carried_fraction", "groups/filled_fraction", "rollouts/completions"
SMOOTHING = 1 / 10  # width of the moving mean, as a share of the run
FLAT = 0.02  # a quantity that varies by less than this share of its size is said in words


def value_label(value: float) -> str:
    """Return a value of an axis."""
    return compact(value) if abs(value) >= 1000 else f"{value:.3g}"


QUANTITIES: dict[str, tuple[str, Axis]] = {
    "reward": ("reward/mean", Axis(title="Mean reward", label=value_label)),
    "correct": ("reward/correct", share_axis("Correct completions (%)")),
    "length": ("completion/length_mean", Axis(title="Completion length (tokens)", label=value_label)),
    "truncated": ("completion/truncated_fraction", share_axis("Truncated completions (%)")),
    "informative": ("groups/informative_fraction", share_axis("Groups with mixed rewards (%)")),
    "entropy": ("policy/entropy", Axis(title="Entropy (nats per token)", label=value_label)),
    "clip-low": ("loss/clip_low_fraction", share_axis("Tokens clipped below (%)")),
    "clip-high": ("loss/clip_high_fraction", share_axis("Tokens clipped above (%)")),
    "gradient": ("optim/grad_norm", Axis(title="Gradient norm", label=value_label)),
    "carried": (CARRIED, share_axis("Groups carried over (%)")),
    "filled": (FILLED, share_axis("Batch filled (%)")),
    "noise": ("sync/noise_to_signal", Axis(title="Weight-sync noise-to-signal ratio", label=value_label)),
    "gain": ("sync/gain", Axis(title="Share of the update that is served (gain)", label=value_label)),
    "moved": ("sync/moved_fraction", share_axis("Served weights that moved (%)")),
    "mismatch": ("rollout/mismatch_kl", Axis(title="Mismatch KL (nats per token)", label=value_label)),
    "mismatch-max": ("rollout/mismatch_max", Axis(title="Largest mismatch (nats)", label=value_label)),
    "ess": ("rollout/effective_sample_size", share_axis("Effective sample size (%)")),
}
"""Name in links -> column of the training log, and the axis."""
ACROSS: dict[str, tuple[str, Axis]] = {
    "step": ("step", Axis(title="step", label=value_label)),
    "tokens": ("tokens/generated", Axis(title="tokens sampled", label=value_label)),
    "minutes": ("time/step_seconds", Axis(title="minutes, as run", label=value_label)),
}
"""The same for the horizontal axis; all but the step are summed up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """Context of the section.

    Attributes:
        flat: what is nearly constant, in words, by model.
        not_run: the models of which nothing was logged.
        groups: how the batches came about: where they were sampled, how full they were, what they cost.
        data: the panels by model.
    """

    panels: list[PagePanel]
    flat: dict[str, str]
    not_run: list[str]
    groups: list[str]
    data: dict[str, Any]


def build(inputs: Inputs) -> Training:
    """Return the curves of every model: the reward first."""
    found, flat = [], {}
    for model in inputs.study.models:
        curves = [curve for variant in inputs.trained_of(model) if (curve := _curve(inputs, variant))]
        shown, flat[model] = _quantities(curves)
        curves += paper_curves(inputs, model, {variant.method for variant in inputs.trained_of(model)})
        if shown:
            found.append(Found(model, model, _panel(model, curves, shown)))
    drawn = page_panels(inputs, "training", found)
    return Training(
        panels=drawn.panels,
        flat=flat,
        not_run=[model for model in inputs.study.models if model not in drawn.data],
        groups=[*carried_sentences(inputs), *filled_sentences(inputs), *spent_sentences(inputs)],
        data=drawn.data,
    )


def _quantities(curves: list[Line]) -> tuple[dict[str, Axis], str]:
    """Return what the panel shows, and in words what is nearly constant and left out."""
    shown, flat = {}, []
    for name, (_, axis) in QUANTITIES.items():
        values = np.concatenate([one.y[name] for one in curves if name in one.y] or [[]])
        values = values[~np.isnan(values)]
        if not len(values):
            continue
        low, high = float(values.min()), float(values.max())
        if name != "reward" and high - low <= FLAT * max(abs(low), abs(high)):
            flat.append(_constant(axis, low, high))
        else:
            shown[name] = axis
    return shown, listing(flat)


def _panel(model: str, curves: list[Line], shown: dict[str, Axis]) -> LinePanel:
    return LinePanel(
        title=f"Training of {model}, all methods",
        x={name: axis for name, (_, axis) in ACROSS.items()},
        y=shown,
        lines=curves,
    )


def _constant(axis: Axis, low: float, high: float) -> str:
    title = axis.title[0].lower() + axis.title[1:]
    ends = dict.fromkeys([axis.label(low), axis.label(high)])
    return f"{title} {' to '.join(ends)}"


def _curve(inputs: Inputs, variant: Variant) -> Line | None:
    """Return the line of a variant: the mean over training seeds, smoothed over a tenth of the run."""
    logs = _logs(inputs, variant)
    if not logs:
        return None
    across = {name: _mean(logs, column, total=name != "step") for name, (column, _) in ACROSS.items()}
    across["minutes"] = across["minutes"] / 60
    width = max(3, round(len(across["step"]) * SMOOTHING))
    smooth = {
        name: _mean(logs, column).rolling(width, center=True, min_periods=1).mean()
        for name, (column, _) in QUANTITIES.items()
        if any(column in log for log in logs)
    }
    return Line(
        key=inputs.key(variant),
        label=inputs.label(variant),
        kind=line_kind(variant),
        x={name: thinned(values.tolist()) for name, values in across.items()},
        y={name: thinned(values.tolist()) for name, values in smooth.items()},
        marks=_failures(inputs, variant),
    )


def _mean(logs: list[pd.DataFrame], column: str, total: bool = False) -> pd.Series:
    """Return the mean over training seeds of a column, or of its sum so far, by step."""
    if column == "step":
        steps = pd.concat([log["step"] for log in logs]).drop_duplicates().sort_values()
        return pd.Series(steps.to_numpy(dtype=float), index=steps)
    columns = [log.set_index("step")[column].astype(float) for log in logs if column in log]
    return pd.concat([one.cumsum() if total else one for one in columns], axis=1).sort_index().mean(axis=1)


def _failures(inputs: Inputs, variant: Variant) -> Mapping[str, list[tuple[Mapping[str, float], float]]]:
    """Return where the failed runs of a variant ended."""
    marks: dict[str, list[tuple[Mapping[str, float], float]]] = {}
    for run in inputs.study.runs_of(variant):
        log = inputs.train_logs.get(run.run)
        if log is None or not len(log) or not isinstance(inputs.ended.get(run.run), FailedRun):
            continue
        place = {
            "step": float(log["step"].iloc[-1]),
            "tokens": float(log["tokens/generated"].sum()),
            "minutes": float(log["time/step_seconds"].sum()) / 60,
        }
        for name, (column, _) in QUANTITIES.items():
            if column in log and not np.isnan(log[column].iloc[-1]):
                marks.setdefault(name, []).append((place, float(log[column].iloc[-1])))
    return marks


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


def _logs(inputs: Inputs, variant: Variant) -> list[pd.DataFrame]:
    """Return the training logs of a variant that have rows."""
    runs = inputs.study.runs_of(variant)
    return [log for run in runs if (log := inputs.train_logs.get(run.run)) is not None and len(log)]


SECTION = Section(part="training", order=10, id="training", title="", template="training.html", build=build)
