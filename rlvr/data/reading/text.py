"""Rows of text files: JSON lines, JSON and CSV, with the line of each row in every message."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from rlvr.errors import UserError

Record = dict[str, Any] | list[Any]
"""A row as it was read; a list where the data has lists of parts instead of columns."""

FIX = (
    "if the file is truncated or corrupt, download it again; use Parquet (NAME.parquet) or JSONL "
    "(UTF-8, one JSON object per line), JSON (a list of objects) or CSV (NAME.csv)"
)

_DELIMITERS = (",", ";", "\t")
_DECLARED = re.compile(r"sep=(.)(?:\r\n?|\n)", re.IGNORECASE)
"""What Excel reads as the delimiter, before the header."""
_QUOTED = re.compile(r'"[^"]*"')
_LONGEST_HEADER = 2**16
_LONGEST_CELL = 2**30
_WRAPPERS = ("data", "rows", "examples", "problems", "questions", "instances", "items", "train", "test")
"""Keys under which a JSON file may hold its rows."""


class Numbered(NamedTuple):
    """A row with its position, from 1: the line of a JSONL or CSV file, else the row."""

    line: int
    record: Record


def read_text(content: bytes, name: str, is_csv: bool) -> list[Numbered]:
    """Return the rows of a text file.

    Args:
        content: the file, decompressed.
        name: the path, for messages.
        is_csv: whether the name of the file is that of a CSV file, which its content does not tell.

    Raises:
        UserError: it is not UTF-8, or a line is damaged.
    """
    try:
        text = content.decode("utf-8-sig")  # with or without a byte order mark
    except UnicodeDecodeError as error:
        damaged = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{name}, line {damaged}: not UTF-8 ({error.reason}); if it has another encoding, convert it: "
            f"iconv -f ENCODING -t UTF-8 FILE > NEW; {FIX}"
        ) from None
    return list(_csv_rows(text, name)) if is_csv else _json_rows(text, name)


def _json_rows(text: str, name: str) -> list[Numbered]:
    """Return the rows of JSON lines, or of a file that is one JSON value."""
    first, _, others = text.lstrip().partition("\n")
    if others.strip() and _is_json(first):
        return list(_json_lines(text, name))
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if not text.lstrip().startswith("["):
            return list(_json_lines(text, name))  # names the damaged line
        line = getattr(error, "lineno", 1)
        raise UserError(f"{name}, line {line}: not JSON ({error}); {FIX}") from None
    if _is_by_columns(value):
        raise UserError(
            f"{name}: looks like columns instead of rows; write a list of rows (pandas: orient='records')"
        )
    rows = _rows_of(value, name)
    for number, row in enumerate(rows, start=1):
        if not _is_row(row):
            advice = " (pandas: orient='records')" if isinstance(row, list) else ""
            raise UserError(
                f"{name}, row {number}: expected a JSON object, found {type(row).__name__}{advice}; {FIX}"
            )
    return [Numbered(number, row) for number, row in enumerate(rows, start=1)]


def _is_by_columns(value: Any) -> bool:
    """Tell whether a JSON value maps columns to cells, as pandas writes it: `{"problem": {"0": ..}, ..}`."""
    if not isinstance(value, dict) or len(value) < 2:
        return False
    columns = list(value.values())
    cells = [list(column) if isinstance(column, dict | list) else [] for column in columns]
    kinds = {type(column) for column in columns}
    if kinds == {dict}:
        return bool(cells[0]) and all(keys == cells[0] for keys in cells)
    scalars = not any(isinstance(cell, dict | list) for cell in cells[0])
    return kinds == {list} and len(cells[0]) > 1 and scalars and len({len(column) for column in cells}) == 1


def _rows_of(value: Any, name: str) -> list[Any]:
    """Return the rows of a JSON value: of a list, or of the list in `{"data": [..], ..}`; else the value."""
    if isinstance(value, dict):
        lists = [key for key in _WRAPPERS if isinstance(value.get(key), list)]
        if len(lists) > 1:
            raise UserError(f"{name}: holds several lists of rows, {lists}; write the one to read to a file")
        value = value[lists[0]] if lists else [value]
    return value if isinstance(value, list) else [value]


def _json_lines(text: str, name: str) -> Iterator[Numbered]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
            raise UserError(
                f"{name}, line {number}: not JSON ({error}); {_hint(line, number)}{FIX}"
            ) from None
        if not _is_row(record):
            kind = type(record).__name__
            raise UserError(f"{name}, line {number}: expected a JSON object, found {kind}; {FIX}")
        yield Numbered(number, record)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_row(value: Any) -> bool:
    """Tell whether a JSON value is a row: an object, or a list of objects."""
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and all(isinstance(part, dict) for part in value)
    )


def _hint(line: str, number: int) -> str:
    looks_like_csv = number == 1 and any(mark in line for mark in _DELIMITERS) and line.strip()[0] not in "{["
    return "looks like CSV, which is named NAME.csv; " if looks_like_csv else ""


def _csv_rows(text: str, name: str) -> Iterator[Numbered]:
    """Yield the rows of a CSV file, every cell as the text that it is: `1.50`, `None` and `007` stay so."""
    declared = _DECLARED.match(text)
    delimiter = declared[1] if declared else _delimiter(text)
    limit = csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    last = 0
    try:
        for cells in reader:
            line, last = last + 1, reader.line_num
            if not cells or (declared and line == 1):
                continue
            if not header:
                require_distinct(cells, name)
                header = cells
                continue
            if extra := cells[len(header) :]:
                raise UserError(
                    f"{name}, line {line}: {len(extra)} more cells than the header has columns "
                    f"({header}); put quotes around cells that contain {delimiter!r}"
                )
            yield Numbered(line, dict(zip_longest(header, cells)))
    except csv.Error as error:
        raise UserError(f"{name}, line {last + 1}: not CSV ({error}); {FIX}") from None
    finally:
        csv.field_size_limit(limit)


def _delimiter(text: str) -> str:
    """Return what separates the cells of the header, which may be quoted and hold other delimiters."""
    header = _QUOTED.sub("", text[:_LONGEST_HEADER]).lstrip("\r\n")
    return max(_DELIMITERS, key=re.split(r"[\r\n]", header)[0].count)


def require_distinct(columns: Sequence[str], name: str) -> None:
    """Refuse a table with a repeated column name: a row as a dictionary would keep only the last of them.

    Raises:
        UserError: several columns have the same name.
    """
    repeated = [column for column, count in Counter(columns).items() if column and count > 1]
    if repeated:
        raise UserError(f"{name}: several columns are named {repeated[0]!r}; rename all but one")
