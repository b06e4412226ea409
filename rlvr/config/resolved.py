"""Resolved configurations: everything that one job depends on, and nothing else.

Each is the input of a rule. Editing a study changes only the configurations that contain the edited value, so
nothing else reruns. :mod:`rlvr.plan` makes them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, model_validator

from rlvr.config.choices import AnswerFormat, Grader
from rlvr.config.loading import parse
from rlvr.config.schema import DType, Fault, Prompt, Sampling, Settings, Training
from rlvr.files import read_json

BASE = "base"
"""Method name of the untrained model."""


class TrainConfig(Settings):
    """One run: everything that training and export depend on."""

    kind: Literal["train"] = "train"
    study: str
    run: str
    model: str
    method: str
    preset: str
    trains_as: str
    """Method that is trained; differs from ``method`` in some presets ``released``."""
    faults: tuple[Fault, ...]
    """Faults of the released code to reproduce."""
    setting: str
    train_seed: int
    parameters: dict[str, Any]
    """Settings of the trained method, defaults filled in."""
    dataset: str
    prompt: Prompt
    answer_format: AnswerFormat
    training: Training
    """The algorithm; `learning_rate` is the rate of this run."""

    @model_validator(mode="after")
    def _only_released_may_be_wrong(self) -> "TrainConfig":
        if self.preset != "released" and (self.faults or self.trains_as != self.method):
            raise ValueError(f"preset {self.preset!r} must train {self.method!r}, and without faults")
        return self


class GenerateConfig(Settings):
    """How the completions of one benchmark are sampled."""

    kind: Literal["generate"] = "generate"
    study: str
    benchmark: str
    dataset: str
    samples_per_problem: int
    sampling: Sampling
    prompt: Prompt
    batch_size: int
    dtype: DType
    seed: int
    shared_seed: bool
    """Whether every sample has ``seed`` itself."""


class GradeConfig(Settings):
    """How the completions of one benchmark are graded."""

    kind: Literal["grade"] = "grade"
    study: str
    benchmark: str
    dataset: str
    samples_per_problem: int
    answer_format: AnswerFormat
    grader: Grader


@dataclass(frozen=True, order=True)
class Variant:
    """One row of the tables: a method as configured, over all of its training seeds."""

    model: str
    method: str
    preset: str
    setting: str


class RunEntry(Settings):
    """One run of a study; the untrained model is the method ``BASE`` and has no training seed."""

    run: str
    model: str
    method: str
    preset: str
    setting: str
    train_seed: int | None
    trains_as: str | None = None
    """Method that was trained, if it is not ``method``."""
    faults: tuple[Fault, ...] = ()
    """Faults of the released code that were reproduced."""

    @property
    def variant(self) -> Variant:
        """The row of the tables that the run belongs to."""
        return Variant(self.model, self.method, self.preset, self.setting)


class BenchmarkEntry(Settings):
    """One benchmark of a study, for tables and figures."""

    benchmark: str
    dataset: str
    samples_per_problem: int
    title: str


class StudyManifest(Settings):
    """The runs and benchmarks of a study: what aggregation and report expect."""

    kind: Literal["study"] = "study"
    study: str
    title: str
    description: str
    train_dataset: str
    grader: Grader = "rlvr"
    """Grader used for evaluation."""
    shared_seed: bool = False
    """Whether all samples of a problem share one seed, and so are identical."""
    runs: list[RunEntry] = Field(min_length=1)
    benchmarks: list[BenchmarkEntry] = Field(min_length=1)

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
