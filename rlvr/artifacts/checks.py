"""Which values a column may hold."""

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from rlvr.artifacts.rows import Row

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Place = Callable[[int], str]
"""Name a row by its position: ``row 7``, ``line 9``."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its name.
        type: str, bool, int or float.
        optional: whether cells may be empty.
        values: checks a single text where only some are allowed; None where all are.
    """

    name: str
    type: type
    optional: bool
    values: TypeAdapter[Any] | None

    @property
    def noun(self) -> str:
        """What a cell holds, for messages."""
        return {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}[self.type]


@cache
def columns_of(kind: type[Row]) -> tuple[Column, ...]:
    """Return the columns of a table, in order."""
    return tuple(_column(name, field) for name, field in kind.model_fields.items())


def fault_in(kind: type[Row], frame: "pd.DataFrame", place: Place) -> str | None:
    """Return the first value of a table that its column may not hold, described; None where there is none.

    Columns are checked as a whole, so that this is fast for hundreds of thousands of rows; those that the
    table does not have are not checked.
    """
    for column in (column for column in columns_of(kind) if column.name in frame):
        if fault := _fault(column, frame[column.name], place):
            return fault
    return None


def fault_in_columns(kind: type[Row], table: "pa.Table") -> str | None:
    """Return the first column that is of another type or has empty cells, described; else None."""
    for column in (column for column in columns_of(kind) if column.name in table.column_names):
        values = table[column.name]
        if values.null_count and not column.optional:
            return f"column {column.name!r} has empty cells, not {column.noun}"
        if values.null_count < len(values) and not _is_of(column.type, values.type):
            return f"column {column.name!r} holds {values.type}, not {column.noun}"
    return None


def from_text(column: Column, texts: "pd.Series[str]", place: Place) -> "pd.Series[Any]":
    """Convert the cells of a CSV file to the type of their column; an empty one is NaN or None.

    Raises:
        ValueError: a cell is of another type.
    """
    import pandas as pd

    if column.type is str:
        return texts.where(texts != "", None)
    if column.type is bool:
        values = texts.str.lower().map({"true": True, "false": False})
    else:
        values = pd.to_numeric(texts, errors="coerce")
    empty = texts == ""
    faulty = ~empty & values.isna()
    if column.type is int:
        faulty |= ~empty & (values % 1 != 0)
    if not column.optional:
        faulty |= empty
    if faulty.any():
        row = int(faulty.to_numpy().argmax())
        cell = repr(texts.iloc[row]) if texts.iloc[row] else "empty"
        raise ValueError(f"{place(row)}: {column.name} is {cell}, not {column.noun}")
    return values.astype(float if column.type is int and empty.any() else column.type)


def _fault(column: Column, values: "pd.Series[Any]", place: Place) -> str | None:
    empty = values.isna()
    if not column.optional and empty.any():
        return f"{place(int(empty.to_numpy().argmax()))}: {column.name} is empty, not {column.noun}"
    if not (empty.all() or _holds(column.type, values)):
        return f"column {column.name!r} holds {values.dtype}, not {column.noun}"
    if column.values is not None:
        for value in values.dropna().unique():
            try:
                column.values.validate_python(value)
            except ValidationError as error:
                row = int((values == value).to_numpy().argmax())
                reason = error.errors()[0]["msg"].removeprefix("Value error, ")
                return f"{place(row)}: {column.name} is {value!r}: {reason}"
    return None


def _holds(kind: type, values: "pd.Series[Any]") -> bool:
    from pandas.api import types as dtypes

    if kind is str:
        return dtypes.infer_dtype(values, skipna=True) == "string"
    if kind is bool:
        return dtypes.is_bool_dtype(values)
    if kind is int:
        return dtypes.is_integer_dtype(values) or bool(  # an empty cell makes them floats
            values.hasnans and dtypes.is_float_dtype(values) and (values.dropna() % 1 == 0).all()
        )
    return dtypes.is_numeric_dtype(values) and not dtypes.is_bool_dtype(values)


def _is_of(kind: type, found: "pa.DataType") -> bool:
    from pyarrow import types as arrow

    if kind is str:
        return bool(arrow.is_string(found) or arrow.is_large_string(found))
    if kind is bool:
        return bool(arrow.is_boolean(found))
    return bool(arrow.is_integer(found) or (kind is float and arrow.is_floating(found)))


def _column(name: str, field: FieldInfo) -> Column:
    options = typing.get_args(field.annotation) if _is_union(field.annotation) else (field.annotation,)
    (kind,) = (option for option in options if option is not type(None))
    literal = typing.get_origin(kind) is Literal
    checked: Any = Annotated[field.annotation, field]
    values: TypeAdapter[Any] | None = TypeAdapter(checked) if literal or field.metadata else None
    return Column(name, str if literal else kind, len(options) > 1, values)


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)
