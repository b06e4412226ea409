r"""The time of the demo by stage, from the files that Snakemake and the trainer wrote.

    make demo
    python benchmarks/demo.py --output benchmarks/results/demo.json

Sums over the jobs of a rule: wall time, and CPU time. The phases of training come from the training logs.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd
from common import write_results

from rlvr.dapo.timer import PHASES

STUDY = "demo"


def jobs(logs: Path) -> dict[str, Any]:
    """Return number of jobs, wall seconds and CPU seconds by stage.

    Raises:
        SystemExit: the demo has not run here.
    """
    files = sorted([*logs.glob(f"{STUDY}/**/*.tsv"), *logs.glob("resources/**/*.tsv")])
    if not files:
        raise SystemExit(f"{logs}: no benchmark files of the demo; run `make demo` first")
    rows = []
    for file in files:
        folders = [part for part in file.relative_to(logs).parts[:-1] if part != STUDY]
        stage = " ".join(folders[:1] if folders[:1] != ["resources"] else folders) or file.stem
        measured = pd.read_csv(file, sep="\t").iloc[0]
        rows.append({"stage": stage, "seconds": measured["s"], "cpu_seconds": measured["cpu_time"]})
    by_stage = pd.DataFrame(rows).groupby("stage")
    totals = by_stage.sum().round(1).assign(jobs=by_stage.size())
    return totals.sort_values("cpu_seconds", ascending=False).to_dict("index")


def phases(results: Path) -> dict[str, Any]:
    """Return the seconds of each phase of training, and steps, by run."""
    found: dict[str, Any] = {}
    for file in sorted(results.glob(f"{STUDY}/runs/*/train_log.parquet")):
        log = pd.read_parquet(file)
        seconds = {phase: round(float(log[f"time/{phase}_seconds"].sum()), 1) for phase in PHASES}
        found[file.parent.name] = {"steps": len(log), **seconds}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=Path(), help="checkout in which the demo ran")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    root = arguments.root
    measured = {"jobs": jobs(root / "logs/benchmarks"), "training": phases(root / "results")}
    write_results(arguments.output, measured)
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
