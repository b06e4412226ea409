"""Where the numbers come from: files and their hashes, code, packages, machines, time."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlvr.artifacts import FailedRun, Hardware, RunRecord
from rlvr.config.resolved import BASE
from rlvr.files import canonical_json, read_json, sha256_of
from rlvr.report.inputs import Inputs, pretraining_path
from rlvr.report.section import Section


@dataclass(frozen=True, kw_only=True, slots=True)
class FileHash:
    """A file that the report was made from."""

    path: str
    content: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Context of the section; lists hold each distinct value once.

    Attributes:
        files: tables and data.
        runs: every planned training run; None where it has not been run.
        packages: name, the versions found.
        models: model, its sha256.
        datasets: path, provenance as JSON text.
    """

    files: list[FileHash]
    runs: dict[str, RunRecord | FailedRun | None]
    commits: list[str]
    packages: list[tuple[str, str]]
    hardware: list[str]
    models: list[tuple[str, str]]
    training_data: list[str]
    datasets: list[tuple[str, str]]


def build(inputs: Inputs) -> Provenance:
    """Gather the provenance of a study from its files and the records of its runs."""
    records = list(inputs.ended.values())
    return Provenance(
        files=_file_hashes(inputs),
        runs={run.run: inputs.ended.get(run.run) for run in inputs.study.runs if run.method != BASE},
        commits=_distinct(_commit(record) for record in records),
        packages=_packages(records),
        hardware=_distinct(_hardware(record.meta_info.hardware) for record in records),
        models=list(
            dict.fromkeys((record.run_info.model, record.meta_info.model_sha256) for record in records)
        ),
        training_data=_distinct(record.meta_info.data_sha256 for record in records),
        datasets=_dataset_provenance(inputs),
    )


def _distinct(values: Iterable[str]) -> list[str]:
    """Return each value once, in order of appearance."""
    return list(dict.fromkeys(values))


def _datasets(inputs: Inputs) -> list[str]:
    return _distinct(benchmark.dataset for benchmark in inputs.study.benchmarks)


def _file_hashes(inputs: Inputs) -> list[FileHash]:
    files = {
        inputs.study_manifest: "the resolved study",
        inputs.folder.table("summary"): "accuracies, rates, costs",
        inputs.folder.table("comparisons"): "paired differences",
        inputs.folder.table("budget"): "accuracy against token budget",
        inputs.folder.table("runs"): "planned runs, and why some are missing",
        inputs.folder.table("contamination"): "number of contaminated problems per benchmark",
        inputs.folder.table("contaminated_problems"): "the contaminated problems",
        **{inputs.data(dataset): "benchmark problems" for dataset in _datasets(inputs)},
        **{pretraining_path(inputs.resources, model): "pretraining curve" for model in inputs.pretraining},
    }
    return [
        FileHash(path=_shown(path, inputs), content=content, sha256=sha256_of(path))
        for path, content in files.items()
        if path.exists()
    ]


def _shown(path: Path, inputs: Inputs) -> str:
    """Return the path relative to the root of the project, the same on every machine."""
    roots = {inputs.folder.root: f"results/{inputs.study.study}", inputs.resources: "resources"}
    for root, name in roots.items():
        if path.resolve().is_relative_to(root.resolve()):
            return f"{name}/{path.resolve().relative_to(root.resolve()).as_posix()}"
    return path.name


def _commit(record: RunRecord | FailedRun) -> str:
    commit = record.meta_info.git_commit
    if commit is None:
        return "unknown (not a git checkout)"
    return commit + (" with uncommitted changes" if record.meta_info.git_dirty else "")


def _packages(records: Sequence[RunRecord | FailedRun]) -> list[tuple[str, str]]:
    versions: dict[str, list[str]] = {}
    for record in records:
        for name, version in record.meta_info.packages.items():
            versions.setdefault(name, []).append(version)
    return [(name, ", ".join(_distinct(versions[name]))) for name in sorted(versions)]


def _hardware(hardware: Hardware) -> str:
    known = sorted((name, value) for name, value in hardware if value)
    return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in known)


def _dataset_provenance(inputs: Inputs) -> list[tuple[str, str]]:
    paths = [inputs.data(dataset).with_suffix(".provenance.json") for dataset in _datasets(inputs)]
    return [
        (
            _shown(path, inputs),
            json.dumps(json.loads(canonical_json(read_json(path))), indent=2, ensure_ascii=False),
        )
        for path in paths
        if path.exists()
    ]


SECTION = Section(
    part="provenance", order=10, id="provenance", title="", template="provenance.html", build=build
)
