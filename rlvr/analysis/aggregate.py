"""From graded samples and training logs to the tables of a study.

Columns, metrics and means over benchmarks are defined in :mod:`rlvr.artifacts`. A method in a table is one
(model, method, preset, setting) with all of its training seeds. The same input gives the same bytes, because
every bootstrap and permutation has a seed of its own.
"""

from pathlib import Path

from rlvr.analysis.inputs.contamination import read_contamination
from rlvr.analysis.inputs.curves import read_curves
from rlvr.analysis.inputs.groups import read_groups
from rlvr.analysis.inputs.runs import planned_runs, require_some, run_row
from rlvr.analysis.tables.budget import budget_rows
from rlvr.analysis.tables.comparisons import comparison_rows
from rlvr.analysis.tables.forgetting import forgetting_rows
from rlvr.analysis.tables.leader import leader_rows
from rlvr.analysis.tables.learning import learning_rows
from rlvr.analysis.tables.summary import summary_rows
from rlvr.artifacts import (
    BudgetRow,
    ComparisonRow,
    ForgettingRow,
    LeaderRow,
    LearningRow,
    RunRow,
    StudyFolder,
    SummaryRow,
    write_rows,
)
from rlvr.config.resolved import StudyManifest, read_config


def aggregate(
    manifest: Path,
    results: Path,
    contaminated: Path | None,
    *,
    summary: Path,
    comparisons: Path,
    leader: Path,
    budget: Path,
    forgetting: Path,
    learning: Path,
    runs: Path,
) -> None:
    """Write the tables of a study, made of the runs that are complete.

    Args:
        manifest: the study (`StudyManifest`).
        results: folder of the study, with ``samples/``, ``grades/`` and ``runs/``.
        contaminated: table of the contaminated problems (`ContaminatedProblem`); without it contamination is
            unknown, and there are no rows ``overall_uncontaminated``.
        summary: CSV to write (`SummaryRow`), one row per method, benchmark and metric.
        comparisons: CSV to write (`ComparisonRow`), one row per method, baseline and benchmark.
        leader: CSV to write (`LeaderRow`), one row per method but the best one.
        budget: CSV to write (`BudgetRow`), one row per method, benchmark and token budget.
        forgetting: CSV to write (`ForgettingRow`), one row per method, forgetting benchmark and measure.
        learning: CSV to write (`LearningRow`), one row per method.
        runs: CSV to write (`RunRow`), one row per planned run; it names what failed and what is missing.

    Raises:
        UserError: no run is complete, a file is damaged or incomplete, or problems or grader versions differ.
    """
    study, folder = read_config(manifest, StudyManifest), StudyFolder(results)
    planned = planned_runs(study, folder)
    require_some(planned, folder)
    groups = read_groups(study, folder, planned)
    contamination = read_contamination(contaminated, study, groups) if contaminated else None
    estimates = [row for group in groups for row in summary_rows(group, study, contamination)]
    differences = comparison_rows(groups, study, contamination)
    leaders = leader_rows(groups, study)
    budgets = list(budget_rows(groups, study))
    forgotten = forgetting_rows(groups, study)
    learned = learning_rows(read_curves(study, folder, planned), study)
    write_rows(summary, SummaryRow, estimates)
    write_rows(comparisons, ComparisonRow, differences)
    write_rows(leader, LeaderRow, leaders)
    write_rows(budget, BudgetRow, budgets)
    write_rows(forgetting, ForgettingRow, forgotten)
    write_rows(learning, LearningRow, learned)
    write_rows(runs, RunRow, [run_row(study, run) for run in planned])
