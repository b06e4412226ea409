"""Read the rows of a data set, local or from the hub, and map its columns to those of prepared files."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as parquet

from rlvr.config.catalogue import ArithmeticData, Columns, DataEntry, HubData, LocalCopy, LocalData, Rows
from rlvr.data.arithmetic import generate
from rlvr.data.checks import Finding, Row
from rlvr.errors import UserError
from rlvr.files import sha256_of

Record = dict[str, Any]
"""A row as it was read."""

_PART = re.compile(r"(?P<name>.+)-\d{5}-of-(?P<of>\d{5})\.\w+")

_FIX = (
    "if the file is truncated or corrupt, download it again; "
    "use Parquet (NAME.parquet) or JSONL (UTF-8, one JSON object per line)"
)


class Numbered(NamedTuple):
    """A row with its position, from 1: the line of a JSONL file, or the row of a table."""

    line: int
    record: Record


class Mapped(NamedTuple):
    """Rows with the columns of prepared files, and rows that lack a field."""

    rows: list[Row]
    findings: list[Finding]


class Reading(NamedTuple):
    """What was read, before any check."""

    name: str
    """The file or repository, for messages and the column `origin`."""
    origin: dict[str, Any]
    """What identifies the data that was read."""
    rows: list[Row]
    findings: list[Finding]
    """Rows that lack a field."""


class _Unusable(Exception):
    """A field of a row cannot be used; the message gives the reason."""


def read_entry(entry: DataEntry) -> Reading:
    """Return the rows of a data set.

    Raises:
        UserError: the data is missing or damaged, or lacks a column.
    """
    if isinstance(entry, ArithmeticData):
        problems = generate(**entry.model_dump(exclude={"source"}))
        rows = [Row(line=line, **problem) for line, problem in enumerate(problems, start=1)]
        return Reading("arithmetic", {"kind": "generated"}, rows, [])
    file = entry if isinstance(entry, LocalData) else _existing(entry.local)
    if file is not None:
        path = Path(file.path)
        name, columns, records = path.name, file.columns, _read_file(path)
        origin = {"kind": "file", "path": file.path, "sha256": sha256_of(path)}
    else:
        assert isinstance(entry, HubData)
        name, columns, records = f"{entry.repo}@{entry.revision[:7]}", entry.columns, _read_hub(entry)
        origin = {"kind": "hub", "repo": entry.repo, "revision": entry.revision}
    mapped = _map_columns(_slice(records, entry.rows, name), columns, name)
    return Reading(name, origin, mapped.rows, mapped.findings)


def _existing(copy: LocalCopy | None) -> LocalCopy | None:
    return copy if copy is not None and Path(copy.path).exists() else None


def _read_file(path: Path) -> list[Numbered]:
    """Return the lines of a JSONL file or the rows of a Parquet file."""
    if not path.exists():
        raise UserError(f"{path}: file not found; put it there, or correct its path in datasets.yaml")
    if path.suffix != ".parquet":
        return _read_jsonl(path)
    try:
        return _numbered(parquet.read_table(path).to_pylist())
    except (OSError, ValueError) as error:  # what pyarrow raises for damaged files
        raise UserError(f"{path}: not a readable Parquet file ({error}); download it again") from None


def _numbered(records: Iterable[Record]) -> list[Numbered]:
    return [Numbered(line, record) for line, record in enumerate(records, start=1)]


def _read_jsonl(path: Path) -> list[Numbered]:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")  # with or without a byte order mark
    except UnicodeDecodeError as error:
        damaged = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {damaged}: not UTF-8 ({error.reason}); {_FIX}") from None
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
            raise UserError(f"{path}, line {number}: not JSON ({error}); {_FIX}") from None
        if not isinstance(record, dict):
            kind = type(record).__name__
            raise UserError(f"{path}, line {number}: expected a JSON object, found {kind}; {_FIX}")
        records.append(Numbered(number, record))
    return records


def _read_hub(entry: HubData) -> list[Numbered]:
    """Download the snapshot of the pinned revision, or find it in the cache, and read it as a local data set.

    Without network, `datasets` alone would accept any cached version.
    """
    from datasets import load_dataset
    from huggingface_hub import is_offline_mode, snapshot_download

    try:
        folder = snapshot_download(
            entry.repo,
            repo_type="dataset",
            revision=entry.revision,
            local_files_only=is_offline_mode(),  # huggingface_hub before 2.2 asks the network even then
        )
        _require_all_parts(Path(folder))
        data = load_dataset(folder, entry.config, split=entry.split)
    except Exception as error:  # the libraries raise many kinds; all mean that there is no data
        copy = entry.local or LocalCopy(path="FILE.jsonl")
        columns = ", ".join(_wanted(copy.columns))
        part = f"split {entry.split!r}" + (f" of configuration {entry.config!r}" if entry.config else "")
        raise UserError(
            f"data set {entry.repo} at {entry.revision} cannot be loaded: {error}\n"
            f"Without network, put its {part} at {copy.path}, a JSONL or Parquet file with the columns "
            f"{columns} (key `local` of the data set in datasets.yaml). Or load it once with network: "
            "the cache of the Hugging Face libraries keeps it, and HF_HUB_OFFLINE=1 reads it from there."
        ) from error
    return _numbered(data.to_list())


def _require_all_parts(folder: Path) -> None:
    """Refuse an incomplete download: `datasets` would read only the parts `…-00000-of-00002` that are there.

    Raises:
        ValueError: a part of a file is missing; the message names folder and file.
    """
    parts = [(match, path) for path in sorted(folder.rglob("*")) if (match := _PART.fullmatch(path.name))]
    counts = Counter((path.parent, match["name"], int(match["of"])) for match, path in parts)
    for (place, name, wanted), found in counts.items():
        if found < wanted:
            raise ValueError(f"only {found} of {wanted} parts of {name!r} are in {place}; download it again")


def _slice(records: list[Numbered], rows: Rows | None, name: str) -> list[Numbered]:
    if rows is None:
        return records
    chosen = records[rows.skip : rows.skip + rows.take]
    if len(chosen) < rows.take:
        raise UserError(
            f"{name}: rows: skip {rows.skip} and take {rows.take}, but there are {len(records)} rows; "
            "lower them in datasets.yaml"
        )
    return chosen


def _map_columns(records: Sequence[Numbered], columns: Columns, name: str) -> Mapped:
    known: dict[str, None] = {}
    for _, record in records:
        known |= dict.fromkeys(record)
    absent = [column for column in _wanted(columns) if column not in known]
    if absent and records:
        raise UserError(
            f"{name}: no column {absent[0]!r}; the data has {list(known)}; correct `columns` in datasets.yaml"
        )
    rows, findings = [], []
    for line, record in records:
        made_id = f"{Path(name).stem}-{line}"
        try:
            rows.append(_row(line, record, columns, made_id, f"{name}#{line}"))
        except _Unusable as why:
            shown = record.get(columns.id, "") if columns.id else made_id
            findings.append(Finding("missing_field", line, str(shown), str(why)))
    return Mapped(rows, findings)


def _row(line: int, record: Record, columns: Columns, made_id: str, origin: str) -> Row:
    name = _text(record, columns.id) if columns.id else made_id
    if not name.strip():
        raise _Unusable(f"{columns.id!r} is blank")
    return Row(
        line=line,
        id=name,
        problem=_text(record, columns.problem),
        answer=_answer(record, columns).strip(),
        origin=origin,
        alternates=_alternates(record, columns.alternates),
    )


def _alternates(record: Record, column: str | None) -> tuple[str, ...]:
    values = record.get(column) if column else None
    if values is None:
        return ()
    if not isinstance(values, list):
        raise _Unusable(f"{column!r} is {values!r}, not a list of answers")
    alternates = tuple(_text({str(column): value}, str(column)).strip() for value in values)
    if not all(alternates):
        raise _Unusable(f"{column!r} contains a blank answer")
    return alternates


def _answer(record: Record, columns: Columns) -> str:
    if columns.answer_form == "list":
        values = record.get(columns.answer)
        if not isinstance(values, list) or len(values) != 1:
            raise _Unusable(f"{columns.answer!r} is {values!r}, not a list of one answer")
        return _text({columns.answer: values[0]}, columns.answer)
    text = _text(record, columns.answer)
    if columns.answer_form == "after-hashes":
        _, hashes, text = text.rpartition("####")
        if not hashes:
            raise _Unusable(f"{columns.answer!r} has no #### before the answer")
    return text


def _text(record: Record, column: str) -> str:
    """Return a field as text; whole numbers stored as floats are written without a decimal point."""
    value = record.get(column)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise _Unusable(f"{column!r} is missing")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _Unusable(f"{column!r} is a {type(value).__name__}, neither text nor a number")
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise _Unusable(f"{column!r} contains a lone surrogate (half a character)")
    return text


def _wanted(columns: Columns) -> Iterable[str]:
    return filter(None, (columns.id, columns.problem, columns.answer, columns.alternates))
