"""Find a field of a row by its column or dotted path, and the nearest one where it is missing."""

import difflib
import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from rlvr.data.json_text import container_in
from rlvr.data.reading.text import Record

ABSENT = object()
"""What `field` returns where a row has no such field; a null is `None`."""

_DEPTH = 4
_SHOWN = 100
_SYNONYMS = {
    "problem": "problem question prompt query instruction problem_statement messages input text",
    "answer": "answer final_answer ground_truth expected_answer gold gt target label solution",
    "id": "id unique_id uuid problem_idx index idx",
    "alternates": "alternates alternate_answers answers",
    "solution": "solution rationale explanation response answer",
    "numbers": "nums numbers",
    "target": "target goal",
}
"""Key of `columns` -> names that public data sets give such a column, the usual ones first."""


class UnusableError(Exception):
    """A field of a row cannot be used; the message gives the reason, ``kind`` the setting of `Checks`."""

    def __init__(self, message: str, kind: str = "missing_field") -> None:
        super().__init__(message)
        self.kind = kind


def field(record: Record, path: str) -> Any:
    """Return the field at a dotted path, `ABSENT` if there is none; a path also leads into JSON text."""
    if isinstance(record, dict) and path in record:
        return record[path]
    value: Any = record
    for part in path.split("."):
        if isinstance(value, str):
            value = container_in(value)
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return ABSENT
    return value


def as_text(value: Any, name: str) -> str:
    """Return a field as text; whole numbers stored as floats or decimals have no decimal point.

    Some writers of Parquet mark text as binary.

    Raises:
        UnusableError: it is missing, or neither text nor a number.
    """
    if value is None or value is ABSENT or (isinstance(value, float) and math.isnan(value)):
        raise UnusableError(f"{name!r} is missing")
    if isinstance(value, dict):
        keys = [str(key) for key in value]
        raise UnusableError(
            f"{name!r} is an object with the keys {keys}; name one of them, such as {name}.{keys[0]}"
        )
    if isinstance(value, bytes):
        value = _decoded(value, name)
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise UnusableError(f"{name!r} is a {type(value).__name__}, neither text nor a number")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    elif isinstance(value, Decimal):
        whole = value.to_integral_value()
        value = f"{whole if value == whole else value:f}"  # `str` writes 1E-7
    text = str(value)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise UnusableError(f"{name!r} contains a lone surrogate (half a character)")
    return text


def _decoded(value: bytes, name: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise UnusableError(f"{name!r} is bytes, but not UTF-8 text") from None


def as_list(value: Any, name: str) -> list[Any]:
    """Return a field that is a list, or the text of one.

    Raises:
        UnusableError: it is neither.
    """
    if value is ABSENT:
        raise UnusableError(f"{name!r} is missing")
    found = container_in(value) if isinstance(value, str) else value
    if not isinstance(found, list):
        raise UnusableError(f"{name!r} is {shown(value)}, not a list")
    return found


def shown(value: Any) -> str:
    """Return a value as a message shows it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 2]}.."


def paths_of(record: Record) -> list[str]:
    """Return the dotted paths of all fields of a row."""
    return list(dict.fromkeys(_paths(record, "", _DEPTH)))


def nearest(name: str, key: str, paths: Iterable[str]) -> str | None:
    """Return the path probably meant by ``name``, as the key ``key`` of `columns`; None if none is near."""
    last_parts: dict[str, str] = {}
    for path in paths:
        last_parts.setdefault(path.rpartition(".")[2].casefold(), path)
    wanted = name.rpartition(".")[2].casefold()
    close = difflib.get_close_matches(wanted, last_parts, 1, 0.8)
    known = [synonym for synonym in _SYNONYMS[key].split() if synonym in last_parts]
    found = [*close, *known, *difflib.get_close_matches(wanted, last_parts, 1)]
    return last_parts[found[0]] if found else None


def _paths(value: Any, prefix: str, depth: int) -> Iterator[str]:
    opened = container_in(value) if isinstance(value, str) else value
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(opened, dict):
        items = opened.items()
    elif (
        isinstance(opened, list)
        and any(isinstance(part, dict) for part in opened[:2])
        and not (
            prefix
            and any("role" in part or "from" in part for part in opened[:2])  # a chat is read as a whole
        )
    ):
        items = enumerate(opened[:2])
    if prefix:
        yield prefix
    if depth:
        for key, part in items:
            yield from _paths(part, f"{prefix}.{key}" if prefix else str(key), depth - 1)
