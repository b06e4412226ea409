"""What the runs of a study have in common: how they were trained and evaluated."""

from dataclasses import dataclass

from rlvr.config.overview import FURTHER, Words, evaluation_words
from rlvr.report.inputs import Inputs
from rlvr.report.methods.settings import rate_factors, shared_and_departures, train_configs
from rlvr.report.section import Section

FOLDED = ("Prompt", "Evaluation prompt", "Optimizer", "Warm-up", FURTHER)
"""Shared settings that are long or secondary."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """Context of the section.

    Attributes:
        shared: what the runs share.
        folded: what they share too, but few will ask for.
        rates: the spread of the learning rates in words; empty where there is none.
        factors: who gave the learning rates that are not the study's: `preset`, `study` or `tuned`.
    """

    shared: Words
    folded: Words
    rates: str
    factors: set[str]


def build(inputs: Inputs) -> Configuration | None:
    """Return the settings of all finished runs, from their records; None before the first one."""
    configs = train_configs(inputs)
    if not configs:
        return None
    usual, _ = shared_and_departures(inputs)
    words = {**usual, **evaluation_words(inputs.generation)}
    factors = rate_factors(inputs)
    return Configuration(
        shared={title: value for title, value in words.items() if title not in FOLDED},
        folded={title: words[title] for title in FOLDED if title in words},
        rates=_spread([config.training.learning_rate for config in configs.values()]),
        factors={
            given.given_by
            for one in configs
            if (given := factors.get(one)) and (given.value != 1 or given.given_by == "tuned")
        },
    )


def _spread(rates: list[float]) -> str:
    if min(rates) == max(rates):
        return ""
    return (
        f"Learning rates differ by a factor of {max(rates) / min(rates):.3g}, "
        f"from {min(rates):g} to {max(rates):g}."
    )


SECTION = Section(
    part="methods",
    order=20,
    id="configuration",
    title="What the runs share",
    template="configuration.html",
    build=build,
)
