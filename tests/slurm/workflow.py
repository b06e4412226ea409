"""A small study on the cluster, and what must be true of it after a fault."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pandas as pd
import torch
from pandas.testing import assert_frame_equal

from rlvr.models.pretrain import encode, sampled_accuracy
from rlvr.models.tiny import build_model, build_tokenizer
from tests.slurm.cluster import Cluster, Job

MODELS = "models: {small: {source: local, path: models/small}}"
DATASETS = """
datasets:
  digits: {source: arithmetic, levels: [L1], operations: ["+"], split: train, size: 60, style: bare}
  unseen: {source: arithmetic, levels: [L1], operations: ["+"], split: test, size: 10, style: bare, seed: 1}
"""
STUDY = """
title: A study that survives
models: [small]
methods: [{method: lora, parameters: {rank: 8, alpha: 16}}]
train_dataset: digits
answer_format: first-line-number
training:
  steps: 40
  prompts_per_step: 4
  group_size: 8
  learning_rate: 1.0e-3
  sampling: {max_new_tokens: 4}
  soft_overlong: {buffer_tokens: 2}
  rollout_batch_size: 64
  checkpoint_every: 1
evaluation:
  sampling: {max_new_tokens: 4}
  batch_size: 8
  benchmarks: {unseen: {dataset: unseen, title: Digits, samples_per_problem: 40}}
compute: {gpus: 1, train_minutes: 20, generate_minutes: 20}
"""
STEPS = 40
RUN = "small--lora--recommended--main--s0"
TRAINED = f"results/faults/runs/{RUN}/run.json"
SAMPLES = f"results/faults/samples/{RUN}/unseen.parquet"
PARTITIONS = """
partitions:
  cpu: {max_runtime: 60, max_mem_mb: 64000, max_threads: 8, supports_mpi: false}
  gpu: {max_runtime: 60, max_mem_mb: 64000, max_threads: 8, max_gpu: 2, supports_mpi: false}
"""
FAST = "--slurm-init-seconds-before-status-checks 2 --max-status-checks-per-second 2 --latency-wait 20"
"""As the profile, with less time between two looks."""


def write_study(folder: Path) -> None:
    """Write the study into a checkout, and its model: it knows by heart some of the sums that it trains on."""
    for name, text in (("models", MODELS), ("datasets", DATASETS), ("studies/faults", STUDY)):
        (folder / "config" / f"{name}.yaml").write_text(text)
    for other in (folder / "config" / "studies").glob("*.yaml"):
        if other.stem != "faults":
            other.unlink()
    tokenizer = build_tokenizer()
    model = build_model(tokenizer, hidden_size=64, layers=1, heads=1, intermediate_size=128, seed=0)
    rows = [{"problem": f"{a}+{b}", "answer": str(a + b)} for a in range(10) for b in range(10)]
    encoded = encode(tokenizer, rows)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    while sampled_accuracy(model, encoded) < 0.4:
        model(input_ids=encoded.ids, labels=encoded.labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder / "models" / "small")
    tokenizer.save_pretrained(folder / "models" / "small")


class Snakemake:
    """A Snakemake that submits to the cluster."""

    def __init__(self, workflow: "Workflow", arguments: str, log: Path) -> None:
        self.workflow, self.log = workflow, log
        pid = log.with_suffix(".pid")
        command = f"echo $$ >{pid} && exec snakemake --profile slurm {FAST} --config studies=[faults] {arguments}"
        self.process = subprocess.Popen(
            workflow.cluster.command(command, workflow.folder),
            env=workflow.cluster.environment,
            stdin=subprocess.DEVNULL,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
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
        self.workflow.wait("Snakemake to end", lambda: self.process.poll() is not None, 600)
        assert self.process.returncode == code, self.shown
        return self.shown


class Workflow:
    """A checkout of its own in which nothing is trained yet."""

    def __init__(self, cluster: Cluster, undisturbed: Path, folder: Path) -> None:
        self.cluster, self.undisturbed, self.folder = cluster, undisturbed, folder
        ignored = shutil.ignore_patterns("results", "checkpoints", "logs", "reports")
        shutil.copytree(undisturbed, folder, symlinks=True, ignore=ignored)
        (folder / "workflow" / "profiles" / "slurm" / "partitions.yaml").write_text(PARTITIONS)
        self.first_job = len(cluster.jobs())
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
        self.cluster.run("scancel --signal=KILL --full --user root; scancel --user root", check=False)
        self.cluster.wait("an empty queue", lambda: not self.cluster.run("squeue --noheader"))

    # --- what happens ------------------------------------------------------------------------------

    def wait(self, what: str, reached, seconds: float = 240) -> None:
        """Wait for something; a failure shows what Snakemake and the cluster have printed."""
        try:
            self.cluster.wait(what, reached, seconds)
        except AssertionError as error:
            shown = "\n".join(f"{x.log.name}:\n{x.shown[-6000:]}" for x in self.started)
            raise AssertionError(f"{error}\n{shown}\n{self.jobs()}") from None

    def jobs(self, rule: str = "") -> list[Job]:
        """Return the jobs of this checkout so far."""
        return [job for job in self.cluster.jobs()[self.first_job :] if f"rule_{rule}" in job.comment]

    def running(self, rule: str) -> int:
        """Wait for a running job of a rule and return its number."""
        found: list[Job] = []

        def look() -> bool:
            found[:] = [job for job in self.jobs(rule) if job.state == "RUNNING"]
            return bool(found)

        self.wait(f"a running {rule}", look)
        return found[-1].number

    def training(self, steps: int = 3) -> int:
        """Wait until so many steps are done and return the number of the job that does them."""

        def done() -> bool:
            return any(int(path.name[5:]) >= steps for path in self.checkpoints.rglob("step-*"))

        self.wait(f"{steps} steps", done)
        return self.running("train_run")

    @property
    def checkpoints(self) -> Path:
        """Where the run keeps its checkpoints."""
        return self.folder / "checkpoints" / "faults" / RUN

    def trainers(self) -> list[int]:
        """Return the processes that train, as the cluster numbers them."""
        return [int(x) for x in self.cluster.run("pgrep -f '[b]in/rlvr train' || true").split()]

    # --- what must be true -------------------------------------------------------------------------

    def as_if_undisturbed(self, target: str = TRAINED, attempts: int | None = None) -> None:
        """Compare results with those of the undisturbed run; timing and memory aside, they are the same."""
        here, there = self.folder, self.undisturbed
        assert (here / target).exists()
        run = Path(TRAINED).parent
        assert (here / run / "trained.safetensors").read_bytes() == (
            there / run / "trained.safetensors"
        ).read_bytes()
        one, other = (pd.read_parquet(root / run / "train_log.parquet") for root in (here, there))
        timed = [name for name in one if name.startswith(("time/", "memory/"))]
        assert_frame_equal(one.drop(columns=timed), other.drop(columns=timed), check_exact=True)
        assert len(one) == STEPS
        if attempts is not None:
            record = json.loads((here / TRAINED).read_text())
            assert record["run_info"]["attempts"] == attempts
        if target == SAMPLES:
            one, other = (
                pd.read_parquet(root / target).drop(columns="seconds") for root in (here, there)
            )
            assert_frame_equal(one, other, check_exact=True)
        assert not list(self.folder.glob("checkpoints/**/lock")), "a lock is left"
        assert not self.trainers(), "a trainer is left"
