r"""The time of a study's tables and page, on the paper's six benchmarks with simulated samples.

    python benchmarks/report.py --work /tmp/report --output benchmarks/results/report.json

14 methods with three training seeds and the untrained model, the problems and samples per problem of the
paper: 311,664 samples of 43 runs of 1,024 steps. The commands run as in the workflow.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from common import write_results

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.helpers.analysis_tree import AGGREGATED
from tests.helpers.browser import chromium
from tests.helpers.report_tree import METHODS, MORE_METHODS, Tree, write_tree

CHECKOUT = Path(__file__).resolve().parents[1]
BENCHMARKS = {
    "aime24": (30, 32), "aime25": (30, 32), "hmmt25": (30, 32), "amc23": (40, 32),
    "math500": (500, 4), "minerva": (272, 4),
}  # fmt: skip
TRAIN_SEEDS, STEPS = 3, 1024


def commands(tree: Tree) -> dict[str, list[str]]:
    """Return the arguments of the commands after the samples are graded."""
    study, results = tree.folder, ["--results", str(tree.results)]
    tables = {f"--{name}": str(study.table(name)) for name in AGGREGATED}
    outputs = [part for option in tables.items() for part in option]
    contaminated = ["--contaminated-problems", str(study.table("contaminated_problems"))]
    page = ["--figures", str(study.figures), "-o", str(tree.root / "report.html")]
    return {
        "aggregate": ["aggregate", str(tree.manifest), *results, *contaminated, *outputs],
        "claims": ["claims", str(tree.manifest), *results, "-o", str(study.claims)],
        "report": ["report", str(tree.manifest), *results, *page],
    }


def measured_command(command: list[str]) -> dict[str, float]:
    """Run a command with one thread and return its time and peak memory."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    started = time.perf_counter()
    process = os.posix_spawnp(command[0], command, environment)
    _, status, used = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_gb": round(used.ru_maxrss * 1024 / 1e9, 2),
    }


def measured_page(page: Path) -> dict[str, float]:
    """Return the size of the page and the time until Chromium has loaded it, the least of three."""
    loads = []
    with chromium() as tab:
        for _ in range(3):
            tab.open(page)
            loads.append(tab.run("performance.getEntriesByType('navigation')[0].loadEventEnd"))
    return {"megabytes": round(page.stat().st_size / 1e6, 2), "load_seconds": round(min(loads) / 1000, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for the simulated study, kept")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    tree, output = Tree(arguments.work.resolve(), "demo"), arguments.output.resolve()
    if not tree.manifest.exists():
        methods = ("base", *list(METHODS | MORE_METHODS)[1:15])
        write_tree(tree.root, methods=methods, benchmarks=BENCHMARKS, train_seeds=TRAIN_SEEDS, steps=STEPS)
        (tree.root / "config").symlink_to(CHECKOUT / "config")
    os.chdir(tree.root)  # the commands find data and claims there
    measured: dict[str, Any] = {
        name: measured_command(["rlvr", *command]) for name, command in commands(tree).items()
    }
    measured["page"] = measured_page(tree.root / "report.html")
    write_results(output, measured)
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
