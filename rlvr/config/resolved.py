"""Resolved cells: what one job needs to know, and nothing else.

A cell file is the input of a rule; editing a setting changes only the cells that hold it, so nothing else
is computed again. :mod:`rlvr.plan` makes them from a study.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, model_validator

from rlvr.config.loading import parse
from rlvr.config.schema import AnswerFormat, DType, Fault, Grader, Prompt, Sampling, Settings, Training
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
    """The method that is really trained; another than ``method`` in some presets ``released``."""
    faults: tuple[Fault, ...]
    """Faults of the released code that are repeated."""
    setting: str
    train_seed: int
    parameters: dict[str, Any]
    dataset: str
    prompt: Prompt
    answer_format: AnswerFormat
    training: Training

    @model_validator(mode="after")
    def _only_released_may_be_wrong(self) -> "TrainConfig":
        if self.preset != "released" and (self.faults or self.trains_as != self.method):
            raise ValueError(f"preset {self.preset!r} must train {self.method!r}, and without faults")
        return self


class GenerateConfig(Settings):
    """One benchmark as answers are drawn for it."""

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
    """Every sample has ``seed`` itself."""


class GradeConfig(Settings):
    """One benchmark as answers are judged."""

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
    """One row of a study's grid; the untrained model is the method ``BASE`` and has no training seed."""

    run: str
    model: str
    method: str
    preset: str
    setting: str
    train_seed: int | None
    trains_as: str | None = None
    """The method that was really trained under this name, where it is another."""
    faults: tuple[Fault, ...] = ()
    """Faults of the released code that were repeated."""

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
    """The grid and the benchmarks: what aggregation and report must find."""

    kind: Literal["study"] = "study"
    study: str
    title: str
    description: str
    train_dataset: str
    grader: Grader = "rlvr"
    """Whose rules judged."""
    shared_seed: bool = False
    """Whether all samples of a problem have one seed, and so are one sample."""
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


Cell = TypeVar("Cell", TrainConfig, GenerateConfig, GradeConfig, StudyManifest)


def read_config(path: Path, kind: type[Cell]) -> Cell:
    """Read a cell file.

    Raises:
        UserError: the file is missing, damaged, or a cell of another kind.
    """
    return parse(kind, read_json(path), str(path))
