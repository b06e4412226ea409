"""Recognise results of earlier versions and report what an upgrade redoes, and why."""

from rlvr.artifacts.folder import StudyFolder


def upgrade_notice(folder: StudyFolder) -> str | None:
    """Return what happens to results of an earlier version; None where there are none."""
    if folder.manifest.exists() or not (folder.root / "cells").exists():
        return None
    return (
        f"{folder.root} was written by an earlier version: its resolved configurations are in cells/, and "
        "this version reads configs/, in which each run has one learning rate. They are resolved again, and "
        "every training, evaluation and table of the study is redone from them; `snakemake -n` lists the "
        f"jobs with their reasons. To keep the earlier results, move {folder.root} away first."
    )
