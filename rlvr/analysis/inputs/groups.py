"""The runs of a study put together by method: all training seeds of one row of the tables."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlvr.analysis.inputs.scores import Scores, Verdicts, read_scores, require_same_problems, required
from rlvr.analysis.stats.resampling import Floats
from rlvr.config.resolved import BASE, RunEntry, StudyManifest
from rlvr.errors import UserError
from rlvr.files import read_json

LABELS = ["model", "method", "preset", "setting"]
OVERALL = "overall"
UNCONTAMINATED = "overall_uncontaminated"
SAMPLE_WEIGHTED = "overall_sample_weighted"
Row = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """The runs of one method: equal but for the training seed."""

    model: str
    method: str
    preset: str
    setting: str
    train_seeds: int
    trainable_parameters: int
    device_seconds: float
    scores: dict[str, list[Scores]]  # benchmark -> a training seed each

    @property
    def labels(self) -> Row:
        """The columns that name the group."""
        return {key: getattr(self, key) for key in LABELS}

    def correct(self, benchmark: str) -> Verdicts:
        """Return the verdicts [training seeds, problems, samples]."""
        return np.stack([scores.correct for scores in self.scores[benchmark]])

    def correct_means(self, benchmark: str) -> Floats:
        """Return the share of right samples [training seeds, problems]."""
        return self.correct(benchmark).mean(axis=2)

    def n_samples(self, benchmark: str, kept_N: Verdicts | None = None) -> int:
        """Return the number of samples over all training seeds, of some of the problems or of all."""
        counted = self.correct(benchmark) if kept_N is None else self.correct(benchmark)[:, kept_N]
        return counted.size


def read_groups(study: StudyManifest, results: Path) -> list[Group]:
    """Read all runs and put those together that differ only in the training seed, in the order of the study.

    Raises:
        UserError: the scores of a run are incomplete, or two runs do not fit together.
    """
    groups = [_read_group(study.runs_of(variant), study, results) for variant in study.variants]
    for benchmark in study.benchmarks:
        first, *others = [scores for group in groups for scores in group.scores[benchmark.benchmark]]
        for other in others:
            require_same_problems(first.problem_ids, first.grades_path, other.problem_ids, other.grades_path)
            if first.verifier_version != other.verifier_version:
                raise UserError(
                    f"{other.grades_path}: graded by verifier {other.verifier_version!r} and "
                    f"{first.grades_path} by {first.verifier_version!r}; delete one to grade it again"
                )
    return groups


def _read_group(runs: list[RunEntry], study: StudyManifest, results: Path) -> Group:
    """Read the training seeds of one method; the untrained model has none and costs nothing.

    Where the number of trainable parameters depends on the seed (AdaLoRA's ranks), the largest is reported.
    """
    first = runs[0]
    trained = [] if first.method == BASE else [_training_cost(results, run) for run in runs]
    return Group(
        first.model,
        first.method,
        first.preset,
        first.setting,
        train_seeds=len(trained),
        trainable_parameters=max((parameters for parameters, _ in trained), default=0),
        device_seconds=math.fsum(seconds for _, seconds in trained),
        scores={
            benchmark.benchmark: [read_scores(results, run.run, benchmark) for run in runs]
            for benchmark in study.benchmarks
        },
    )


def _training_cost(results: Path, run: RunEntry) -> tuple[int, float]:
    """Return the trainable parameters and the device seconds of a run, from its ``run.json``."""
    path = results / "runs" / run.run / "run.json"
    record = read_json(path)
    parameters = required(required(record, "train_info", path), "trainable_parameters", path)
    seconds = required(required(record, "run_info", path), "device_seconds", path)
    return int(parameters), float(seconds)
