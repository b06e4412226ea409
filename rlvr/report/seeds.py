"""The accuracy of every training seed, where a study has several: what their mean hides."""

import numpy as np

from rlvr.artifacts import Grade, read_columns
from rlvr.config.resolved import RunEntry, Variant
from rlvr.report.inputs import Inputs


def seed_accuracies(inputs: Inputs, model: str) -> dict[Variant, list[float]]:
    """Return the mean over benchmarks of each complete run, by variant; without variants of one such run."""
    found = {
        variant: [
            value for run in inputs.study.runs_of(variant) if (value := _accuracy(inputs, run)) is not None
        ]
        for variant in inputs.trained_of(model)
        if inputs.planned_seeds[variant] > 1
    }
    return {variant: values for variant, values in found.items() if len(values) > 1}


def _accuracy(inputs: Inputs, run: RunEntry) -> float | None:
    """Return the accuracy of one run; every problem of a benchmark has as many samples as any other."""
    paths = [inputs.folder.grades(run.run, entry.benchmark) for entry in inputs.study.averaged]
    if run.run not in inputs.records or not all(path.exists() for path in paths):
        return None
    return float(
        np.mean([read_columns(path, Grade, ["correct"])["correct"].to_numpy().mean() for path in paths])
    )
