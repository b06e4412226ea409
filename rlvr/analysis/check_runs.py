"""Say, at the end of the workflow, which training runs of a study failed."""

from pathlib import Path

from rlvr.analysis.inputs.runs import planned_runs
from rlvr.analysis.tables.rates import TOO_FAST
from rlvr.artifacts import FailedRun, StudyFolder
from rlvr.config.resolved import BASE, StudyManifest, read_config
from rlvr.errors import UserError


def check_runs(manifest: Path, results: Path) -> None:
    """Check that every training run of a study is complete.

    Where a study tunes, a run that diverged is none that failed: its rate is too high, which is an answer.

    Args:
        manifest: the study (`StudyManifest`).
        results: folder of the study.

    Raises:
        UserError: runs failed or are missing; the message names each, why, and how to train it again.
    """
    study, folder = read_config(manifest, StudyManifest), StudyFolder(results)
    trained = [run for run in planned_runs(study, folder) if run.entry.method != BASE]
    failed = [
        run.record
        for run in trained
        if isinstance(run.record, FailedRun) and not (study.tunes and run.record.run_info.status == TOO_FAST)
    ]
    missing = [run.entry.run for run in trained if run.record is None]
    if not failed and not missing:
        return
    lines = [
        f"study {study.study}: {len(failed)} of {len(trained)} training runs failed; tables and report are "
        "made of the others",
        *(_line(record) for record in failed),
        *(f"- {run}: not trained" for run in missing),
    ]
    if failed:
        records = " ".join(str(folder.run(record.run_info.run).record) for record in failed)
        lines.append(f"to train them again, change their configuration, or: rm {records}")
    raise UserError("\n".join(lines))


def _line(record: FailedRun) -> str:
    info, failure = record.run_info, record.failure
    return (
        f"- {info.run}: {info.status} after {failure.steps} of {info.config.training.steps} steps: "
        f"{failure.reason} (log: {failure.log})"
    )
