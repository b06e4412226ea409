"""The rows of ``learning.csv``: how fast every method learned."""

import math

import numpy as np

from rlvr.analysis.inputs.curves import Curves
from rlvr.analysis.stats.learning import area, censored_median, halfway, steps_to
from rlvr.artifacts import LearningRow
from rlvr.config.resolved import StudyManifest


def learning_rows(curves: list[Curves], study: StudyManifest) -> list[LearningRow]:
    """Return one row per trained method; the level is the same for all methods of a model.

    Args:
        curves: the reward curves, in the order of the study.
        study: its name and models.
    """
    levels = {}
    for model in study.models:
        mine = [one for one in curves if one.variant.model == model]
        if mine:
            first = float(np.mean([curve.first for one in mine for curve in one.curves]))
            best = max(float(np.mean([curve.last for curve in one.curves])) for one in mine)
            levels[model] = first, best
    return [_row(one, study, *levels[one.variant.model]) for one in curves]


def _row(curves: Curves, study: StudyManifest, first: float, best: float) -> LearningRow:
    level = halfway(first, best)
    areas = np.array([area(curve) for curve in curves.curves])
    steps = [steps_to(curve, level) for curve in curves.curves]
    reached = [one for one in steps if math.isfinite(one)]
    return LearningRow(
        study=study.study,
        model=curves.variant.model,
        method=curves.variant.method,
        preset=curves.variant.preset,
        setting=curves.variant.setting,
        train_seeds=len(curves.curves),
        missing_seeds=curves.planned_seeds - len(curves.curves),
        planned_steps=curves.curves[0].planned_steps,
        area=float(areas.mean()),
        area_sd=float(areas.std(ddof=1)) if len(areas) > 1 else math.nan,
        first=first,
        best=best,
        level=level,
        reached=len(reached),
        steps_to_level=censored_median(steps),
        steps_earliest=min(reached, default=math.nan),
        steps_latest=max(reached) if len(reached) == len(steps) else math.nan,
    )
