"""The complete runs of a study grouped by method: all training seeds of one row of the tables."""

import math
from dataclasses import dataclass, field

import numpy as np

from rlvr.analysis.inputs.references import read_references
from rlvr.analysis.inputs.runs import PlannedRun
from rlvr.analysis.inputs.scores import Flags, Scores, read_scores, require_same_problems
from rlvr.analysis.stats.resampling import Floats
from rlvr.artifacts import StudyFolder
from rlvr.config.resolved import BASE, StudyManifest, Variant
from rlvr.errors import UserError


@dataclass(frozen=True)
class Group:
    """The runs of one method, which differ only in their training seeds."""

    model: str
    method: str
    preset: str
    setting: str
    train_seeds: int
    planned_seeds: int
    trainable_parameters: int
    device_seconds: float
    scores: dict[str, list[Scores]]  # benchmark -> one per training seed
    references: dict[str, Floats] = field(default_factory=dict)
    """Forgetting benchmark -> mean log-probability of a token of a reference [training seeds, problems]."""

    @property
    def variant(self) -> Variant:
        """The row of the tables that the group is."""
        return Variant(self.model, self.method, self.preset, self.setting)

    @property
    def missing_seeds(self) -> int:
        """Training seeds that failed or are missing."""
        return self.planned_seeds - self.train_seeds

    @property
    def labels(self) -> dict[str, str]:
        """The columns that name the group, in the order of the tables."""
        return {
            "model": self.model,
            "method": self.method,
            "preset": self.preset,
            "setting": self.setting,
        }

    def correct(self, benchmark: str) -> Flags:
        """Return which samples are correct [training seeds, problems, samples]."""
        return np.stack([scores.correct for scores in self.scores[benchmark]])

    def correct_means(self, benchmark: str) -> Floats:
        """Return the share of correct samples [training seeds, problems]."""
        return self.correct(benchmark).mean(axis=2)

    def n_samples(self, benchmark: str, kept_N: Flags | None = None) -> int:
        """Return the number of samples over all training seeds, of all problems or of those kept."""
        counted = self.correct(benchmark) if kept_N is None else self.correct(benchmark)[:, kept_N]
        return counted.size


def read_groups(study: StudyManifest, folder: StudyFolder, planned: list[PlannedRun]) -> list[Group]:
    """Read all complete runs and group those that differ only in their training seeds.

    A method without a complete run has no group; groups are in the order of the study.

    Raises:
        UserError: the scores of a run are incomplete, or two runs differ in their problems or graders.
    """
    members: dict[Variant, list[PlannedRun]] = {variant: [] for variant in study.variants}
    for run in planned:
        members[run.entry.variant].append(run)
    groups = [
        _read_group(runs, study, folder) for runs in members.values() if any(run.measured for run in runs)
    ]
    for benchmark in study.benchmarks:
        first, *others = [scores for group in groups for scores in group.scores[benchmark.benchmark]]
        for other in others:
            require_same_problems(first.problem_ids, first.grades_path, other.problem_ids, other.grades_path)
            if first.verifier_version != other.verifier_version:
                raise UserError(
                    f"{other.grades_path}: graded by version {other.verifier_version!r}, but "
                    f"{first.grades_path} by {first.verifier_version!r}; delete one of them to grade it again"
                )
    return groups


def _read_group(planned: list[PlannedRun], study: StudyManifest, folder: StudyFolder) -> Group:
    """Read the training seeds of one method; the untrained model has none and costs nothing.

    Where the number of trainable parameters depends on the seed (AdaLoRA's ranks), the largest is reported.
    """
    first, runs = planned[0].entry, [run for run in planned if run.measured]
    trained = [run.trained for run in runs if run.trained]
    scores = {
        benchmark.benchmark: [read_scores(folder, run.entry.run, benchmark) for run in runs]
        for benchmark in study.benchmarks
    }
    return Group(
        first.model,
        first.method,
        first.preset,
        first.setting,
        train_seeds=len(trained),
        planned_seeds=0 if first.method == BASE else len(planned),
        trainable_parameters=max((record.train_info.trainable_parameters for record in trained), default=0),
        device_seconds=math.fsum(record.run_info.device_seconds for record in trained),
        scores=scores,
        references={
            name: np.stack(
                [
                    read_references(folder, run.entry.run, name, answered.problem_ids, answered.grades_path)
                    for run, answered in zip(runs, scores[name], strict=True)
                ]
            )
            for name in (benchmark.benchmark for benchmark in study.forgetting)
        },
    )
