"""Read and write the files of a study, every name and type checked."""

import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rlvr.artifacts.metrics import TRAIN_LOG
from rlvr.artifacts.tables import Row
from rlvr.config.loading import parse
from rlvr.config.schema import Settings
from rlvr.errors import UserError
from rlvr.files import read_csv, read_json, read_parquet, write_csv, write_json, write_parquet

if TYPE_CHECKING:
    import pandas as pd

Record = TypeVar("Record", bound=Settings)

_VERSION = "format_version"
_REBUILD = "delete the file to rebuild it"


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read a JSON record.

    Raises:
        UserError: the file is missing or damaged, or a field is missing, unknown or of another type.
    """
    try:
        return parse(kind, read_json(path), str(path))
    except UserError as error:
        raise UserError(f"{error}; {_REBUILD}" if path.exists() else str(error)) from None


def write_record(path: Path, record: Settings) -> None:
    """Write a JSON record."""
    write_json(path, record.model_dump(mode="json"))


def read_rows(path: Path, kind: type[Row]) -> "pd.DataFrame":
    """Read a table, Parquet or CSV by its suffix; further columns are left out.

    Unknown floats are NaN, absent texts None.

    Raises:
        UserError: the file is missing, damaged, of another format version, or a column is missing or of
            another type; the message names file and column.
    """
    if path.suffix == ".csv":
        return _typed(path, kind, read_csv(path, kind.columns())[kind.columns()])
    frame = read_parquet(path, kind.columns())
    version = frame.attrs.get(_VERSION, 1)
    if version != kind.format_version:
        raise UserError(
            f"{path}: format version {version}, this version of rlvr reads {kind.format_version}; {_REBUILD}"
        )
    frame = frame[kind.columns()]
    frame.attrs = {}
    _check_types(path, kind, frame)
    return frame


def write_rows(path: Path, kind: type[Row], rows: "Iterable[dict[str, Any]] | pd.DataFrame") -> None:
    """Write a table, Parquet or CSV by its suffix; in CSV unknown floats are empty cells of ten digits.

    Raises:
        ValueError: the rows do not have exactly the columns of ``kind``.
    """
    import pandas as pd

    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    if frame.empty:
        frame = pd.DataFrame(columns=kind.columns())
    if odd := set(frame.columns) ^ set(kind.columns()):
        raise ValueError(f"{path}: {kind.__name__} has other columns than the rows: {sorted(odd)}")
    frame = frame[kind.columns()]
    if path.suffix == ".csv":
        write_csv(path, frame)
    else:
        frame.attrs = {_VERSION: kind.format_version}
        write_parquet(path, frame)


def read_train_log(path: Path) -> "pd.DataFrame":
    """Read a training log in the order of its steps.

    Raises:
        UserError: the file is missing or damaged, or lacks a column of :data:`TRAIN_LOG`.
    """
    return read_parquet(path, list(TRAIN_LOG)).sort_values("step")


def write_train_log(path: Path, rows: list[dict[str, float]]) -> None:
    """Write a training log.

    Raises:
        ValueError: a column is neither documented nor a method's own.
    """
    import pandas as pd

    frame = pd.DataFrame(rows)
    own = {name for name in frame.columns if name.startswith("method/")}
    if odd := (set(frame.columns) - own) ^ TRAIN_LOG.keys():
        raise ValueError(f"{path}: the training log has other columns than documented: {sorted(odd)}")
    write_parquet(path, frame)


def _check_types(path: Path, kind: type[Row], frame: "pd.DataFrame") -> None:
    from pandas.api import types as dtypes

    checks = {
        str: lambda column: dtypes.infer_dtype(column, skipna=True) in ("string", "empty"),
        bool: dtypes.is_bool_dtype,
        int: dtypes.is_integer_dtype,
        float: dtypes.is_numeric_dtype,
    }
    for name, field in kind.model_fields.items():
        plain, optional = _plain_type(field.annotation)
        column = frame[name]
        if len(column) and not checks[plain](column):
            raise UserError(f"{path}: column {name!r} is not {plain.__name__} but {column.dtype}; {_REBUILD}")
        if plain is not float and not optional and column.isna().any():
            row = int(column.isna().to_numpy().argmax())
            raise UserError(f"{path}, row {row}: column {name!r} is empty; {_REBUILD}")


def _typed(path: Path, kind: type[Row], frame: "pd.DataFrame") -> "pd.DataFrame":
    """Convert the texts of a CSV file to the types of the columns."""
    import pandas as pd

    for name, field in kind.model_fields.items():
        plain, _ = _plain_type(field.annotation)
        text = frame[name]
        if plain is str:
            continue
        if plain is bool:
            converted: pd.Series = text.str.lower().map({"true": True, "false": False})
            wrong = converted.isna()
        else:
            converted = pd.to_numeric(text.replace("", "nan"), errors="coerce").astype(float)
            known_unknown = text.str.lower().isin(["", "nan"]) & (plain is float)
            wrong = (converted.isna() & ~known_unknown) | ((plain is int) & (converted % 1 != 0))
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            what = {"int": "a whole number", "float": "a number", "bool": "true or false"}[plain.__name__]
            raise UserError(f"{path}, line {row + 2}: {name} is {text.iloc[row]!r}, not {what}; {_REBUILD}")
        frame[name] = converted.astype(plain)
    return frame


def _plain_type(annotation: Any) -> tuple[type, bool]:
    """Return the type of a column's values and whether they may be absent."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        (some,) = (option for option in typing.get_args(annotation) if option is not type(None))
        return _plain_type(some)[0], True
    return (str if typing.get_origin(annotation) is Literal else annotation), False
