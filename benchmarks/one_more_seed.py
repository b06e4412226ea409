r"""What one more training seed could overturn.

    python benchmarks/one_more_seed.py docs/results/smollm2-precision/runs.csv arithmetic-l2 \
        lora/recommended/bfloat16 lora/recommended/exact

Two sides of a table with one line per run. One run is added to each side, at the mean of its side but moved
towards the other by the same amount, until p of Welch's t test over training seeds is 0.05 again.
"""

import argparse
import math
from pathlib import Path

import numpy as np

from rlvr.analysis.stats.paired import compare_seeds
from rlvr.files import read_csv

STEP = 0.001
"""Of an accuracy, a fraction."""


def p_value(method: list[float], baseline: list[float]) -> float:
    """Return Welch's p of two lists of accuracies of single training runs."""
    sides = [[np.array(side)[:, None]] for side in (method, baseline)]
    return compare_seeds(*sides, baseline_untrained=False).p_value


def overturning(method: list[float], baseline: list[float]) -> float:
    """Return the difference of the added pair at which p reaches 0.05; NaN if it is 0.05 or more already."""
    if p_value(method, baseline) >= 0.05:
        return math.nan
    means = float(np.mean(method)), float(np.mean(baseline))
    towards = -np.sign(means[0] - means[1])
    for move in np.arange(0, 1, STEP):
        added = means[0] + towards * move / 2, means[1] - towards * move / 2
        if p_value([*method, added[0]], [*baseline, added[1]]) >= 0.05:
            return added[0] - added[1]
    return math.nan


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, help="CSV with one line per run and a column per benchmark")
    parser.add_argument("benchmark")
    parser.add_argument("method", help="METHOD/PRESET/SETTING")
    parser.add_argument("baseline", help="METHOD/PRESET/SETTING")
    arguments = parser.parse_args()
    runs = read_csv(arguments.runs, ["method", "preset", "setting", arguments.benchmark])
    names = runs["method"] + "/" + runs["preset"] + "/" + runs["setting"]
    sides = [
        runs.loc[names == side, arguments.benchmark].astype(float).tolist()
        for side in (arguments.method, arguments.baseline)
    ]
    difference = float(np.mean(sides[0]) - np.mean(sides[1]))
    print(f"{100 * difference:+.1f} points over {len(sides[0])} and {len(sides[1])} seeds")
    print(f"p of Welch's t test: {p_value(*sides):.3f}")
    turned = overturning(*sides)
    if math.isnan(turned):
        print("one more seed has nothing to overturn: p is 0.05 or more, or stays below")
    else:
        print(
            f"with one more pair of runs p is 0.05 again where their difference is {100 * turned:+.1f} points"
        )


if __name__ == "__main__":
    main()
