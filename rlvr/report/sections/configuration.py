"""How the runs were trained: what they share, and the learning rate and settings of each."""

from dataclasses import dataclass

from rlvr.config.overview import (
    FURTHER,
    Words,
    compared,
    evaluation_words,
    layer_words,
    method_words,
    plain,
    rate_words,
    training_words,
)
from rlvr.config.resolved import RateFactor, TrainConfig, Variant
from rlvr.report.inputs import Inputs
from rlvr.report.section import Section

COLUMNS = ("rank", "alpha", "dropout")
"""Method settings with a column of their own."""
LAYERS = "Adapted layers"
FOLDED = ("Prompt", "Evaluation prompt", "Optimizer", "Warm-up", FURTHER)
"""Shared settings that are long or secondary."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingsRow:
    """The settings of one variant; ``rate`` is None where it has not been run.

    Attributes:
        origin: the parts of the learning rate; empty where it is the study's.
        columns: the values of `COLUMNS`.
        other: the method's other settings.
        departs: where the variant departs from what the others share.
    """

    label: str
    model: str
    rate: float | None = None
    origin: str = ""
    columns: tuple[str, ...] = ("",) * len(COLUMNS)
    other: str = ""
    departs: Words


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """Context of the section.

    Attributes:
        shared: what the runs share.
        folded: what they share too, but few will ask for.
        rates: the spread of the learning rates in words; empty where there is none.
        factors: who gave the learning rates that are not the study's: `preset`, `study` or `tuned`.
        columns: titles of the columns of method settings.
        several_departures: whether a variant departs from what the others share.
    """

    shared: Words
    folded: Words
    rates: str
    factors: set[str]
    columns: tuple[str, ...]
    rows: list[SettingsRow]
    several_departures: bool


def build(inputs: Inputs) -> Configuration | None:
    """Return the settings of all finished runs, from their records; None before the first one."""
    configs = {variant: config for variant in inputs.trained if (config := _config(inputs, variant))}
    if not configs:
        return None
    usual, departures = compared([_words(config) for config in configs.values()])
    words = {**usual, **evaluation_words(inputs.generation)}
    departs = dict(zip(configs, departures, strict=True))
    factors = {run.variant: run.rate_factor for run in inputs.study.runs if run.rate_factor}
    rows = [
        _row(inputs, variant, configs.get(variant), factors.get(variant), departs.get(variant, {}))
        for variant in inputs.trained
    ]
    return Configuration(
        shared={title: value for title, value in words.items() if title not in FOLDED},
        folded={title: words[title] for title in FOLDED if title in words},
        rates=_spread([row.rate for row in rows if row.rate is not None]),
        factors={one.given_by for one in factors.values() if one.value != 1 or one.given_by == "tuned"},
        columns=COLUMNS,
        rows=rows,
        several_departures=any(departures),
    )


def _config(inputs: Inputs, variant: Variant) -> TrainConfig | None:
    """Return the configuration of a variant, which its training seeds share."""
    records = [inputs.ended.get(run.run) for run in inputs.study.runs_of(variant)]
    return next((record.run_info.config for record in records if record), None)


def _words(config: TrainConfig) -> Words:
    layers = layer_words(config.parameters)
    return training_words(config) | ({LAYERS: layers} if layers else {})


def _row(
    inputs: Inputs, variant: Variant, config: TrainConfig | None, factor: RateFactor | None, departs: Words
) -> SettingsRow:
    label = inputs.label(variant)
    if config is None:
        return SettingsRow(label=label, model=variant.model, departs={})
    rate, parameters = config.training.learning_rate, config.parameters
    return SettingsRow(
        label=label,
        model=variant.model,
        rate=rate,
        origin=rate_words(rate, factor) if factor else "origin not recorded",
        columns=tuple(plain(parameters[name]) if name in parameters else "–" for name in COLUMNS),
        other=method_words(parameters, without=COLUMNS),
        departs=departs,
    )


def _spread(rates: list[float]) -> str:
    if min(rates) == max(rates):
        return ""
    return (
        f"Learning rates differ by a factor of {max(rates) / min(rates):.3g}, "
        f"from {min(rates):g} to {max(rates):g}."
    )


SECTION = Section(
    order=25, id="configuration", title="Configuration", template="configuration.html", build=build
)
