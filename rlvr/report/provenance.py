"""Where every number comes from: files and their hashes, code, packages, machines, time."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlvr.config.resolved import BASE
from rlvr.files import canonical_json, read_json, sha256_of
from rlvr.report.inputs import Inputs, RunRecord


@dataclass(frozen=True)
class FileHash:
    """A file that the report was made from."""

    path: str
    what: str
    sha256: str


@dataclass(frozen=True)
class RunRow:
    """One trained run; ``record`` is None where it has not been run."""

    run: str
    record: RunRecord | None


@dataclass(frozen=True)
class Provenance:
    """All that stands in the last section of the report; lists hold each distinct value once."""

    files: list[FileHash]
    runs: list[RunRow]
    commits: list[str]
    packages: list[tuple[str, str]]  # name, the versions seen
    hardware: list[str]
    models: list[tuple[str, str]]  # model, the sha256 seen
    training_data: list[str]
    datasets: list[tuple[str, str]]  # path, provenance as JSON text


def provenance(inputs: Inputs) -> Provenance:
    """Gather the provenance of a study from its files and the records of its runs."""
    records = [inputs.records[run.run] for run in inputs.study.runs if run.run in inputs.records]
    trained = [run for run in inputs.study.runs if run.method != BASE]
    return Provenance(
        _file_hashes(inputs),
        [RunRow(run.run, inputs.records.get(run.run)) for run in trained],
        distinct(_commit(record) for record in records),
        _packages(records),
        distinct(_hardware(record.meta_info.hardware) for record in records),
        _model_hashes(inputs),
        distinct(record.meta_info.data_sha256 for record in records),
        _dataset_provenance(inputs),
    )


def distinct(values: Iterable[str]) -> list[str]:
    """Return each value once, in order of appearance."""
    return list(dict.fromkeys(values))


def _file_hashes(inputs: Inputs) -> list[FileHash]:
    results, resources = inputs.results, inputs.resources
    files = [
        (inputs.study_manifest, "the resolved study"),
        (results / "tables" / "summary.csv", "accuracies, rates, costs"),
        (results / "tables" / "comparisons.csv", "paired differences"),
        (results / "tables" / "budget.csv", "accuracy against token budget"),
        (results / "tables" / "overlap.csv", "benchmark problems in the training data, counted"),
        (results / "tables" / "contaminated.csv", "benchmark problems in the training data, by name"),
    ]
    files += [
        (resources / "data" / f"{dataset}.parquet", "benchmark data")
        for dataset in distinct(benchmark.dataset for benchmark in inputs.study.benchmarks)
    ]
    files += [
        (resources / "models" / model / "pretraining.json", "pretraining curve")
        for model in inputs.pretraining
    ]
    return [FileHash(_shown(path, inputs), what, sha256_of(path)) for path, what in files if path.exists()]


def _shown(path: Path, inputs: Inputs) -> str:
    """The path as seen from the root of the project, whatever machine it lies on."""
    for root, name in (
        (inputs.results, f"results/{inputs.study.study}"),
        (inputs.resources, "resources"),
    ):
        if path.resolve().is_relative_to(root.resolve()):
            return f"{name}/{path.resolve().relative_to(root.resolve()).as_posix()}"
    return path.name


def _commit(record: RunRecord) -> str:
    commit = record.meta_info.git_commit
    if commit is None:
        return "unknown (not a git checkout)"
    return commit + (" with uncommitted changes" if record.meta_info.git_dirty else "")


def _packages(records: list[RunRecord]) -> list[tuple[str, str]]:
    versions: dict[str, list[str]] = {}
    for record in records:
        for name, version in record.meta_info.packages.items():
            versions.setdefault(name, []).append(version)
    return [(name, ", ".join(distinct(versions[name]))) for name in sorted(versions)]


def _hardware(hardware: dict[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')}: {hardware[key]}" for key in sorted(hardware) if hardware[key])


def _model_hashes(inputs: Inputs) -> list[tuple[str, str]]:
    pairs = [
        (run.model, inputs.records[run.run].meta_info.model_sha256)
        for run in inputs.study.runs
        if run.run in inputs.records
    ]
    return list(dict.fromkeys(pairs))


def _dataset_provenance(inputs: Inputs) -> list[tuple[str, str]]:
    found = []
    for dataset in distinct(benchmark.dataset for benchmark in inputs.study.benchmarks):
        path = inputs.resources / "data" / f"{dataset}.provenance.json"
        if path.exists():
            value = json.loads(canonical_json(read_json(path)))
            found.append((_shown(path, inputs), json.dumps(value, indent=2, ensure_ascii=False)))
    return found
