"""Read and write the files of a study; every name and type is checked."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rlvr.artifacts.checks import columns_of, fault_in, fault_in_columns, from_text
from rlvr.artifacts.metrics import TRAIN_LOG, TRAIN_LOG_VERSION
from rlvr.artifacts.records import FailedRun, RunRecord
from rlvr.artifacts.rows import Row
from rlvr.config.loading import parse
from rlvr.config.values import Settings
from rlvr.errors import UserError
from rlvr.files import (
    read_csv,
    read_json,
    read_parquet,
    read_parquet_columns,
    write_csv,
    write_json,
    write_parquet,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Record = TypeVar("Record", bound=Settings)

_VERSION = "format_version"


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read a JSON record.

    Raises:
        UserError: the file is missing or damaged, of another format version, or a field is missing, unknown
            or of another type.
    """
    with _with_fix(path):
        data = read_json(path)
        if _VERSION in kind.model_fields and isinstance(data, dict):
            _require_version(path, data.get(_VERSION, 1), kind.model_fields[_VERSION].default)
        return parse(kind, data, str(path))


def read_run(path: Path) -> RunRecord | FailedRun:
    """Read the record of a training run, one that failed included.

    Raises:
        UserError: as :func:`read_record`.
    """
    with _with_fix(path):
        data = read_json(path)
    failed = isinstance(data, dict) and "failure" in data
    return read_record(path, FailedRun) if failed else read_record(path, RunRecord)


def write_record(path: Path, record: Settings) -> None:
    """Write a JSON record."""
    write_json(path, record.model_dump(mode="json"))


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """Read a JSON list of records.

    Raises:
        UserError: the file is missing or damaged, or a field is missing, unknown or of another type.
    """
    with _with_fix(path):
        data = read_json(path)
        if not isinstance(data, list):
            raise UserError(f"{path}: not a list")
        return [parse(kind, one, str(path)) for one in data]


def write_records(path: Path, records: Iterable[Settings]) -> None:
    """Write a JSON list of records."""
    write_json(path, [record.model_dump(mode="json") for record in records])


def read_rows(path: Path, kind: type[Row], columns: list[str] | None = None) -> "pd.DataFrame":
    """Read a table, Parquet or CSV by its suffix; columns that ``kind`` does not have are left out.

    Unknown numbers are NaN, absent texts are None. Of a Parquet table, ``columns`` are those that are read.

    Raises:
        UserError: the file is missing, damaged or of another format version, a column is missing or of
            another type, or a cell is empty that must not be; the message names file and column.
    """
    if path.suffix == ".csv":
        return _read_csv(path, kind)
    frame = read_parquet(path, []) if columns is None else read_parquet(path, columns, only=True)
    with _with_fix(path):
        _require_version(path, frame.attrs.get(_VERSION, 1), kind.format_version)
        _require_columns(path, frame, columns or kind.columns())
        if fault := fault_in(kind, frame, "row {}".format):
            raise UserError(f"{path}: {fault}")
    frame.attrs = {}
    return _plain(kind, frame)


def read_attributes(path: Path) -> dict[str, Any]:
    """Return what a Parquet table says of itself, beside its rows.

    Raises:
        UserError: the file is missing or damaged.
    """
    return {str(name): value for name, value in read_parquet(path, []).attrs.items()}


def read_columns(path: Path, kind: type[Row], columns: list[str]) -> "pa.Table":
    """Read some columns of a Parquet table, several times as fast as :func:`read_rows`.

    Names, types, empty cells and format version are checked, the values of a column are not.

    Raises:
        UserError: as :func:`read_rows`.
    """
    table = read_parquet_columns(path, columns)
    with _with_fix(path):
        attributes = (table.schema.pandas_metadata or {}).get("attributes") or {}
        _require_version(path, attributes.get(_VERSION, 1), kind.format_version)
        if fault := fault_in_columns(kind, table):
            raise UserError(f"{path}: {fault}")
    return table


def write_rows(
    path: Path,
    kind: type[Row],
    rows: "Iterable[Row] | Iterable[dict[str, Any]] | pd.DataFrame",
    attributes: dict[str, str] | None = None,
) -> None:
    """Write a table, Parquet or CSV by its suffix.

    In CSV, floats have ten significant digits and an unknown one is an empty cell. ``attributes`` are what a
    Parquet table says of itself (:func:`read_attributes`).

    Raises:
        ValueError: the rows do not have exactly the columns of ``kind``, or a value is not of its column.
    """
    import pandas as pd

    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame([dict(row) for row in rows])
    if frame.empty:
        frame = pd.DataFrame({column.name: pd.Series(dtype=column.type) for column in columns_of(kind)})
    if odd := set(frame.columns) ^ set(kind.columns()):
        raise ValueError(f"{path}: {kind.__name__} has other columns than the rows: {sorted(odd)}")
    if fault := fault_in(kind, frame, "row {}".format):
        raise ValueError(f"{path}: {fault}")
    frame = _plain(kind, frame)
    if path.suffix == ".csv":
        write_csv(path, frame)
    else:
        frame.attrs = {_VERSION: kind.format_version}
        frame.attrs.update(attributes or {})
        write_parquet(path, frame)


def read_train_log(path: Path) -> "pd.DataFrame":
    """Read a training log in the order of its steps.

    Raises:
        UserError: the file is missing, damaged or of another format version, a column of
            :data:`TRAIN_LOG` is missing, or a column is not numeric.
    """
    from pandas.api.types import is_numeric_dtype

    frame = read_parquet(path, [])
    with _with_fix(path):
        _require_version(path, frame.attrs.get(_VERSION, 1), TRAIN_LOG_VERSION)
        _require_columns(path, frame, list(TRAIN_LOG))
        for name, column in frame.items():
            if not is_numeric_dtype(column):
                raise UserError(f"{path}: column {name!r} holds {column.dtype}, not numbers")
    return frame.sort_values("step", ignore_index=True)


def write_train_log(path: Path, rows: list[dict[str, float]]) -> None:
    """Write a training log; that of a run which failed in its first step has no rows.

    Raises:
        ValueError: a column is neither documented nor the method's own.
    """
    import pandas as pd

    frame = pd.DataFrame(rows) if rows else pd.DataFrame({name: pd.Series(dtype=float) for name in TRAIN_LOG})
    own = {name for name in frame.columns if name.startswith("method/")}
    if odd := (set(frame.columns) - own) ^ TRAIN_LOG.keys():
        raise ValueError(f"{path}: the training log has other columns than documented: {sorted(odd)}")
    frame.attrs = {_VERSION: TRAIN_LOG_VERSION}
    write_parquet(path, frame)


@contextmanager
def _with_fix(path: Path) -> Iterator[None]:
    """Add the fix to errors about a file that this version cannot read."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{error}; delete the file to rebuild it" if path.exists() else str(error)) from None


def _read_csv(path: Path, kind: type[Row]) -> "pd.DataFrame":
    import pandas as pd

    def line(row: int) -> str:
        return f"line {row + 2}"

    texts = read_csv(path, [])
    with _with_fix(path):
        _require_columns(path, texts, kind.columns())
        try:
            columns = {
                column.name: from_text(column, texts[column.name], line) for column in columns_of(kind)
            }
        except ValueError as error:
            raise UserError(f"{path}, {error}") from None
        frame = pd.DataFrame(columns)
        if fault := fault_in(kind, frame, line):
            raise UserError(f"{path}, {fault}")
    return _plain(kind, frame)


def _plain(kind: type[Row], frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the columns of a checked table; numbers that may be unknown are floats, absent texts None."""
    frame = frame[[name for name in kind.columns() if name in frame]].copy(deep=False)
    for column in (column for column in columns_of(kind) if column.name in frame):
        values = frame[column.name]
        if column.type is float:
            frame[column.name] = values.astype(float)
        elif column.type is str and column.optional:
            frame[column.name] = values.astype(object).where(values.notna(), None)
    return frame


def _require_version(path: Path, version: object, expected: int) -> None:
    if version != expected:
        raise UserError(f"{path}: format version {version}, but this version of rlvr reads {expected}")


def _require_columns(path: Path, frame: "pd.DataFrame", columns: list[str]) -> None:
    if missing := [column for column in columns if column not in frame.columns]:
        raise UserError(f"{path}: column {missing[0]!r} is missing (columns: {', '.join(frame.columns)})")
