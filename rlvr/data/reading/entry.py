"""Read the rows of a catalogue entry, and map its columns to those of prepared files."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rlvr.config.catalogue import (
    ArithmeticData,
    CountdownData,
    DataEntry,
    HubData,
    LocalCopy,
    LocalData,
    Rows,
    data_files,
)
from rlvr.data import arithmetic, countdown
from rlvr.data.checks import Finding, Row
from rlvr.data.reading.columns import map_columns, wanted_paths
from rlvr.data.reading.containers import read_file
from rlvr.data.reading.folders import read_folder, read_hub
from rlvr.data.reading.text import Numbered
from rlvr.errors import UserError
from rlvr.files import content_hash, sha256_of


class Reading(NamedTuple):
    """What was read, before any check."""

    name: str
    """The file or repository, for messages and the column `origin`."""
    origin: dict[str, Any]
    """What identifies the data that was read."""
    rows: list[Row]
    findings: list[Finding]
    """Rows that lack a field."""
    answer_column: str = "answer"
    """Where the golds were read."""


def read_entry(entry: DataEntry) -> Reading:
    """Return the rows of a data set.

    Raises:
        UserError: the data is missing or damaged, or lacks a column.
    """
    if isinstance(entry, ArithmeticData):
        return _generated("arithmetic", arithmetic.problems_of(entry))
    if isinstance(entry, CountdownData):
        return _generated("countdown", countdown.generate(**entry.model_dump(exclude={"source"})))
    local = entry if isinstance(entry, LocalData) else _existing(entry.local)
    if local is not None:
        path = Path(local.path)
        name, columns, records = path.name, local.columns, _read_path(path, local)
        key = "columns" if isinstance(entry, LocalData) else "local.columns"
        origin = _origin(path, local.path)
    else:
        assert isinstance(entry, HubData)
        name, columns, key = f"{entry.repo}@{entry.revision[:7]}", entry.columns, "columns"
        records = read_hub(entry, wanted_paths(columns))
        origin = {"kind": "hub", "repo": entry.repo, "revision": entry.revision}
    published = entry.columns if key == "local.columns" else None
    mapped = map_columns(_slice(records, entry.rows, name), columns, name, key, published)
    return Reading(name, origin, mapped.rows, mapped.findings, columns.answer)


def _generated(name: str, problems: Sequence[arithmetic.Problem] | Sequence[countdown.Problem]) -> Reading:
    rows = [Row(line=line, **problem) for line, problem in enumerate(problems, start=1)]
    return Reading(name, {"kind": "generated"}, rows, [])


def _existing(copy: LocalCopy | None) -> LocalCopy | None:
    return copy if copy is not None and Path(copy.path).exists() else None


def _read_path(path: Path, local: LocalData | LocalCopy) -> Iterable[Numbered]:
    wanted = wanted_paths(local.columns)
    if path.is_dir():
        return read_folder(path, local.split, wanted)
    if local.split is not None:
        raise UserError(f"{path}: a file has no splits; remove `split: {local.split}` in datasets.yaml")
    return read_file(path, wanted)


def _origin(path: Path, shown: str) -> dict[str, str]:
    """Return what identifies a file, or a folder by the names and hashes of its files."""
    if not path.is_dir():
        return {"kind": "file", "path": shown, "sha256": sha256_of(path)}
    hashes = {file.relative_to(path).as_posix(): sha256_of(file) for file in data_files(path)}
    return {"kind": "folder", "path": shown, "sha256": content_hash(hashes)}


def _slice(records: Iterable[Numbered], rows: Rows | None, name: str) -> Iterator[Numbered]:
    if rows is None:
        yield from records
        return
    count = 0
    for count, record in enumerate(records, start=1):
        if count > rows.skip:
            yield record
        if count == rows.skip + rows.take:
            return
    raise UserError(
        f"{name}: rows: skip {rows.skip} and take {rows.take}, but there are {count} rows; "
        "lower them in datasets.yaml"
    )
