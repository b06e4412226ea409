"""How the learning rates were chosen: the tuned rates that a study has, or the trials of one that tunes."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from rlvr.config.rates import ChosenRate, TuningProtocol
from rlvr.config.resolved import Variant
from rlvr.report.inputs import Inputs
from rlvr.report.queries import variant_of
from rlvr.report.section import Section


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRow:
    """The trials of one method at one rate; ``mean`` is None where a seed failed or is missing.

    Attributes:
        accuracies: one per training seed, in ascending order of the seeds; None where it has no accuracy, and
            then ``statuses`` says why.
    """

    method: str
    preset: str
    model: str
    rate: float | None
    accuracies: list[float | None]
    statuses: list[str]
    mean: float | None
    chosen: bool
    edge: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """Context of the section.

    Attributes:
        protocol: how the rates of this study were chosen; None where it chooses rates itself.
        tuned: the rates that the runs of this study have.
        treatments: setting -> where its learning rates come from.
        seeds: training seeds of the trials.
        trials: the trials of a study that tunes, by method and rate.
        unchosen: methods without a chosen rate.
        several_presets: whether a row must name the preset of its method.
    """

    protocol: TuningProtocol | None
    tuned: list[ChosenRate]
    treatments: dict[str, str]
    seeds: list[int]
    trials: list[TrialRow]
    unchosen: list[str]
    several_presets: bool


TREATMENTS = {
    "tuned": "for each method, the rate chosen on validation problems",
    "shared": "one rate for all methods",
    "preset": "the study's rate times the factor of each method's preset",
    "study": "the study's rate times a factor of the study",
}
"""Who gives a rate -> what that means."""


def build(inputs: Inputs) -> Rates | None:
    """Return how rates were chosen; None for a study that neither tunes nor has tuned rates."""
    applied = inputs.study.rates
    if applied is None and inputs.rates.empty:
        return None
    trials = [] if inputs.rates.empty else _trials(inputs)
    several_presets = len({variant.preset for variant in inputs.trained}) > 1
    return Rates(
        protocol=applied.protocol if applied else None,
        tuned=applied.rates if applied else [],
        treatments=_treatments(inputs) if applied else {},
        seeds=sorted({int(seed) for seed in inputs.rates["train_seed"]}),
        trials=trials,
        unchosen=_unchosen(trials, several_presets, inputs.several_models),
        several_presets=several_presets,
    )


def _treatments(inputs: Inputs) -> dict[str, str]:
    given: dict[str, dict[str, None]] = {}
    for run in inputs.study.runs:
        if run.rate_factor:
            given.setdefault(run.setting, {})[run.rate_factor.given_by] = None
    return {setting: "; ".join(TREATMENTS[one] for one in kinds) for setting, kinds in given.items()}


def _trials(inputs: Inputs) -> list[TrialRow]:
    grouped: dict[Variant, list[dict[Hashable, Any]]] = {}
    for row in inputs.rates.sort_values("train_seed", kind="stable").to_dict("records"):
        grouped.setdefault(variant_of(row), []).append(row)
    return [
        TrialRow(
            method=variant.method,
            preset=variant.preset,
            model=variant.model,
            rate=next((rate for row in rows if (rate := _known(row["learning_rate"])) is not None), None),
            accuracies=[_known(row["accuracy"]) for row in rows],
            statuses=[row["status"].replace("_", " ") for row in rows],
            mean=_known(rows[0]["mean_accuracy"]),
            chosen=rows[0]["chosen"],
            edge=rows[0]["edge"] or "",
        )
        for variant, rows in grouped.items()
    ]


def _unchosen(trials: list[TrialRow], several_presets: bool, several_models: bool) -> list[str]:
    """Return the methods without a chosen rate, with preset and model where the study has several."""
    chosen: dict[tuple[str, str, str], bool] = {}
    for row in trials:
        key = (row.method, row.preset, row.model)
        chosen[key] = chosen.get(key, False) or row.chosen
    return [
        " · ".join([method, *[preset] * several_presets, *[model] * several_models])
        for (method, preset, model), known in chosen.items()
        if not known
    ]


def _known(value: float) -> float | None:
    return None if value != value else value


SECTION = Section(
    part="methods", order=12, id="rates", title="Learning rates", template="rates.html", build=build
)
