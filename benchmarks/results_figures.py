r"""Draw the figures of `docs/results/README.md` from the tables beside it.

    python benchmarks/results_figures.py

Figures of one form with those of the report, written as SVG files to `docs/images/results/`.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from rlvr.files import write_text
from rlvr.report.charts.forest import ForestRow, ranking_forest
from rlvr.report.charts.intervals import Estimate
from rlvr.report.charts.lines import Axis, Line, LinePanel, share_axis
from rlvr.report.figures import TITLE, write_figures
from rlvr.report.text import compact, points

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = DOCS / "results"
NAMES = {
    "adalora": "AdaLoRA", "dora": "DoRA", "dora-peft": "DoRA as PEFT starts it", "full": "full", "ia3": "IA3",
    "ln_tuning": "LN-tuning", "lora": "LoRA", "lora_fa": "LoRA-FA", "lora_plus": "LoRA+", "milora": "MiLoRA",
    "miss": "MiSS", "pissa": "PiSSA", "rank1_lora": "rank-1 LoRA", "rslora": "rsLoRA", "vera": "VeRA",
}  # fmt: skip
"""Method in a table -> name in a figure."""

TITLES = {
    "served": "Share of the update that is served in bfloat16, rounded to nearest (scale, 3 seeds)",
    "rounded": "What serving in bfloat16 does to accuracy on SmolLM2 (rounding, 5 seeds, 95 %)",
    "rates": "Accuracy on unseen sums at rates of their own and at LoRA's (10 seeds, 95 %)",
}


def served() -> Markup:
    """Return the share of each method's update that is served, over the steps of `scale`."""
    table = pd.read_csv(RESULTS / "scale" / "summary.csv").query("gradient == 'fresh' and merge == 'nearest'")
    lines = [
        Line(
            key=method,
            label=NAMES[method],
            kind="lora" if method == "lora" else "",
            x={"step": group["step"].astype(float).tolist()},
            y={"share": group["share"].tolist()},
        )
        for method, group in table.groupby("method")
    ]
    steps = Axis(title="Adam steps (log scale)", label=compact, logarithmic=True)
    return LinePanel(
        title="served", x={"step": steps}, y={"share": share_axis("served (%)")}, lines=lines
    ).figure()


def rounded() -> Markup:
    """Return what serving in bfloat16 does to each method of `rounding`."""
    table = pd.read_csv(RESULTS / "rounding" / "comparisons.csv")
    within = table.query("contrast == 'settings' and benchmark == 'arithmetic-l2'")
    rounding = {"bfloat16": "to nearest", "stochastic": "stochastic"}
    started = {"released": "dora-peft"}
    rows = [
        _row(f"{NAMES[started.get(row.preset, row.method)]}, {rounding[row.setting]}", row)
        for row in within.itertuples()
    ]
    return ranking_forest(
        rows, ["points"], float("nan"), "against the same served exactly", "method, rounding"
    )


def rates() -> Markup:
    """Return the differences of `rates` from LoRA, at their own rates and at LoRA's."""
    table = pd.read_csv(RESULTS / "rates" / "comparisons.csv")
    table = table.query("baseline == 'lora' and benchmark == 'sums' and contrast == 'methods'")
    runs = pd.read_csv(RESULTS / "rates" / "runs.csv").groupby(["method", "setting"])["sums"]
    forest = []
    for method in table.query("setting == 'tuned'").sort_values("difference", ascending=False)["method"]:
        for setting, told in (("tuned", ""), ("shared", ", LoRA’s rate")):
            (row,) = table.query("method == @method and setting == @setting").itertuples()
            lora = runs.get_group(("lora", setting)).mean()
            seeds = (runs.get_group((method, setting)) - lora).tolist()
            forest.append(_row(NAMES[method] + told, row, seeds))
    return ranking_forest(forest, ["points"], float("nan"), "against LoRA; thin: training seeds")


def _row(label: str, row: Any, seeds: Sequence[float] = ()) -> ForestRow:
    difference = Estimate(row.difference, row.ci_low, row.ci_high)
    told = not row.ci_low <= 0 <= row.ci_high
    return ForestRow(
        key=label, label=label, difference=difference, told_apart=told, paper=None, others=(),
        numbers=[points(row.difference, "")], seeds=seeds,
    )  # fmt: skip


def main() -> None:
    """Write the figures."""
    figures = {"served": served(), "rounded": rounded(), "rates": rates()}
    sections = [
        f'<section id="{name}">{TITLE.sub(f"<title>{TITLES[name]}</title>", figure, count=1)}</section>'
        for name, figure in figures.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text("".join(sections), encoding="utf-8")
        write_figures(page, Path(folder) / "figures")
        for name in figures:
            (drawn,) = (Path(folder) / "figures").glob(f"{name}--*.svg")
            write_text(DOCS / "images" / "results" / f"{name}.svg", drawn.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
