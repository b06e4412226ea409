"""Read configuration files; messages name file, line, key, value and the fix."""

import difflib
import re
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from rlvr.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def load_yaml(path: Path, model: type[Model]) -> Model:
    """Read ``path`` as ``model``.

    Raises:
        UserError: the file is missing, is not YAML, or does not fit the model; one line per fault with
            file, line, key, value, the allowed values and the nearest known key.
    """
    data, node = read_yaml(path)
    return parse(model, data, str(path), node)


def read_yaml(path: Path) -> tuple[Any, yaml.Node | None]:
    """Return the content of a YAML file, and its nodes, which know their lines.

    Raises:
        UserError: the file is missing or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: file not found{_nearest_file(path)}") from None
    try:
        return yaml.safe_load(text), yaml.compose(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {error}") from None


def parse(model: type[Model], data: Any, place: str, node: yaml.Node | None = None) -> Model:
    """Validate ``data`` as ``model``; ``place`` names it in messages and ``node`` gives line numbers.

    Raises:
        UserError: see :func:`load_yaml`.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = [_describe(fault, model, data, place, node) for fault in error.errors()]
        raise UserError("\n".join(faults)) from None


def nearest(word: str, known: typing.Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the known word nearest to ``word``, or nothing."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""


def unknown_name(place: str, key: str, name: str, known: typing.Collection[str]) -> UserError:
    """Return the error for a name that is in none of the known ones."""
    return UserError(
        f"{place}: {key}: {name!r} is not known{nearest(name, known)} (known: {', '.join(sorted(known))})"
    )


def _nearest_file(path: Path) -> str:
    siblings = [other.name for other in path.parent.glob(f"*{path.suffix}")]
    listed = f" (existing files: {', '.join(sorted(siblings))})" if siblings else ""
    return nearest(path.name, siblings) + listed


def _describe(fault: Any, model: type[BaseModel], data: Any, place: str, node: yaml.Node | None) -> str:
    keys = _keys_in_data(fault["loc"], data, fault["type"] == "missing")
    key = ".".join(str(part) for part in keys) or "(top level)"
    line = _line_of(node, keys)
    where = f"{place}, line {line}" if line else place
    if fault["type"] == "extra_forbidden":
        known = _fields_at(model, fault["loc"][:-1])
        allowed = f" (known keys: {', '.join(sorted(known))})" if known else ""
        return f"{where}: {key}: unknown key{nearest(str(keys[-1]), known)}{allowed}"
    if fault["type"] == "missing":
        return f"{where}: {key}: this key is required"
    value = "" if isinstance(fault["input"], dict | list) else f" (the value is {fault['input']!r})"
    hint = ""
    if fault["type"] == "literal_error" and isinstance(fault["input"], str):
        hint = nearest(fault["input"], re.findall("'([^']+)'", fault["ctx"]["expected"]))
    return f"{where}: {key}: {fault['msg'].removeprefix('Value error, ')}{value}{hint}"


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


def _line_of(node: yaml.Node | None, keys: list[int | str]) -> int | None:
    line = node.start_mark.line + 1 if node else None
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            found = [(name, value) for name, value in node.value if name.value == str(key)]
            if not found:
                return line
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int):
            node = node.value[key]
            line = node.start_mark.line + 1
    return line


def _fields_at(annotation: Any, loc: tuple[int | str, ...]) -> set[str]:
    """Return the field names of the block that ``loc`` points into."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not loc:
            return set(annotation.model_fields)
        if loc[0] in annotation.model_fields:
            return _fields_at(annotation.model_fields[str(loc[0])].annotation, loc[1:])
        return _fields_at(annotation, loc[1:])  # the tag of a union
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _fields_at(arguments[0], loc)
    if origin in (typing.Union, types.UnionType):
        models = [a for a in arguments if a is not type(None)]
        tagged = [m for m in models if loc and _tag_of(m) == loc[0]]
        return set().union(*(_fields_at(m, loc) for m in tagged or models))
    if origin in (list, dict) and loc:
        return _fields_at(arguments[-1], loc[1:])
    return set()


def _tag_of(model: Any) -> Any:
    source = getattr(model, "model_fields", {}).get("source")
    return typing.get_args(source.annotation)[0] if source else None
