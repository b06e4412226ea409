"""Where the numbers come from: files and their hashes, code, packages, machines, time."""

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rlvr.artifacts import FailedRun, Hardware, RunRecord
from rlvr.config.resolved import BASE
from rlvr.files import canonical_json, read_json, sha256_of
from rlvr.report.inputs import Inputs, pretraining_path
from rlvr.report.section import Section

TABLES = {
    "summary": "every metric with its standard error and interval",
    "comparisons": "paired differences",
    "leader": "differences from the best method",
    "budget": "accuracy within a token budget",
    "forgetting": "what training unlearned",
    "learning": "how fast each method learned",
    "rates": "trials of learning rates",
    "runs": "planned runs, and why some are missing",
    "audit": "differences between the paper and its released code",
    "contamination": "contaminated problems per benchmark",
    "contaminated_problems": "the contaminated problems",
}
"""Table of a study -> what it holds."""
SAFE = "/ ,;:@=+$!*'()[]|"  # characters of a CSV file that a data link may hold as they are


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of the study, embedded whole."""

    name: str
    content: str
    link: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Context of the section; lists hold each distinct value once.

    Attributes:
        command: what makes the study again, in a shell.
        tables: the tables that the numbers of the page are from.
        files: every file that the page was made from, as `sha256sum` writes and checks them.
        n_files: their number.
        runs: every planned training run; None where it has not been run.
        packages: name, the versions found.
        models: model, its sha256.
        datasets: path, provenance as JSON text.
    """

    command: str
    tables: list[Table]
    files: str
    n_files: int
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
    paths = files_of(inputs)
    return Provenance(
        command=command(inputs),
        tables=_tables(inputs),
        files="\n".join(f"{sha256_of(path)}  {_shown(path, inputs)}" for path in paths),
        n_files=len(paths),
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


def command(inputs: Inputs) -> str:
    """Return the commands that make the study again in a clone of the project."""
    metas = [record.meta_info for record in inputs.ended.values()]
    commits = {meta.git_commit for meta in metas if meta.git_commit}
    lines = [f"git checkout {commits.pop()}"] if len(commits) == 1 else []
    studies = shlex.quote(f"studies=[{inputs.study.study}]")
    return "\n".join(
        [
            *lines,
            "make install",
            f".venv/bin/snakemake all --cores 2 --config {studies}",
        ]
    )


def files_of(inputs: Inputs) -> list[Path]:
    """Return every file that the page is made from: tables, claims, records, logs, samples, grades, data."""
    folder, runs = inputs.folder, [run.run for run in inputs.study.runs]
    benchmarks = [entry.benchmark for entry in inputs.study.benchmarks]
    data = [inputs.data(dataset) for dataset in _datasets(inputs)]
    candidates = [
        inputs.study_manifest,
        *(folder.table(name) for name in TABLES),
        folder.spectra,
        folder.claims,
        *(folder.config(f"generate/{name}") for name in benchmarks),
        *(folder.run(run).record for run in runs),
        *(folder.run(run).train_log for run in runs),
        *(
            file(run, name)
            for run in runs
            for name in benchmarks
            for file in (folder.samples, folder.grades, folder.second_grades)
        ),
        *data,
        *(path.with_suffix(".provenance.json") for path in data),
        *(pretraining_path(inputs.resources, model) for model in inputs.study.models),
    ]
    return [path for path in candidates if path.exists()]


def _tables(inputs: Inputs) -> list[Table]:
    paths = {name: inputs.folder.table(name) for name in TABLES}
    return [
        Table(
            name=path.name,
            content=TABLES[name],
            link="data:text/csv;charset=utf-8," + quote(path.read_text(encoding="utf-8"), SAFE),
        )
        for name, path in paths.items()
        if path.exists()
    ]


def _distinct(values: Iterable[str]) -> list[str]:
    """Return each value once, in order of appearance."""
    return list(dict.fromkeys(values))


def _datasets(inputs: Inputs) -> list[str]:
    return _distinct(benchmark.dataset for benchmark in inputs.study.benchmarks)


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
