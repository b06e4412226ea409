"""Whatever happens to a job, a node, the controller or Snakemake: nothing is lost or done twice."""

import shutil
import signal
import time

import pytest

from tests.helpers.quick_study import SAMPLES, TRAINED
from tests.slurm.cluster import NODE

pytestmark = pytest.mark.timeout(1800)


def test_a_cancelled_job_continues(cluster, workflow):
    snakemake = workflow.snakemake(TRAINED)
    cluster.run(f"scancel {workflow.frozen()}")
    workflow.thaw()
    snakemake.ends()
    workflow.as_if_undisturbed()
    assert workflow.states() == ["CANCELLED", "COMPLETED"]
    assert workflow.attempts() == 2


def test_a_killed_trainer_continues(cluster, workflow):
    snakemake = workflow.snakemake(TRAINED)
    workflow.frozen()
    cluster.run("pkill -KILL -f '[b]in/rlvr train'")
    snakemake.ends()
    workflow.as_if_undisturbed()
    assert workflow.states() == ["FAILED", "COMPLETED"]
    assert workflow.attempts() == 2


def test_a_job_ends_before_its_time_limit_and_continues(cluster, workflow):
    snakemake = workflow.snakemake(f"{TRAINED} --set-resources train_run:runtime=4")
    workflow.frozen()
    time.sleep(110)  # another step as long as this one would not fit
    workflow.thaw()
    workflow.wait("the job to stop", lambda: "stopped by --max-minutes 4 with" in workflow.train_log)
    snakemake.ends()
    workflow.as_if_undisturbed()
    assert "TIMEOUT" not in workflow.states()
    assert workflow.attempts() >= 2


def test_a_job_that_exceeds_its_time_limit_continues(cluster, workflow):
    snakemake = workflow.snakemake(TRAINED)
    cluster.run(f"scontrol update JobId={workflow.frozen()} TimeLimit=1")
    workflow.wait("the time limit", lambda: "TIMEOUT" in workflow.states())
    snakemake.ends()
    workflow.as_if_undisturbed()
    assert workflow.states() == ["TIMEOUT", "COMPLETED"]
    assert workflow.attempts() == 2


def test_a_preempted_job_is_requeued_and_continues(cluster, workflow):
    snakemake = workflow.snakemake(TRAINED)
    job = workflow.frozen()
    cluster.run("sbatch --partition=urgent --cpus-per-task=8 --output=/dev/null --wrap 'sleep 1'")
    workflow.wait("preemption", lambda: "PENDING" in workflow.states())
    cluster.run(f"scontrol update JobId={job} StartTime=now")  # else two minutes after a requeue
    snakemake.ends()
    workflow.as_if_undisturbed()
    assert [(x.number, x.state) for x in workflow.jobs("train_run")] == [(job, "COMPLETED")]
    assert workflow.attempts() == 2


def test_a_drained_node_finishes_its_job_and_starts_the_next_one_later(cluster, workflow):
    snakemake = workflow.snakemake(SAMPLES)
    workflow.frozen()
    cluster.run(f"scontrol update NodeName={NODE} State=DRAIN Reason=test")
    workflow.thaw()
    workflow.wait("the next job to wait", lambda: "PENDING" in workflow.states("generate_faults"))
    cluster.run(f"scontrol update NodeName={NODE} State=RESUME")
    snakemake.ends()
    workflow.as_if_undisturbed(SAMPLES)
    assert workflow.states() == workflow.states("generate_faults") == ["COMPLETED"]
    assert workflow.attempts() == 1


def test_the_job_of_a_failed_node_continues(cluster, workflow):
    """The trainer outlives the daemon of its node: the next one must not write beside it."""
    snakemake = workflow.snakemake(TRAINED)
    workflow.frozen()
    cluster.kill("slurmd")
    cluster.run(f"scontrol update NodeName={NODE} State=DOWN Reason=test")
    workflow.wait("the job to leave its node", lambda: "RUNNING" not in workflow.states())
    cluster.start("slurmd")
    cluster.wait_for_node()
    workflow.wait("the old job to end", lambda: not cluster.run("pgrep slurmstepd || true"))

    def works_again() -> bool:
        """Start the requeued job at once. Where Slurm still knows the old one, it drains the node instead."""
        cluster.resume_drained()
        for job in workflow.jobs("train_run"):
            cluster.run(f"scontrol update JobId={job.number} StartTime=now", check=False)
        return "RUNNING" in workflow.states()

    workflow.wait("the node to work again", works_again)
    workflow.thaw()
    workflow.wait("Snakemake to end", lambda: not works_again() and snakemake.process.poll() is not None)
    snakemake.ends()
    workflow.as_if_undisturbed()
    assert workflow.attempts() >= 2


def test_a_restarted_controller_is_not_noticed(cluster, workflow):
    snakemake = workflow.snakemake(TRAINED)
    workflow.frozen()
    cluster.kill("slurmctld")
    time.sleep(3)
    cluster.start("slurmctld")
    workflow.thaw()
    snakemake.ends()
    workflow.as_if_undisturbed()
    assert workflow.states() == ["COMPLETED"]
    assert workflow.attempts() == 1


def test_after_a_long_absence_of_the_controller_the_same_command_continues(cluster, workflow):
    """Without accounting, the plugin then waits for ever for a job that has ended."""
    snakemake = workflow.snakemake(f"{TRAINED} --slurm-status-attempts 2")
    workflow.frozen()
    cluster.kill("slurmctld")
    time.sleep(20)
    cluster.start("slurmctld")
    workflow.thaw()
    workflow.wait("the job to end", lambda: workflow.states() == ["COMPLETED"])
    snakemake.signal(signal.SIGINT)
    workflow.wait("Snakemake to end", lambda: snakemake.process.poll() is not None)
    workflow.snakemake(TRAINED).ends()
    workflow.as_if_undisturbed()


def test_after_snakemake_was_killed_a_second_trainer_waits_for_the_first(cluster, workflow):
    killed = workflow.snakemake(TRAINED)
    workflow.frozen()
    killed.signal(signal.SIGKILL)
    workflow.wait("Snakemake to be dead", lambda: killed.process.poll() is not None)
    assert "--unlock" in workflow.snakemake(TRAINED).ends(1)
    workflow.snakemake("--unlock").ends()
    restarted = workflow.snakemake(TRAINED)
    workflow.wait("a second trainer", lambda: "locked by process" in workflow.train_log)
    assert "(Slurm job" in workflow.train_log
    workflow.wait("the second trainer to end", lambda: len(workflow.trainers()) == 1)
    workflow.thaw()
    restarted.ends()
    workflow.as_if_undisturbed()
    assert workflow.states()[0] == workflow.states()[-1] == "COMPLETED"


def test_a_second_snakemake_is_refused(workflow):
    first = workflow.snakemake(TRAINED)
    workflow.frozen()
    assert "cannot be locked" in workflow.snakemake(TRAINED).ends(1)
    workflow.thaw()
    first.ends()
    workflow.as_if_undisturbed()
    assert workflow.states() == ["COMPLETED"]


def test_a_full_disk_loses_nothing(cluster, workflow):
    (workflow.folder / "checkpoints").mkdir()
    cluster.run("mount -t tmpfs -o size=2m tmpfs checkpoints", workflow.folder)
    snakemake = workflow.snakemake(TRAINED)
    workflow.frozen()
    cluster.run("dd if=/dev/zero of=checkpoints/full || true", workflow.folder)
    workflow.thaw()
    workflow.wait("the disk to be full", lambda: "FAILED" in workflow.states())
    assert "No space left on device" in workflow.train_log
    cluster.run("rm checkpoints/full", workflow.folder)
    snakemake.ends()
    cluster.run("umount checkpoints", workflow.folder)
    workflow.as_if_undisturbed()
    assert workflow.states() == ["FAILED", "COMPLETED"]


def test_two_generators_never_write_one_journal(cluster, workflow):
    """Snakemake is killed, so that the first job stays beside the second; then the first is killed, too."""
    shutil.copytree(workflow.undisturbed / "results", workflow.folder / "results", dirs_exist_ok=True)
    shutil.rmtree(workflow.folder / "results" / "faults" / "samples")
    killed = workflow.snakemake(SAMPLES)
    first = workflow.frozen("generate_faults")
    killed.signal(signal.SIGKILL)
    workflow.wait("Snakemake to be dead", lambda: killed.process.poll() is not None)
    workflow.snakemake("--unlock").ends()
    restarted = workflow.snakemake(SAMPLES)
    workflow.wait("a second generator", lambda: "FAILED" in workflow.states("generate_faults"))
    cluster.run(f"scancel --signal=KILL --full {first}")
    restarted.ends()
    workflow.as_if_undisturbed(SAMPLES)
    assert not workflow.jobs("train_run")
