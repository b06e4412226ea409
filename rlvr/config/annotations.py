"""What the types of the configuration models tell of a key: its block, its meaning, its kinds of values."""

import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

Location = tuple[int | str, ...]
"""A location as pydantic gives it: keys, positions, and tags of unions."""


def fields_at(annotation: Any, loc: Location) -> set[str]:
    """Return the field names of the block that ``loc`` points to."""
    return {
        name for part in parts_at(annotation, loc) for model in _models(part) for name in model.model_fields
    }


def meaning_of(annotation: Any, loc: Location) -> str:
    """Return the description of the field that ``loc`` points to or into; nothing where it has none."""
    for end in range(len(loc), 0, -1):
        for part in parts_at(annotation, loc[: end - 1]):
            for model in _models(part):
                if loc[end - 1] in model.model_fields:
                    return model.model_fields[str(loc[end - 1])].description or ""
    return ""


def parts_at(annotation: Any, loc: Location) -> Iterator[Any]:
    """Yield the types of what ``loc`` points to; several where a union does not say which."""
    if not loc:
        yield annotation
    elif _is_model(annotation):
        field = annotation.model_fields.get(str(loc[0]))
        yield from parts_at(field.annotation if field else annotation, loc[1:])  # else: the tag of a union
    else:
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated:
            yield from parts_at(arguments[0], loc)
        elif origin in (typing.Union, types.UnionType):
            tagged = [one for one in arguments if _tag_of(one) == loc[0]]
            for one in tagged or arguments:
                yield from parts_at(one, loc)
        elif origin in (list, dict, tuple):
            yield from parts_at(arguments[-1], loc[1:])


def accepts(annotation: Any, kind: type) -> bool:
    """Tell whether a value of ``kind`` is one of those that an annotation names."""
    if annotation in (kind, Any):
        return True
    if typing.get_origin(annotation) is typing.Annotated:
        return accepts(typing.get_args(annotation)[0], kind)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(accepts(one, kind) for one in typing.get_args(annotation))
    return False


def _models(annotation: Any) -> list[type[BaseModel]]:
    if _is_model(annotation):
        return [annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _models(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return [model for one in arguments for model in _models(one)]
    return []


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _tag_of(model: Any) -> Any:
    source = getattr(model, "model_fields", {}).get("source")
    return typing.get_args(source.annotation)[0] if source else None
