"""The training curves of the paper, beside those of a study that trains the same model on the same data."""

from pathlib import Path

import pandas as pd

from rlvr.report.charts.lines import Line
from rlvr.report.inputs import Inputs

MODEL, DATASET = "deepseek-r1-distill-qwen-1.5b", "dapo-math-17k"
CURVES = Path(__file__).with_suffix(".csv")
"""Method, step, share of correct completions: the smoothed curves of the paper's Figure 1 (right), digitised
to ±0.005 from `assets/topfig.png` of the authors' repository (commit e97da7a), as far as they can be read."""


def paper_curves(inputs: Inputs, model: str, methods: set[str]) -> list[Line]:
    """Return the paper's curves of these methods; none where model or data are not the paper's."""
    if (model, inputs.study.train_dataset) != (MODEL, DATASET):
        return []
    curves = pd.read_csv(CURVES).astype({"step": float})
    return [
        Line(
            key=f"paper.{method}",
            label=f"{method}, the paper",
            kind="published",
            x={"step": curve["step"].tolist()},
            y={"correct": curve["correct"].tolist()},
        )
        for method in sorted(methods)
        if len(curve := curves[curves["method"] == method])
    ]
