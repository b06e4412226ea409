"""Where the files of a study are."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFolder:
    """The files of one training run below ``root``."""

    root: Path

    @property
    def trained(self) -> Path:
        """The trained tensors."""
        return self.root / "trained.safetensors"

    @property
    def train_log(self) -> Path:
        """The training log, one row per step (:data:`TRAIN_LOG`)."""
        return self.root / "train_log.parquet"

    @property
    def record(self) -> Path:
        """The record of the run (:class:`RunRecord`)."""
        return self.root / "run.json"

    @property
    def adapter(self) -> Path:
        """The folder of the exported run: an adapter, or merged weights."""
        return self.root / "adapter"


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

    def run(self, run: str) -> RunFolder:
        """Return the files of a training run."""
        return RunFolder(self.root / "runs" / run)

    def samples_of(self, run: str) -> Path:
        """Return the folder of the samples of a run."""
        return self.root / "samples" / run

    def samples(self, run: str, benchmark: str) -> Path:
        """Return the samples of a run on a benchmark (:class:`Sample`)."""
        return self.samples_of(run) / f"{benchmark}.parquet"

    def grades(self, run: str, benchmark: str) -> Path:
        """Return the grades of these samples (:class:`Grade`)."""
        return self.root / "grades" / run / f"{benchmark}.parquet"

    def second_grades(self, run: str, benchmark: str) -> Path:
        """Return the grades of the same samples by a second grader (:class:`Grade`), if there are any.

        ``rlvr grade --grader NAME -o FILE`` writes them; no rule of the workflow does.
        """
        return self.root / "second-grades" / run / f"{benchmark}.parquet"

    def references_of(self, run: str) -> Path:
        """Return the folder of the scored reference solutions of a run."""
        return self.root / "references" / run

    def references(self, run: str, benchmark: str) -> Path:
        """Return the scored reference solutions of a forgetting benchmark (:class:`ReferenceScore`)."""
        return self.references_of(run) / f"{benchmark}.parquet"

    @property
    def claims(self) -> Path:
        """The answers to the claims of the paper (list of :class:`ClaimRecord`)."""
        return self.root / "claims.json"

    @property
    def figures(self) -> Path:
        """The figures of the report, one SVG file each."""
        return self.root / "figures"

    @property
    def registration(self) -> Path:
        """The tests of the claims before the first training (:class:`Registration`)."""
        return self.root / "claims_registered.json"

    def complete(self, stage: str) -> Path:
        """Return the mark that a stage of the workflow is complete, without failed runs."""
        return self.root / "complete" / stage

    def table(self, name: str) -> Path:
        """Return a table by its name, such as ``summary`` (:mod:`rlvr.artifacts.tables`)."""
        return self.root / "tables" / f"{name}.csv"

    @property
    def spectra(self) -> Path:
        """The spectra of the updates of all runs (:class:`SpectrumRow`)."""
        return self.root / "tables" / "spectra.parquet"
