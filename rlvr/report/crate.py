"""A study as a Workflow Run RO-Crate: its workflow, configuration, data and results, and what made them.

The profile is Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5) on RO-Crate 1.1.
"""

import mimetypes
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import rlvr
from rlvr.artifacts import FailedRun, RunRecord, StudyFolder, read_run
from rlvr.config.resolved import BASE, StudyManifest, read_config
from rlvr.errors import FailedStatus, UserError
from rlvr.files import replacing_folder, sha256_of, write_json

CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
]
"""The second part is all that is used of the context of the profile, which readers would have to fetch."""
CRATE = "https://w3id.org/ro/crate/1.1"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
LICENCE = "https://spdx.org/licenses/Apache-2.0"
COMPLETED, FAILED = (f"http://schema.org/{how}ActionStatus" for how in ("Completed", "Failed"))
WORKFLOW = "Snakefile"
CODE = (
    WORKFLOW,
    "README.md",
    "LICENSE",
    "environment.yml",
    "requirements.lock",
    "workflow/**/*",
    "config/**/*",
)
MADE = ("*.json", "configs/**/*", "tables/*", "figures/*", "runs/*/run.json", "runs/*/train_log.parquet",
        "samples/**/*", "grades/**/*")  # fmt: skip
"""Patterns of the files of a study; trained weights are left out, since they are large."""
KINDS = {
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".yaml": "application/yaml",
    ".smk": "text/plain",
}
STUDY, REPORT, SOFTWARE, RUN = "#study", "#report", "#rlvr", "#run"

Entity = dict[str, Any]


def write_crate(study_manifest: Path, results: Path, resources: Path, page: Path, output: Path) -> None:
    """Write a folder with copies of the files of a study, and `ro-crate-metadata.json`, which describes them.

    Args:
        study_manifest: the resolved study, ``results/STUDY/configs/study.json``.
        results: the folder ``results/STUDY``.
        resources: the folder that holds ``data/``.
        page: the report.
        output: folder to write; it appears whole, and replaces one that is there.

    All paths are below the current folder, which holds the workflow.

    Raises:
        UserError: the report or the workflow is missing.
    """
    study = read_config(study_manifest, StudyManifest)
    for path in (Path(WORKFLOW), page):
        if not path.is_file():
            raise UserError(
                f"{path}: file not found; run `snakemake all` in the folder of the workflow first"
            )
    folder = StudyFolder(results)
    data = [path for name in _datasets(study) for path in sorted((resources / "data").glob(f"{name}.*"))]
    made = [page, *_matching(results, MADE)]
    files = [*_matching(Path(), CODE), *data, *made]
    with replacing_folder(output) as crate:
        for path in files:
            (crate / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, crate / path)
        graph = [
            *_frame(study, files, _written(page), _runs(study, folder)),
            _study_run(study, folder, data, made, page),
            *_training_runs(study, folder, data),
            *(_file(path) for path in files if path != Path(WORKFLOW)),
        ]
        write_json(crate / "ro-crate-metadata.json", {"@context": CONTEXT, "@graph": graph})


def _datasets(study: StudyManifest) -> list[str]:
    return list(dict.fromkeys([study.train_dataset, *(entry.dataset for entry in study.benchmarks)]))


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    # Snakemake leaves a hidden file in every folder that is an output.
    return sorted(p for p in found if "__pycache__" not in p.parts and not p.name.startswith("."))


def _runs(study: StudyManifest, folder: StudyFolder) -> list[str]:
    """Return the training runs that have ended."""
    runs = [entry.run for entry in study.runs if entry.method != BASE]
    return [run for run in runs if folder.run(run).record.exists()]


def _ids(items: Iterable[str | Path]) -> list[Entity]:
    return [{"@id": item.as_posix() if isinstance(item, Path) else item} for item in items]


def _frame(study: StudyManifest, files: list[Path], when: str, runs: list[str]) -> Iterator[Entity]:
    """Yield the crate itself, its profiles, the workflow, and the software."""
    yield {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": _ids([CRATE, "https://w3id.org/workflowhub/workflow-ro-crate/1.0"]),
    }
    yield {
        "@id": "./",
        "@type": "Dataset",
        "name": study.title,
        "description": study.description or study.title,
        "datePublished": when,
        "license": {"@id": LICENCE},
        "conformsTo": _ids(PROFILES),
        "mainEntity": {"@id": WORKFLOW},
        "mentions": _ids([RUN, *(_training(run) for run in runs)]),
        "hasPart": _ids(files),
    }
    for address, name in PROFILES.items():
        version = address.rpartition("/")[2]
        yield {"@id": address, "@type": "CreativeWork", "name": name, "version": version}
    yield {"@id": LICENCE, "@type": "CreativeWork", "name": "Apache License 2.0", "identifier": LICENCE}
    yield {
        **_file(Path(WORKFLOW)),
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": "The workflow of all studies",
        "version": rlvr.__version__,
        "programmingLanguage": {"@id": SNAKEMAKE},
        "conformsTo": {"@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"},
        "input": {"@id": STUDY},
        "output": {"@id": REPORT},
    }
    yield {
        "@id": SNAKEMAKE,
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "identifier": {"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
        "url": {"@id": "https://snakemake.github.io"},
    }
    yield _parameter(STUDY, "study", "The resolved study: its runs and benchmarks.")
    yield _parameter(REPORT, "report", "The page of the study.")
    yield {
        "@id": SOFTWARE,
        "@type": "SoftwareApplication",
        "name": "rlvr",
        "softwareVersion": rlvr.__version__,
        "description": "The package whose verbs the jobs of the workflow call.",
        "url": {"@id": WORKFLOW},
    }


def _parameter(identifier: str, name: str, description: str) -> Entity:
    return {
        "@id": identifier,
        "@type": "FormalParameter",
        "conformsTo": {"@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"},
        "additionalType": "File",
        "name": name,
        "description": description,
        "valueRequired": True,
    }


def _study_run(
    study: StudyManifest, folder: StudyFolder, data: list[Path], made: list[Path], page: Path
) -> Entity:
    """Return the run of the workflow."""
    inputs = [folder.manifest, *data]
    return {
        "@id": RUN,
        "@type": "CreateAction",
        "name": f"Run of study {study.study}",
        "description": "Trains every run of the study, samples and grades it, and makes tables and report.",
        "instrument": {"@id": WORKFLOW},
        "object": _ids(inputs),
        "result": _ids(path for path in made if path not in inputs),
        "endTime": _written(page),
        "actionStatus": COMPLETED,
    }


def _training_runs(study: StudyManifest, folder: StudyFolder, data: list[Path]) -> Iterator[Entity]:
    """Yield the training runs that have ended, with their cost and, of failed ones, why."""
    learned = [path for path in data if path.name.partition(".")[0] == study.train_dataset]
    for run in _runs(study, folder):
        files, record = folder.run(run), read_run(folder.run(run).record)
        results = [path for path in (files.record, files.train_log) if path.exists()]
        yield {
            "@id": _training(run),
            "@type": "CreateAction",
            "name": f"Training of {run}",
            "description": _description(record),
            "instrument": {"@id": SOFTWARE},
            "object": _ids([*_existing(folder.config(f"train/{run}")), *learned]),
            "result": _ids(results),
            "endTime": _written(files.record),
            **_outcome(record),
        }


def _written(path: Path) -> str:
    """Return when a file was written."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")


def _training(run: str) -> str:
    return f"#training-{run}"


def _existing(path: Path) -> list[Path]:
    return [path] if path.exists() else []


def _description(record: RunRecord | FailedRun) -> str:
    info, meta = record.run_info, record.meta_info
    machine = meta.hardware.accelerator or meta.hardware.processor
    commit = f"commit {meta.git_commit}" + (" with uncommitted changes" if meta.git_dirty else "")
    return f"{info.device_seconds:.0f} device-seconds on {machine}; {commit}; seed {info.train_seed}"


def _outcome(record: RunRecord | FailedRun) -> Entity:
    if isinstance(record, FailedRun):
        assert record.run_info.status in get_args(FailedStatus)
        return {"actionStatus": FAILED, "error": record.failure.reason}
    return {"actionStatus": COMPLETED}


def _file(path: Path) -> Entity:
    kind = KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    entity: Entity = {
        "@id": path.as_posix(),
        "@type": "File",
        "name": path.name,
        "encodingFormat": kind,
        "contentSize": path.stat().st_size,
        "sha256": sha256_of(path),
    }
    if path.name == "study.json" and path.parent.name == "configs":
        entity["exampleOfWork"] = {"@id": STUDY}
    if path.suffix == ".html":
        entity["exampleOfWork"] = {"@id": REPORT}
    if path == Path("README.md"):
        entity["about"] = {"@id": "./"}
    return entity
