"""Resolved configurations: everything that one job depends on, and nothing else.

Each is the input of a rule. Editing a study changes only the configurations that contain the edited value, so
nothing else reruns. :mod:`rlvr.planning.plan` makes them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, model_validator

from rlvr.config.choices import AnswerFormat, DType, EngineName, Grader, RewardGrader
from rlvr.config.contrasts import Contrasts
from rlvr.config.loading import parse
from rlvr.config.presets import Fault
from rlvr.config.rates import AppliedRates
from rlvr.config.training import Batching, Prompt, Sampling, Training
from rlvr.config.values import Settings
from rlvr.files import content_hash, read_json

BASE = "base"
"""Method name of the untrained model."""


class TrainConfig(Settings):
    """One run: everything that training and export depend on."""

    kind: Literal["train"] = "train"
    """Kind of configuration."""
    study: str
    """Name of the study."""
    run: str
    """Name of the run: `model--method--preset--setting--sSEED`."""
    model: str
    """Entry of `config/models.yaml`."""
    method: str
    """Method as the study names it; `base` is the untrained model."""
    preset: str
    """Preset of the method."""
    trains_as: str
    """Method that is trained; differs from ``method`` in some presets ``released``."""
    faults: tuple[Fault, ...]
    """Faults of the released code to reproduce."""
    setting: str
    """Setting of the study."""
    train_seed: int
    """Training seed."""
    parameters: dict[str, Any]
    """Settings of the trained method, defaults filled in."""
    dataset: str
    """Entry of `config/datasets.yaml`."""
    prompt: Prompt
    """Prompt, written out."""
    answer_format: AnswerFormat
    """Where the answer is in a completion."""
    reward: RewardGrader = "rlvr"
    """Grader that gives the rewards."""
    training: Training
    """The algorithm; `learning_rate` is the rate of this run."""

    @model_validator(mode="after")
    def _only_released_has_faults(self) -> "TrainConfig":
        if self.preset != "released" and (self.faults or self.trains_as != self.method):
            raise ValueError(f"preset {self.preset!r} must train {self.method!r}, and without faults")
        return self


def checkpoint_name(config: TrainConfig, inputs: dict[str, str]) -> str:
    """Return the name of the folder of a run's checkpoints, among those of other configurations and inputs.

    ``inputs`` are the hashes of model and data, `model_sha256` and `data_sha256`.
    """
    return content_hash({"config": config.model_dump(), **inputs})[:16]


class GenerateConfig(Settings):
    """How the completions of one benchmark are sampled."""

    kind: Literal["generate"] = "generate"
    """Kind of configuration."""
    study: str
    """Name of the study."""
    benchmark: str
    """Name of the benchmark in the study."""
    dataset: str
    """Entry of `config/datasets.yaml`."""
    samples_per_problem: int
    """Completions per problem."""
    sampling: Sampling
    """Sampling parameters."""
    prompt: Prompt
    """Prompt, written out."""
    batch_size: int
    """Sequences generated at once."""
    engine: EngineName = "transformers"
    """What samples the completions."""
    batching: Batching = "static"
    """Whether completions start together, or one that ends makes room for the next."""
    dtype: DType
    """Precision in which the model is evaluated."""
    merged_dtype: DType | None = None
    """Precision to which merged weights are rounded; None: the run as exported."""
    seed: int
    """Seed from which the seeds of the samples are derived."""
    shared_seed: bool
    """Whether every sample has ``seed`` itself."""
    reference_format: AnswerFormat | None = None
    """How the reference solutions are written that are scored, where the data has only answers; None: none
    are scored."""


class GradeConfig(Settings):
    """How the completions of one benchmark are graded."""

    kind: Literal["grade"] = "grade"
    """Kind of configuration."""
    study: str
    """Name of the study."""
    benchmark: str
    """Name of the benchmark in the study."""
    dataset: str
    """Entry of `config/datasets.yaml`."""
    samples_per_problem: int
    """Completions per problem."""
    answer_format: AnswerFormat
    """Where the answer is in a completion."""
    grader: Grader
    """Grader."""


@dataclass(frozen=True, order=True)
class Variant:
    """One row of the tables: a method as configured, over all of its training seeds."""

    model: str
    method: str
    preset: str
    setting: str


class RateFactor(Settings):
    """What the study's learning rate is multiplied by for one method."""

    value: float
    """The factor."""
    given_by: Literal["preset", "study", "tuned", "shared"]
    """Whether the preset or the study gives it; `tuned`: the rate was chosen on validation problems;
    `shared`: all methods have the study's rate."""
    trials: int | None = None
    """Training runs that the choice of a tuned rate cost; null for the others."""


class RunEntry(Settings):
    """One run of a study; the untrained model is the method ``BASE`` and has no training seed."""

    run: str
    """Name of the run: `model--method--preset--setting--sSEED`."""
    model: str
    """Entry of `config/models.yaml`."""
    method: str
    """Method as the study names it; `base` is the untrained model."""
    preset: str
    """Preset of the method."""
    setting: str
    """Setting of the study."""
    train_seed: int | None
    """Training seed."""
    trains_as: str | None = None
    """Method that was trained, if it is not ``method``."""
    faults: tuple[Fault, ...] = ()
    """Faults of the released code that were reproduced."""
    rate_factor: RateFactor | None = None
    """Factor of the learning rate; null for the untrained model."""

    @property
    def variant(self) -> Variant:
        """The row of the tables that the run belongs to."""
        return Variant(self.model, self.method, self.preset, self.setting)


class BenchmarkEntry(Settings):
    """One benchmark of a study, for tables and figures."""

    benchmark: str
    """Name of the benchmark in the study."""
    dataset: str
    """Entry of `config/datasets.yaml`."""
    samples_per_problem: int
    """Completions per problem."""
    title: str
    """Title in tables and figures."""
    forgetting: bool = False
    """Whether it measures what training unlearns; it is then in no mean over benchmarks."""


class StudyManifest(Settings):
    """The runs and benchmarks of a study: what aggregation and report expect."""

    kind: Literal["study"] = "study"
    """Kind of configuration."""
    study: str
    """Name of the study."""
    title: str
    """Title in tables and figures."""
    description: str
    """Purpose of the study."""
    scaled_from: str | None = None
    """Study that this one is at another scale; null: it is at its own."""
    scale: str | None = None
    """The scale, a file of `config/scales/`."""
    train_dataset: str
    """Entry of `config/datasets.yaml`."""
    tunes: bool = False
    """Whether the study chooses learning rates: its settings are rates, its benchmark is validation."""
    rates: AppliedRates | None = None
    """The tuned rates that runs of the study have; null: none has."""
    grader: Grader = "rlvr"
    """Grader used for evaluation."""
    shared_seed: bool = False
    """Whether all samples of a problem share one seed, and so are identical."""
    runs: list[RunEntry] = Field(min_length=1)
    """All runs, the untrained models first."""
    benchmarks: list[BenchmarkEntry] = Field(min_length=1)
    """All benchmarks."""
    contrasts: Contrasts = Contrasts()
    """Pairs to compare."""

    @property
    def averaged(self) -> list[BenchmarkEntry]:
        """The benchmarks that means over benchmarks are of: all but those of forgetting."""
        return [benchmark for benchmark in self.benchmarks if not benchmark.forgetting]

    @property
    def forgetting(self) -> list[BenchmarkEntry]:
        """The benchmarks that measure what training unlearns."""
        return [benchmark for benchmark in self.benchmarks if benchmark.forgetting]

    @property
    def variants(self) -> list[Variant]:
        """The rows of the tables, each once, in the order of the study."""
        return list(dict.fromkeys(run.variant for run in self.runs))

    @property
    def models(self) -> list[str]:
        """The models, each once, in the order of the study."""
        return list(dict.fromkeys(run.model for run in self.runs))

    def runs_of(self, variant: Variant) -> list[RunEntry]:
        """Return the runs of one variant, by training seed."""
        return [run for run in self.runs if run.variant == variant]


Config = TypeVar("Config", TrainConfig, GenerateConfig, GradeConfig, StudyManifest)


def read_config(path: Path, kind: type[Config]) -> Config:
    """Read a resolved configuration.

    Raises:
        UserError: the file is missing, damaged, or of another kind.
    """
    return parse(kind, read_json(path), str(path))
