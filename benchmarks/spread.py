r"""How much of the spread of accuracies is the method, and how much the training seed.

    python benchmarks/spread.py docs/results/rates/runs.csv sums

From a table with one line per run, for each setting with several seeds. Standard deviations are in points.
The variance of a single run's accuracy is split into methods and seeds by a one-way analysis of variance
with random effects. The order of the methods with one seed is compared with their order in the mean of the
other seeds by Kendall's tau.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from rlvr.config.resolved import BASE
from rlvr.files import read_csv


def seed_deviation(accuracy: pd.DataFrame) -> float:
    """Return the pooled standard deviation between seeds; columns are methods, rows training seeds."""
    return float(np.sqrt(accuracy.var(ddof=1).mean()))


def method_deviation(accuracy: pd.DataFrame) -> float:
    """Return the standard deviation between methods, less what seeds alone give their means."""
    between = accuracy.mean().var(ddof=1) - seed_deviation(accuracy) ** 2 / len(accuracy)
    return float(np.sqrt(max(between, 0.0)))


def orders(accuracy: pd.DataFrame) -> list[float]:
    """Return tau of each seed's order of the methods with that of the mean of the other seeds."""
    means = {seed: accuracy.drop(index=seed).mean() for seed in accuracy.index}
    return [float(kendalltau(accuracy.loc[seed], mean).statistic) for seed, mean in means.items()]


def describe(accuracy: pd.DataFrame) -> dict[str, object]:
    """Return the row of a table for the runs of one setting."""
    seeds, methods, taus = seed_deviation(accuracy), method_deviation(accuracy), orders(accuracy)
    best = accuracy.idxmax(axis=1).value_counts()
    return {
        "methods": accuracy.shape[1],
        "seeds": len(accuracy),
        "between seeds": f"{100 * seeds:.1f}",
        "between methods": f"{100 * methods:.1f}",
        "share of seeds": f"{100 * seeds**2 / (seeds**2 + methods**2):.0f} %",
        "tau of one seed": f"{np.mean(taus):.2f} ({min(taus):.2f} to {max(taus):.2f})",
        "best of a seed": ", ".join(f"{name} {count}" for name, count in best.items()),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, help="CSV with one line per run and a column per benchmark")
    parser.add_argument("benchmark")
    parser.add_argument("--without", nargs="*", default=[], help="methods to leave out")
    arguments = parser.parse_args()
    runs = read_csv(arguments.runs, ["method", "setting", "train_seed", arguments.benchmark])
    runs = runs[~runs["method"].isin([BASE, *arguments.without])]
    runs[arguments.benchmark] = pd.to_numeric(runs[arguments.benchmark], errors="coerce")
    for setting, group in runs.groupby("setting"):
        accuracy = group.pivot(index="train_seed", columns="method", values=arguments.benchmark)
        complete = accuracy.dropna(axis=1)
        print(f"{setting}:")
        for name, value in describe(complete).items():
            print(f"  {name}: {value}")
        if missing := sorted(set(accuracy) - set(complete)):
            print(f"  left out, since a seed has no accuracy: {', '.join(missing)}")


if __name__ == "__main__":
    main()
