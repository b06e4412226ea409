"""The reward curves of a study: the mean reward of every training step that sampled."""

from dataclasses import dataclass

from rlvr.analysis.inputs.runs import PlannedRun
from rlvr.analysis.stats.learning import Curve
from rlvr.artifacts import StudyFolder, read_train_log
from rlvr.config.resolved import StudyManifest, Variant


@dataclass(frozen=True)
class Curves:
    """The reward curves of one method, one per training seed."""

    variant: Variant
    planned_seeds: int
    curves: list[Curve]


def read_curves(study: StudyManifest, folder: StudyFolder, planned: list[PlannedRun]) -> list[Curves]:
    """Return the curves of the complete runs of every trained method, in the order of the study.

    Raises:
        UserError: a training log is missing or damaged.
    """
    members: dict[Variant, list[PlannedRun]] = {variant: [] for variant in study.variants}
    for run in planned:
        members[run.entry.variant].append(run)
    found = []
    for variant, runs in members.items():
        curves = [_curve(folder, run) for run in runs if run.trained and run.measured]
        if curves:
            found.append(Curves(variant, len(runs), curves))
    return found


def _curve(folder: StudyFolder, run: PlannedRun) -> Curve:
    assert run.trained is not None
    log = read_train_log(folder.run(run.entry.run).train_log).dropna(subset=["reward/mean"])
    return Curve(
        steps=log["step"].to_numpy(dtype=float),
        rewards=log["reward/mean"].to_numpy(dtype=float),
        planned_steps=run.trained.run_info.config.training.steps,
    )
