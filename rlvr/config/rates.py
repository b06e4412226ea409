"""`config/rates/NAME.yaml`: the learning rates that a study with `tune` has chosen, and what they hold for.

`snakemake rates` writes it; a study with `rates: NAME` reads it.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt

from rlvr.config.values import Fraction, Name, Seed, Settings, Sha256
from rlvr.files import content_hash, write_text

if TYPE_CHECKING:
    from rlvr.config.resolved import TrainConfig

Edge = Literal["lowest", "highest"]
"""The end of a grid at which a chosen rate lies."""

_FREE = frozenset(
    {"learning_rate", "steps", "checkpoint_every", "stop_after_uninformative_steps", "mismatch_alarm"}
    | {"tokens_per_microbatch", "rollout_batch_size", "gradient_checkpointing", "engine", "batching"}
)
"""Keys of `training` that a rate does not depend on, or that tuning makes cheaper on purpose."""


class TuningProtocol(Settings):
    """How rates were chosen."""

    study: Name
    """Study that chose them."""
    table_sha256: Sha256
    """Hash of its `tables/rates.csv`."""
    dataset: Name
    """Validation problems: an entry of `config/datasets.yaml`."""
    problems: PositiveInt
    """Their number, without those that are similar to training or test problems."""
    samples_per_problem: PositiveInt
    """Completions per problem."""
    steps: PositiveInt
    """Training steps of a trial."""
    train_seeds: list[Seed] = Field(min_length=1)
    """Training seeds of each rate."""


class ChosenRate(Settings):
    """The learning rate chosen for a method."""

    model: Name
    """Entry of `config/models.yaml`."""
    method: Name
    """Method as the study names it."""
    preset: Name
    """Preset of the method."""
    learning_rate: PositiveFloat
    """The rate chosen."""
    tried: list[PositiveFloat] = Field(min_length=2)
    """All rates that were tried."""
    edge: Edge | None = None
    """The end of the grid at which the chosen rate lies: a better one may lie beyond."""
    trials: PositiveInt
    """Training runs that the choice cost: rates x training seeds."""
    accuracy: Fraction
    """Validation accuracy at the chosen rate, the mean over training seeds; biased upwards by the
    selection."""


class AppliedRates(Settings):
    """The tuned rates that the runs of a study have."""

    protocol: TuningProtocol
    """How they were chosen."""
    rates: list[ChosenRate]
    """The rates of the methods of the study."""


class TunedRate(ChosenRate):
    """The learning rate chosen for a method, and what it was tuned with."""

    conditions: dict[str, Any]
    """What differs between methods of what the rate was tuned with."""


class TunedRates(Settings):
    """`config/rates/NAME.yaml`: the learning rates that a study with `tune` has chosen."""

    protocol: TuningProtocol
    """How they were chosen."""
    entries: dict[str, Sha256]
    """Hash of the catalogue entries that they were tuned on: `models/NAME`, `data/NAME`."""
    conditions: dict[str, Any]
    """What all rates were tuned with."""
    rates: list[TunedRate] = Field(min_length=1)
    """The chosen rates."""

    def find(self, config: "TrainConfig") -> TunedRate | None:
        """Return the rate of a run's model, method and preset."""
        wanted = (config.model, config.method, config.preset)
        return next((one for one in self.rates if (one.model, one.method, one.preset) == wanted), None)

    def conditions_of(self, rate: TunedRate) -> dict[str, Any]:
        """Return all that a rate was tuned with."""
        return {**self.conditions, **rate.conditions}


def rates_path(config: Path, study: str) -> Path:
    """Return the file of the rates that a study has chosen."""
    return config / "rates" / f"{study}.yaml"


def entry_hash(entry: BaseModel) -> str:
    """Return the hash of what the entry of a catalogue says; what it leaves to defaults is no part of it."""
    return content_hash(entry.model_dump(exclude_unset=True))


def conditions_of(config: "TrainConfig") -> dict[str, Any]:
    """Return what a learning rate is tuned with, by dotted key: task, method, algorithm, and no budget."""
    run = config.model_dump(mode="json")
    training = {key: value for key, value in run["training"].items() if key not in _FREE}
    return {
        **{key: run[key] for key in ("dataset", "prompt", "answer_format", "reward", "trains_as", "faults")},
        **{f"parameters.{key}": value for key, value in run["parameters"].items()},
        **{f"training.{key}": value for key, value in training.items()},
    }


def differences(tuned: dict[str, Any], config: "TrainConfig") -> dict[str, str]:
    """Return in what a run differs from what its rate was tuned with: dotted key -> both values in words.

    Keys that the file does not have came later, with a default that changes nothing.
    """
    here = conditions_of(config)
    return {
        key: f"{_text(here.get(key))} here, {_text(value)} when the rate was tuned"
        for key, value in tuned.items()
        if here.get(key) != value
    }


def shared_part(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the items that all mappings have."""
    first, *others = conditions
    return {
        key: value for key, value in first.items() if all(key in one and one[key] == value for one in others)
    }


def write_rates_file(path: Path, rates: TunedRates) -> None:
    """Write the file of tuned rates."""
    head = (
        "# yaml-language-server: $schema=../../workflow/schemas/rates.schema.json\n"
        f"# Written by: snakemake rates --config 'studies=[{rates.protocol.study}]'\n"
        "# Do not edit: docs/tuning.md\n"
    )
    values = rates.model_dump(mode="json", exclude_defaults=True)
    write_text(path, head + yaml.safe_dump(values, sort_keys=False, width=120, default_flow_style=None))


def _text(value: Any) -> str:
    return json.dumps(value)
