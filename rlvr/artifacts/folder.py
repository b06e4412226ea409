"""Where the files of a study are."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StudyFolder:
    """The files of one study below ``root``, ``results/STUDY``; names may be Snakemake wildcards."""

    root: Path

    def config(self, name: str) -> Path:
        """Return a resolved configuration: ``train/RUN``, ``generate/BENCHMARK``, ``grade/BENCHMARK``."""
        return self.root / "configs" / f"{name}.json"

    @property
    def manifest(self) -> Path:
        """The grid and the benchmarks (:class:`StudyManifest`)."""
        return self.config("study")

    def run(self, run: str) -> Path:
        """Return the folder of a run."""
        return self.root / "runs" / run

    def trained(self, run: str) -> Path:
        """Return the file of the trained tensors."""
        return self.run(run) / "trained.safetensors"

    def train_log(self, run: str) -> Path:
        """Return the training log, one row per step (:data:`TRAIN_LOG`)."""
        return self.run(run) / "train_log.parquet"

    def record(self, run: str) -> Path:
        """Return the record of a run (:class:`RunRecord`)."""
        return self.run(run) / "run.json"

    def adapter(self, run: str) -> Path:
        """Return the folder of the exported run: an adapter, or merged weights."""
        return self.run(run) / "adapter"

    def samples(self, run: str, benchmark: str) -> Path:
        """Return the samples of a run on a benchmark (:class:`Sample`)."""
        return self.root / "samples" / run / f"{benchmark}.parquet"

    def grades(self, run: str, benchmark: str) -> Path:
        """Return the grades of these samples (:class:`Grade`)."""
        return self.root / "grades" / run / f"{benchmark}.parquet"

    def table(self, name: str) -> Path:
        """Return a table by its name, such as ``summary`` (:mod:`rlvr.artifacts.tables`)."""
        return self.root / "tables" / f"{name}.csv"
