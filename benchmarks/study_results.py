r"""Copy what a study found to a folder of `docs/results/`, with one line per training run.

    python benchmarks/study_results.py results/rates docs/results/rates --page reports/rates.html
    python benchmarks/study_results.py results/rates repeated --same-as docs/results/rates/runs.csv

The second form compares the runs that are there with earlier ones: hashes of configuration and weights, and
accuracies. It fails where one differs.
"""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from rlvr.analysis.inputs.runs import PlannedRun, planned_runs, run_row
from rlvr.analysis.inputs.scores import read_scores
from rlvr.artifacts import StudyFolder
from rlvr.config.resolved import StudyManifest, read_config
from rlvr.files import read_csv, sha256_of, write_csv

TABLES = ("tables/summary.csv", "tables/comparisons.csv", "claims.json")
IDENTICAL = ("config_sha256", "trained_sha256")
"""What two runs on the same type of machine have in common, with the accuracies."""


def run_line(run: PlannedRun, study: StudyManifest, folder: StudyFolder) -> dict[str, Any]:
    """Return the line of one run: its row of the study's `runs.csv`, hashes, accuracies, code and machine."""
    line = run_row(study, run).model_dump()
    if run.record:
        info = run.record.meta_info
        line |= {
            "config_sha256": run.record.run_info.config_sha256,
            "model_sha256": info.model_sha256,
            "data_sha256": info.data_sha256,
            "git_commit": info.git_commit,
            "machine": f"{info.hardware.cpu_count} cores, {info.hardware.processor}",
        }
    if run.trained:
        line["trained_sha256"] = sha256_of(folder.run(run.entry.run).trained)
    if run.measured:
        line |= {
            one.benchmark: round(float(read_scores(folder, run.entry.run, one).correct.mean()), 6)
            for one in study.benchmarks
        }
    return line


def different(now: pd.DataFrame, earlier: pd.DataFrame, columns: list[str]) -> list[str]:
    """Return the runs of `now` that are not the same in `earlier`, or not there."""
    before = earlier.set_index("run").reindex(now["run"])[columns].astype(str)
    changed = now.set_index("run")[columns].astype(str) != before
    return sorted(changed.index[changed.any(axis=1)])


def main() -> None:
    """Write the tables, or compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="folder of the study, results/STUDY")
    parser.add_argument("output", type=Path, help="folder to write")
    parser.add_argument("--same-as", type=Path, help="runs.csv of earlier runs")
    parser.add_argument("--page", type=Path, help="page of the study to copy, reports/STUDY.html")
    arguments = parser.parse_args()
    folder = StudyFolder(arguments.results)
    study = read_config(folder.manifest, StudyManifest)
    lines = pd.DataFrame([run_line(run, study, folder) for run in planned_runs(study, folder)])
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_csv(arguments.output / "runs.csv", lines.dropna(axis=1, how="all"))
    for name in TABLES:
        if (arguments.results / name).exists():
            shutil.copy(arguments.results / name, arguments.output)
    if arguments.page:
        shutil.copy(arguments.page, arguments.output / "page.html")
    if arguments.same_as:
        benchmarks = [one.benchmark for one in study.benchmarks]
        columns = ["run", *IDENTICAL, *benchmarks]
        now, earlier = (
            read_csv(file, columns) for file in (arguments.output / "runs.csv", arguments.same_as)
        )
        trained = now[now["trained_sha256"] != ""]
        unlike = different(trained, earlier, columns[1:])
        print(f"{len(trained)} runs compared, {len(unlike)} differ {unlike}")
        sys.exit(bool(unlike))


if __name__ == "__main__":
    main()
