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
    grades = {
        entry.benchmark: inputs.folder.grades(run.run, entry.benchmark) for entry in inputs.study.benchmarks
    }
    if run.run not in inputs.records or not all(path.exists() for path in grades.values()):
        return None
    correct = [
        read_columns(grades[entry.benchmark], Grade, ["correct"])["correct"]
        for entry in inputs.study.averaged
    ]
    return float(np.mean([flags.to_numpy().mean() for flags in correct]))
