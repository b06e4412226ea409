"""A real Slurm of one node, in namespaces of its own: nothing of it outlives the process that started it.

The daemons run in a mount and a process namespace. In the former, `/etc` is a copy with our `slurm.conf` (the
plugin's `srun` reads no other one); when the first process of the latter ends, the kernel ends all others.
"""

import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NODE = "node1"
KILL_WAIT = 10
"""Seconds from SIGTERM to SIGKILL."""

CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthInfo=socket={state}/munge.socket
PluginDir={plugins}
StateSaveLocation={state}/slurmctld
SlurmdSpoolDir={state}/slurmd
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
KillWait={kill_wait}
MinJobAge=86400
SchedulerParameters=sched_interval=2,bf_interval=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 Gres=gpu:2
PartitionName=cpu Nodes={node} Default=YES MaxTime=60 PriorityTier=1
PartitionName=gpu Nodes={node} MaxTime=60 PriorityTier=1
PartitionName=urgent Nodes={node} MaxTime=60 PriorityTier=10
"""

DAEMONS = {"slurmctld": "slurmctld -i", "slurmd": f'slurmd -N {NODE} -d "$STEPD"'}
START = """
set -e
mount --make-rprivate /
mount --bind "$STATE/etc" /etc
munged --force --key-file "$STATE/munge.key" --socket "$STATE/munge.socket" --pid-file "$STATE/munged.pid" \
    --log-file "$STATE/munged.log" --seed-file "$STATE/munged.seed"
{daemons}
cat >/dev/null
"""
"""Ends when its standard input does, that is, with the process that started it."""


def missing() -> str | None:
    """Return why no cluster can run here, or None."""
    if shutil.which("slurmctld") is None:
        return "Slurm is not installed; run: make test-slurm"
    if os.geteuid() != 0:
        return "a Slurm with namespaces of its own needs root"
    if subprocess.run([*UNSHARE, "true"], capture_output=True).returncode:
        return "this machine gives no namespaces (in a container: run it with --privileged)"
    return None


UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


@dataclass(frozen=True)
class Job:
    """A job as the controller describes it."""

    number: int
    state: str
    partition: str
    comment: str
    """The rule, and its wildcards."""


class Cluster:
    """A running Slurm."""

    def __init__(self, state: Path) -> None:
        self.state = state
        prefix = Path(shutil.which("slurmctld") or "").parent.parent
        libraries = next(prefix.glob("lib/*-linux-gnu"))
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "STATE": str(state),
            "STEPD": str(next((prefix / "sbin").glob("slurmstepd*"))),
            "LD_LIBRARY_PATH": f"{libraries}:{libraries / 'slurm-wlm'}",
        }
        for name in [name for name in self.environment if name.startswith(("SLURM_", "SBATCH_"))]:
            del self.environment[name]
        self._write_files(libraries / "slurm-wlm")
        self._shell = subprocess.Popen(
            [*UNSHARE, "sh", "-c", START.format(daemons="\n".join(DAEMONS.values()))],
            stdin=subprocess.PIPE,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=(state / "start.log").open("wb"),
        )
        self.wait_for_node()

    def _write_files(self, plugins: Path) -> None:
        for folder in ("slurmctld", "slurmd"):
            (self.state / folder).mkdir()
        (self.state / "munge.key").write_bytes(os.urandom(128))
        (self.state / "munge.key").chmod(0o600)
        shutil.copytree("/etc", self.state / "etc", symlinks=True, ignore=shutil.ignore_patterns("slurm"))
        config = self.state / "etc" / "slurm"
        config.mkdir()
        (config / "slurm.conf").write_text(
            CONFIG.format(
                host=socket.gethostname().partition(".")[0],
                ports=[free_port(), free_port()],
                state=self.state,
                plugins=plugins,
                node=NODE,
                kill_wait=KILL_WAIT,
            )
        )
        devices = [self.state / f"gpu{number}" for number in range(2)]
        for device in devices:
            os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))  # as /dev/null: Slurm wants a device
        (config / "gres.conf").write_text(
            "".join(f"NodeName={NODE} Name=gpu File={device}\n" for device in devices)
        )

    # --- commands ----------------------------------------------------------------------------------

    def command(self, text: str, folder: Path | str = "/") -> list[str]:
        """Return a shell command that runs on the cluster."""
        children = Path(f"/proc/{self._shell.pid}/task/{self._shell.pid}/children").read_text().split()
        inside = ["nsenter", "--target", children[0], "--mount", "--pid"] if children else ["false"]
        return [*inside, "sh", "-c", f'cd "$0" && {text}', str(folder)]

    def run(self, text: str, folder: Path | str = "/", check: bool = True) -> str:
        """Run a shell command on the cluster and return what it prints."""
        done = subprocess.run(
            self.command(text, folder), env=self.environment, capture_output=True, text=True
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kill(self, daemon: str) -> None:
        """Kill a daemon, as a crash of its machine does."""
        self.run(f"kill -9 $(cat {self.state}/{daemon}.pid)")

    def start(self, daemon: str) -> None:
        """Start a daemon again, and wait until the controller answers."""
        self.run(DAEMONS[daemon].removesuffix(" -i"))
        self.wait("the controller", lambda: "UP" in self.run("scontrol ping", check=False))

    def wait_for_node(self) -> None:
        """Wait until the node can start jobs."""
        self.wait("an idle node", lambda: "idle" in self.run("sinfo -h -N -o %T", check=False), 120)

    def resume_drained(self) -> None:
        """Do what an administrator does when Slurm itself has drained the node."""
        if "drain" in self.run("sinfo -h -N -o %T", check=False):
            self.run(f"scontrol update NodeName={NODE} State=RESUME")

    def jobs(self) -> list[Job]:
        """Return all jobs that the controller remembers, in the order of their submission."""
        lines = self.run("squeue --all --noheader --states=all --format='%i|%T|%P|%k'").splitlines()
        jobs = [Job(int(number), *rest) for number, *rest in (line.split("|", 3) for line in lines)]
        return sorted(jobs, key=lambda job: job.number)

    def wait(self, what: str, reached: Callable[[], object], seconds: float = 600) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + seconds
        while not reached():
            assert self._shell.poll() is None, (self.state / "start.log").read_text()
            assert time.monotonic() < end, f"waited {seconds:g} s for {what}\n{self.logs()}"
            time.sleep(0.2)

    def logs(self) -> str:
        """Return the ends of the daemons' logs."""
        return "\n".join(
            f"{path}:\n" + "\n".join(path.read_text(errors="replace").splitlines()[-30:])
            for path in sorted(self.state.glob("*.log"))
        )

    def stop(self) -> None:
        """End every process of the cluster."""
        assert self._shell.stdin
        self._shell.stdin.close()
        self._shell.wait(30)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
