"""A study on a cluster that nothing disturbs: devices, partitions, grouped gradings, logs."""

import shutil

import pytest

from tests.helpers.quick_study import RUN

pytestmark = pytest.mark.timeout(1800)


def test_a_trained_study_is_evaluated_and_reported(workflow):
    shutil.copytree(workflow.undisturbed / "results", workflow.folder / "results", dirs_exist_ok=True)
    workflow.snakemake("all --set-resources generate_faults:gpu=1").ends()
    assert (workflow.folder / "reports" / "faults.html").exists()
    done = {job.comment.partition("_wildcards_")[0]: job for job in workflow.jobs()}
    assert {job.state for job in done.values()} == {"COMPLETED"}
    assert len(done) == len(workflow.jobs()), "each rule is one job, the two gradings together"
    assert done["rule_generate_faults"].partition == "gpu"
    assert done["rule_aggregate_study"].partition == "cpu"
    assert not [job for job in workflow.jobs() if RUN in job.comment], "what there is is not made again"
    assert "Nothing to be done" in workflow.snakemake("all").ends()
    assert list((workflow.folder / "logs" / "slurm" / "rule_generate_faults").rglob("*.log"))
