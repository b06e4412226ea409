"""Read the rows of a source, whatever it is, and map its columns to ours."""

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
"""A row as its source has it."""

_PART = re.compile(r"(?P<name>.+)-\d{5}-of-(?P<of>\d{5})\.\w+")

_MEND = "fetch a torn file again; a file is Parquet (NAME.parquet) or JSONL: UTF-8, a JSON object a line"


class Reading(NamedTuple):
    """What was read, before any check."""

    name: str
    """The file or repository, for messages and the column `source`."""
    origin: dict[str, Any]
    """What identifies the bytes that were read."""
    rows: list[Row]
    findings: list[Finding]
    """Rows that could not be mapped: a field is missing."""


class _Unusable(Exception):
    """A field of a row holds nothing that can be used; the message says why."""


def read_source(source: DataEntry) -> Reading:
    """Return the rows of a source.

    Raises:
        UserError: the source is missing, damaged, or lacks a column.
    """
    if isinstance(source, ArithmeticData):
        problems = generate(**source.model_dump(exclude={"source"}))
        rows = [Row(line=line, **problem) for line, problem in enumerate(problems, start=1)]
        return Reading("arithmetic", {"kind": "generated"}, rows, [])
    file = source if isinstance(source, LocalData) else _existing(source.local)
    if file is not None:
        path = Path(file.path)
        name, columns, records = path.name, file.columns, _read_file(path)
        origin = {"kind": "file", "path": file.path, "sha256": sha256_of(path)}
    else:
        assert isinstance(source, HubData)
        name, columns, records = f"{source.repo}@{source.revision[:7]}", source.columns, _read_hub(source)
        origin = {"kind": "hub", "repo": source.repo, "revision": source.revision}
    rows, findings = _map_columns(_slice(records, source.rows, name), columns, name)
    return Reading(name, origin, rows, findings)


def _existing(copy: LocalCopy | None) -> LocalCopy | None:
    return copy if copy is not None and Path(copy.path).exists() else None


def _read_file(path: Path) -> list[tuple[int, Record]]:
    """Return ``(line, record)`` for every line of a JSONL file or every row of a Parquet file, from 1."""
    if not path.exists():
        raise UserError(f"{path}: file not found; put it there or correct its path in datasets.yaml")
    if path.suffix != ".parquet":
        return _read_jsonl(path)
    try:
        return list(enumerate(parquet.read_table(path).to_pylist(), start=1))
    except (OSError, ValueError) as error:  # what pyarrow raises for damaged files
        raise UserError(f"{path}: not a readable Parquet file ({error}); fetch it again") from None


def _read_jsonl(path: Path) -> list[tuple[int, Record]]:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")  # with or without a byte order mark
    except UnicodeDecodeError as error:
        damaged = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {damaged}: not UTF-8 ({error.reason}); {_MEND}") from None
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
            raise UserError(f"{path}, line {number}: not JSON ({error}); {_MEND}") from None
        if not isinstance(record, dict):
            kind = type(record).__name__
            raise UserError(f"{path}, line {number}: {kind} instead of a JSON object; {_MEND}")
        records.append((number, record))
    return records


def _read_hub(source: HubData) -> list[tuple[int, Record]]:
    """Fetch the snapshot of the pinned revision, or find it in the cache, and read it as a local data set.

    `datasets` by itself would take any cached version where there is no network.
    """
    from datasets import load_dataset
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(source.repo, repo_type="dataset", revision=source.revision)
        _require_all_parts(Path(folder))
        data = load_dataset(folder, source.config, split=source.split)
    except Exception as error:  # the libraries raise many kinds; all mean that the data cannot be had
        copy = source.local or LocalCopy(path="FILE.jsonl")
        columns = ", ".join(_wanted(copy.columns))
        part = f"split {source.split!r}" + (f" of configuration {source.config!r}" if source.config else "")
        raise UserError(
            f"data set {source.repo} at {source.revision} cannot be loaded: {error}\n"
            f"Without network, put its {part} at {copy.path}, a JSONL or Parquet file with the columns "
            f"{columns} (setting `local` of the data set in datasets.yaml). Or load it once with network: "
            "the cache of the Hugging Face libraries keeps it, also for HF_HUB_OFFLINE=1."
        ) from error
    return list(enumerate(data.to_list(), start=1))


def _require_all_parts(folder: Path) -> None:
    """Refuse half a download: `datasets` would read the parts `…-00000-of-00002` that are there, and no more.

    Raises:
        ValueError: a part of a file is missing; the message names folder and file.
    """
    parts = [(match, path) for path in sorted(folder.rglob("*")) if (match := _PART.fullmatch(path.name))]
    there = Counter((path.parent, match["name"], int(match["of"])) for match, path in parts)
    for (place, name, wanted), found in there.items():
        if found < wanted:
            raise ValueError(f"only {found} of {wanted} parts of {name!r} are in {place}; download it again")


def _slice(records: list[tuple[int, Record]], rows: Rows | None, name: str) -> list[tuple[int, Record]]:
    if rows is None:
        return records
    chosen = records[rows.skip : rows.skip + rows.take]
    if len(chosen) < rows.take:
        raise UserError(
            f"{name}: rows: skip {rows.skip} and take {rows.take}, but there are {len(records)} rows"
        )
    return chosen


def _map_columns(
    records: Sequence[tuple[int, Record]], columns: Columns, name: str
) -> tuple[list[Row], list[Finding]]:
    known: dict[str, None] = {}
    for _, record in records:
        known |= dict.fromkeys(record)
    absent = [column for column in _wanted(columns) if column not in known]
    if absent and records:
        raise UserError(f"{name}: no column {absent[0]!r}; the data has {list(known)}")
    rows, findings = [], []
    for line, record in records:
        made_id = f"{Path(name).stem}-{line}"
        try:
            rows.append(_row(line, record, columns, made_id, f"{name}#{line}"))
        except _Unusable as why:
            shown = record.get(columns.id, "") if columns.id else made_id
            findings.append(Finding("missing_field", line, str(shown), str(why)))
    return rows, findings


def _row(line: int, record: Record, columns: Columns, made_id: str, source: str) -> Row:
    name = _text(record, columns.id) if columns.id else made_id
    if not name.strip():
        raise _Unusable(f"{columns.id!r} is blank")
    return Row(
        line=line,
        id=name,
        problem=_text(record, columns.problem),
        answer=_answer(record, columns).strip(),
        source=source,
        alternates=_alternates(record, columns.alternates),
    )


def _alternates(record: Record, column: str | None) -> tuple[str, ...]:
    values = record.get(column) if column else None
    if values is None:
        return ()
    if not isinstance(values, list):
        raise _Unusable(f"{column!r} is not a list of answers but {values!r}")
    alternates = tuple(_text({str(column): value}, str(column)).strip() for value in values)
    if not all(alternates):
        raise _Unusable(f"{column!r} holds a blank answer")
    return alternates


def _answer(record: Record, columns: Columns) -> str:
    if columns.answer_form == "list":
        values = record.get(columns.answer)
        if not isinstance(values, list) or len(values) != 1:
            raise _Unusable(f"{columns.answer!r} is not a list of one answer but {values!r}")
        return _text({columns.answer: values[0]}, columns.answer)
    text = _text(record, columns.answer)
    if columns.answer_form == "after-hashes":
        _, hashes, text = text.rpartition("####")
        if not hashes:
            raise _Unusable(f"{columns.answer!r} has no ####, after which the answer would stand")
    return text


def _text(record: Record, column: str) -> str:
    """Return a field as text; whole numbers that a table stored as floats are written without point."""
    value = record.get(column)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise _Unusable(f"{column!r} is missing")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _Unusable(f"{column!r} is a {type(value).__name__}, neither text nor a number")
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise _Unusable(f"{column!r} holds half a character (a lone surrogate)")
    return text


def _wanted(columns: Columns) -> Iterable[str]:
    return filter(None, (columns.id, columns.problem, columns.answer, columns.alternates))
