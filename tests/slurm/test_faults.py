"""Whatever happens to a job, a node, the controller or Snakemake: nothing is lost, and nothing is done twice."""

from tests.slurm.workflow import TRAINED


def test_scancel(cluster, workflow):
    snakemake = workflow.snakemake(TRAINED)
    cluster.run(f"scancel {workflow.training()}")
    snakemake.ends()
    workflow.as_if_undisturbed(attempts=2)
    assert [job.state for job in workflow.jobs("train_run")] == ["CANCELLED", "COMPLETED"]
