"""A small study on the cluster, and what must be true of it after a fault."""

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from pandas.testing import assert_frame_equal

from tests.helpers.quick_study import RUN, SAMPLES, STEPS, TRAINED
from tests.slurm.cluster import Cluster, Job

PARTITIONS = """
partitions:
  cpu: {max_runtime: 60, max_mem_mb: 64000, max_threads: 8, supports_mpi: false}
  gpu: {max_runtime: 60, max_mem_mb: 64000, max_threads: 8, max_gpu: 2, supports_mpi: false}
"""
FAST = "--slurm-init-seconds-before-status-checks 2 --max-status-checks-per-second 2 --latency-wait 20"
"""As the profile, with less time between two looks."""


def _interruptible() -> None:
    """Let SIGINT end the process: what starts in the background of a script inherits that it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Snakemake:
    """A Snakemake that submits to the cluster."""

    def __init__(self, workflow: "Workflow", arguments: str, log: Path) -> None:
        self.workflow, self.log = workflow, log
        pid = log.with_suffix(".pid")
        command = (
            f"echo $$ >{pid} && exec snakemake {arguments} --profile slurm {FAST} --config studies=[faults]"
        )
        self.process = subprocess.Popen(
            workflow.cluster.command(command, workflow.folder),
            env=workflow.cluster.environment,
            stdin=subprocess.DEVNULL,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            preexec_fn=_interruptible,
        )
        workflow.cluster.wait("Snakemake to start", lambda: pid.exists() and pid.read_text())
        self.pid = int(pid.read_text())

    @property
    def shown(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.workflow.cluster.run(f"kill -{int(number)} {self.pid}")

    def ends(self, code: int = 0) -> str:
        """Wait for its end and return what it printed."""
        self.workflow.wait("Snakemake to end", lambda: self.process.poll() is not None, 1200)
        assert self.process.returncode == code, self.shown
        return self.shown


class Workflow:
    """A checkout of its own in which nothing is trained yet."""

    def __init__(self, cluster: Cluster, undisturbed: Path, folder: Path) -> None:
        self.cluster, self.undisturbed, self.folder = cluster, undisturbed, folder
        ignored = shutil.ignore_patterns("results", "checkpoints", "logs", "reports")
        shutil.copytree(undisturbed, folder, symlinks=True, ignore=ignored)
        (folder / "workflow" / "profiles" / "slurm" / "partitions.yaml").write_text(PARTITIONS)
        self.earlier = {job.number for job in cluster.jobs()}
        self.started: list[Snakemake] = []

    def snakemake(self, arguments: str) -> Snakemake:
        """Start Snakemake."""
        log = self.folder / f"snakemake-{len(self.started)}.log"
        self.started.append(Snakemake(self, arguments, log))
        return self.started[-1]

    def close(self) -> None:
        """End what is left of a test."""
        for snakemake in self.started:
            if snakemake.process.poll() is None:
                snakemake.signal(signal.SIGKILL)
                snakemake.process.wait()
        self.cluster.resume_drained()
        self.cluster.run("scancel --signal=KILL --full --user root; scancel --user root", check=False)
        self.cluster.wait("an empty queue", lambda: not self.cluster.run("squeue --noheader"))

    # --- what happens ------------------------------------------------------------------------------

    def wait(self, what: str, reached: Callable[[], object], seconds: float = 600) -> None:
        """Wait for something; a failure shows what Snakemake and the cluster have printed."""
        try:
            self.cluster.wait(what, reached, seconds)
        except AssertionError as error:
            shown = "\n".join(f"{x.log.name}:\n{x.shown[-6000:]}" for x in self.started)
            raise AssertionError(f"{error}\n{shown}\n{self.jobs()}") from None

    def jobs(self, rule: str = "") -> list[Job]:
        """Return the jobs of this checkout so far."""
        mine = (job for job in self.cluster.jobs() if job.number not in self.earlier)
        return [job for job in mine if f"rule_{rule}" in job.comment]

    def running(self, rule: str) -> int:
        """Wait for a running job of a rule and return its number."""
        found: list[Job] = []

        def look() -> bool:
            found[:] = [job for job in self.jobs(rule) if job.state == "RUNNING"]
            return bool(found)

        self.wait(f"a running {rule}", look)
        return found[-1].number

    def frozen(self, rule: str = "train_run") -> int:
        """Stop a trainer or a generator half-way, as a stalled file system does; return its job."""
        what = {"train_run": ("train", "step-00000[3-9]"), "generate_faults": ("generate", "*.jsonl")}[rule]
        found = f"until find checkpoints -name '{what[1]}' 2>/dev/null | grep -q .; do sleep 0.02; done"
        log = self.folder / "frozen.log"
        command = f"{found}; pkill -STOP -f '[b]in/rlvr {what[0]}'"
        waiting = subprocess.Popen(
            self.cluster.command(command, self.folder), env=self.cluster.environment, stdout=log.open("wb")
        )
        snakemake = self.started[-1]

        def ended() -> bool:
            return waiting.poll() is not None or snakemake.process.poll() is not None

        self.wait(f"a {rule} that is half done", ended)
        assert snakemake.process.poll() is None, snakemake.shown
        return self.running(rule)

    def thaw(self) -> None:
        """Let all go on that is frozen."""
        self.cluster.run("pkill -CONT -f '[b]in/rlvr' || true")

    def states(self, rule: str = "train_run") -> list[str]:
        """Return the states of the jobs of a rule, in the order of their submission."""
        return [job.state for job in self.jobs(rule)]

    def trainers(self) -> list[int]:
        """Return the processes that train, as the cluster numbers them."""
        return [int(x) for x in self.cluster.run("pgrep -f '[b]in/rlvr train' || true").split()]

    @property
    def train_log(self) -> str:
        """The log of the last attempt."""
        path = self.folder / "logs" / "faults" / "train" / f"{RUN}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # --- what must be true -------------------------------------------------------------------------

    def as_if_undisturbed(self, target: str = TRAINED) -> None:
        """Compare results with those of the undisturbed run: timing and memory aside, they are the same."""
        assert (self.folder / target).exists()
        run = Path(TRAINED).parent
        one, other = ((root / run / "trained.safetensors").read_bytes() for root in self.both)
        assert one == other
        self._same_table(f"{run}/train_log.parquet", STEPS)
        if target == SAMPLES:
            self._same_table(SAMPLES, 400)
        assert not list(self.folder.glob("checkpoints/**/lock")), "a lock is left"
        assert not self.trainers(), "a trainer is left"
        assert not [job for job in self.jobs() if job.state in ("PENDING", "RUNNING")]

    @property
    def both(self) -> tuple[Path, Path]:
        """This checkout and the undisturbed one."""
        return self.folder, self.undisturbed

    def _same_table(self, path: str, rows: int) -> None:
        one, other = (pd.read_parquet(root / path) for root in self.both)
        measured = [name for name in one if name.startswith(("time/", "memory/", "seconds"))]
        assert_frame_equal(one.drop(columns=measured), other.drop(columns=measured), check_exact=True)
        assert len(one) == rows

    def attempts(self) -> int:
        """Return how often training was started or continued."""
        return json.loads((self.folder / TRAINED).read_text())["run_info"]["attempts"]
