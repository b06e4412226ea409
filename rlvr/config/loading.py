"""Read configuration files; messages name file, line, key, value and the fix."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rlvr.config import documents
from rlvr.config.documents import Place
from rlvr.config.known import nearest_file
from rlvr.config.messages import describe
from rlvr.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def load_yaml(path: Path, model: type[Model]) -> Model:
    """Read ``path`` as ``model``.

    Raises:
        UserError: the file is missing, is not YAML, gives a key twice, or does not fit the model; one line
            per error with file, line, key, value, the allowed values and the nearest known key.
    """
    data, place = read_yaml(path)
    return parse(model, data, place)


def read_yaml(path: Path) -> tuple[Any, Place]:
    """Return the content of a YAML file and its place.

    Raises:
        UserError: the file is missing, or see :func:`rlvr.config.documents.read_yaml`.
    """
    try:
        return documents.read_yaml(path)
    except FileNotFoundError:
        raise UserError(f"{path}: file not found{nearest_file(path)}") from None


def parse(model: type[Model], data: Any, place: Place | str) -> Model:
    """Validate ``data`` as ``model``; ``place`` says in messages where it is from.

    Raises:
        UserError: see :func:`load_yaml`.
    """
    place = Place(place) if isinstance(place, str) else place
    try:
        return model.model_validate(data)
    except ValidationError as error:
        messages = [describe(one, model, data, place) for one in error.errors()]
        raise UserError("\n".join(messages)) from None
