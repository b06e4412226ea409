"""The learning rate of a run: of its preset, shared by all methods, or tuned on validation problems."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from rlvr.config.algorithms import LARGEST_RATE, LARGEST_STUDY_RATE, too_fast
from rlvr.config.choices import RateChoice
from rlvr.config.documents import Place
from rlvr.config.known import unknown_name
from rlvr.config.loading import load_yaml
from rlvr.config.rates import TunedRate, TunedRates, differences, entry_hash, rates_path
from rlvr.config.resolved import RateFactor, TrainConfig
from rlvr.config.schema import Setting, Study
from rlvr.errors import UserError
from rlvr.planning.methods import PlannedMethod


def rate_choice(study: Study, setting: Setting) -> RateChoice:
    """Return where the learning rates of a setting come from."""
    return setting.rate or ("tuned" if study.rates else "preset")


def load_rates(study: Study, config: Path, place: Place) -> TunedRates | None:
    """Read the tuned rates that a study names; None where it names none.

    Raises:
        UserError: there are none; the message says how to make them.
    """
    if study.rates is None:
        return None
    path = rates_path(config, study.rates)
    if path.exists():
        return load_yaml(path, TunedRates)
    if not (config / "studies" / path.name).exists():
        known = [one.stem for one in path.parent.glob("*.yaml")]
        raise unknown_name(place.at("rates", label=""), "rates", study.rates, known)
    raise UserError(
        f"{place.at('rates')}: study {study.rates!r} has not chosen any rates yet, {path} does not exist; "
        f"{_tune(study)}, or leave `rates` out"
    )


def check_rates(
    study: Study,
    methods: Iterable[PlannedMethod],
    rates: TunedRates,
    entries: Mapping[str, BaseModel],
    place: Place,
) -> None:
    """Check that tuned rates are still of the models and data of a study, and that no other rate is ignored.

    Args:
        study: a study with `rates`.
        methods: its methods.
        rates: what `rates` names.
        entries: the entries of the catalogues, `models/NAME` and `data/NAME`.
        place: the files of the study, for messages.

    Raises:
        UserError: an entry has changed since, a seed of the study chose them, or a rate would be ignored.
    """
    tuned = {name for name, one in study.settings.items() if rate_choice(study, one) == "tuned"}
    for name, digest in rates.entries.items():
        kind, _, model = name.partition("/")
        concerns = kind == "data" or model in study.models
        if concerns and (name not in entries or entry_hash(entries[name]) != digest):
            raise UserError(
                f"{place.at('rates')}: the entry {name} of the catalogue has changed since the rates were "
                f"tuned with it; {_tune(study)}"
            )
    if tuned and (again := sorted(set(study.train_seeds) & set(rates.protocol.train_seeds))):
        raise UserError(
            f"{place.at('train_seeds')}: training seed {again[0]} chose the rates, and with it a method "
            f"looks better than it is; choose seeds other than {sorted(rates.protocol.train_seeds)}"
        )
    for name in sorted(tuned):
        if "learning_rate" in study.settings[name].training:
            raise UserError(
                f"{place.at('settings', name, 'training', 'learning_rate')}: it has no effect where `rates` "
                "gives the learning rates; set `rate: preset` or `rate: shared` for this setting, or give it "
                "a learning_rate_factor"
            )
    for planned in methods:
        its = [one for one in study.settings.values() if not one.methods or planned.method in one.methods]
        ignored = planned.choice.learning_rate_factor is not None
        if ignored and all(rate_choice(study, one) != "preset" for one in its):
            raise UserError(
                f"{planned.place.at('learning_rate_factor')}: it has no effect, because no setting has "
                "`rate: preset`; remove it"
            )


def run_rate(
    study: Study, planned: PlannedMethod, config: TrainConfig, tuned: TunedRates | None, place: Place
) -> tuple[float, RateFactor]:
    """Return the learning rate of a run, and what the study's was multiplied by.

    Args:
        study: the study.
        planned: the method.
        config: the run, whose learning rate is the study's or its setting's.
        tuned: the rates that the study names.
        place: the files of the study, for messages.

    Raises:
        UserError: there is no tuned rate for the run, or the rate is too large for any training.
    """
    setting, own = study.settings[config.setting], config.training.learning_rate
    choice = rate_choice(study, setting)
    if choice == "tuned":
        assert tuned is not None
        found = _tuned_rate(study, config, tuned, place)
        rate = found.learning_rate * setting.learning_rate_factor
        factor = RateFactor(value=rate / own, given_by="tuned", trials=found.trials)
    else:
        factor = planned.rate_factor if choice == "preset" else RateFactor(value=1, given_by="shared")
        own *= setting.learning_rate_factor
        rate = own * factor.value
        if study.tune:  # it will be read and compared
            rate = float(f"{rate:.6g}")
    keys = ("settings", config.setting) if "learning_rate" in setting.training else ()
    where = place.at(*keys, "training")
    where = replace(where.at("learning_rate"), label=where.label)
    if own > LARGEST_STUDY_RATE:
        raise UserError(f"{where}: {too_fast(own, LARGEST_STUDY_RATE)}")
    if rate > LARGEST_RATE:
        raise UserError(
            f"{where}: {too_fast(rate, LARGEST_RATE)} (it is {own:g} times "
            f"learning_rate_factor {factor.value:g} of {planned.method})"
        )
    return rate, factor


def _tuned_rate(study: Study, config: TrainConfig, tuned: TunedRates, place: Place) -> TunedRate:
    """Return the tuned rate of a run.

    Raises:
        UserError: there is none, or it was tuned for another task or for other settings of the method.
    """
    found, where = tuned.find(config), place.at("rates")
    way_out = (
        f"{_tune(study)} after adding it there, or set `rate: preset` or `rate: shared` for setting "
        f"{config.setting!r}"
    )
    name = f"{config.method} with preset {config.preset} on model {config.model}"
    if found is None:
        known = sorted({f"{one.method} ({one.preset}, {one.model})" for one in tuned.rates})
        raise UserError(
            f"{where}: {study.rates!r} has no rate of {name} (it has: {', '.join(known)}); {way_out}"
        )
    other = differences(tuned.conditions_of(found), config)
    if refused := [f"{key} is {words}" for key, words in other.items() if not key.startswith("training.")]:
        raise UserError(f"{where}: the rate of {name} is of something else: {'; '.join(refused)}; {way_out}")
    return found


def _tune(study: Study) -> str:
    """Return how to tune the rates that a study names."""
    return f"tune them: snakemake rates --config 'studies=[{study.rates}]'"
