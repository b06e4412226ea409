"""Errors in a configuration in words: file, line, key, value, and what would work."""

import re
from typing import Any

from pydantic import BaseModel

from rlvr.config.annotations import fields_at, meaning_of
from rlvr.config.documents import Place
from rlvr.config.known import MOST_LISTED, listed, nearest
from rlvr.config.patterns import NAME, WORDS

_LONGEST_VALUE = 100
_MAPPING = "must be a mapping of keys to values"
_SHAPES = {
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": "must be a mapping of names to values",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "string_type": "must be text",
    "invalid_key": "a key must be text; put it in quotes",
}
"""Type of an error -> its message, where the library speaks of Python's types."""
_RANGES = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "too_short", "too_long"}
"""Types of errors whose message ends in the meaning of the key."""


def describe(error: Any, model: type[BaseModel], data: Any, place: Place) -> str:
    """Return the message about one error that pydantic found in ``data``."""
    keys = _keys_in_data(error["loc"], data, error["type"] == "missing")
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error" and (named := re.match(r"[a-z_]\w*(\.\w+)*(?=: )", message)):
        keys += named.group().split(".")
        message = message[named.end() + 2 :]
    key = ".".join(str(part) for part in keys)
    where = place.file_and_line(*keys, *_first_word(error, message))
    shown = ": ".join(filter(None, [where, place.label, key or ("" if place.label else "(top level)")]))
    if error["type"] == "extra_forbidden":
        known = fields_at(model, error["loc"][:-1])
        word = str(keys[-1]) if keys else key
        allowed = f" ({listed(word, known, 'known keys')})" if known else ""
        return f"{shown}: unknown key{nearest(word, known)}{allowed}"
    if error["type"] == "missing":
        position = error["loc"][-1]
        return f"{shown}: this {'value' if isinstance(position, int) else 'key'} is required"
    return f"{shown}: {_words(error, message)}{_value(error['input'])}{_hint(error, model)}"


def _first_word(error: Any, message: str) -> list[str]:
    """Return the key with which a message about a whole block begins, for its line."""
    named = re.match(r"[a-z_]\w*(\.\w+)*(?= )", message) if error["type"] == "value_error" else None
    return named.group().split(".") if named else []


def _words(error: Any, message: str) -> str:
    if error["type"] == "string_pattern_mismatch":
        return WORDS.get(error["ctx"]["pattern"], message)
    return _SHAPES.get(error["type"], message.replace("Tuple", "The list"))


def _value(value: Any) -> str:
    """Return the value in short; nothing for lists and mappings, whose lines are in the file."""
    if isinstance(value, dict | list):
        return ""
    if value is None:
        return " (there is no value)"
    text = repr(value)
    short = text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
    return f" (the value is {short})"


def _hint(error: Any, model: type[BaseModel]) -> str:
    kind, value = error["type"], error["input"]
    if kind == "literal_error" and isinstance(value, str):
        return nearest(value, re.findall("'([^']+)'", error["ctx"]["expected"]))
    if kind == "string_pattern_mismatch" and error["ctx"]["pattern"] == NAME:
        near = re.sub("[^a-z0-9._+-]+", "-", str(value).lower()).lstrip("._+-")
        return f"; did you mean {near!r}?" if near else ""
    if _SHAPES.get(kind) == _MAPPING:
        known = fields_at(model, error["loc"])
        return f"; the keys are {', '.join(sorted(known))}" if 0 < len(known) <= MOST_LISTED else ""
    if kind in ("int_type", "float_type") and isinstance(value, list):
        return "; for several values add a setting for each (`settings`)"
    meaning = meaning_of(model, error["loc"]) if kind in _RANGES else ""
    return f"; {' '.join(meaning.split())}" if meaning else ""


def _keys_in_data(loc: tuple[int | str, ...], data: Any, missing: bool) -> list[int | str]:
    """Drop from a pydantic location what is no key of the data: tags of unions and of dict keys.

    Where a key is ``missing``, the last one is not in the data and yet meant.
    """
    keys: list[int | str] = []
    for position, part in enumerate(loc):
        meant = missing and position == len(loc) - 1
        if isinstance(data, dict) and (part in data or meant):
            keys.append(part)
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            keys.append(part)
            data = data[part] if part < len(data) else None
    return keys
