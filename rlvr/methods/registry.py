"""Every method under its name; a new file in `catalogue/` is found automatically."""

import importlib
import pkgutil
from functools import cache
from typing import Any, TypeVar

from rlvr.config.documents import Place
from rlvr.config.known import unknown_name
from rlvr.config.loading import parse
from rlvr.config.resolved import BASE
from rlvr.methods import catalogue
from rlvr.methods.base.spec import Method

_CLASSES: dict[str, type[Method]] = {}

MethodClass = TypeVar("MethodClass", bound=type[Method])


def register(method: MethodClass) -> MethodClass:
    """Class decorator: enter a method under its name.

    Raises:
        ValueError: the name is taken, or is ``base``, which means the untrained model.
    """
    if method.name in _CLASSES or method.name == BASE:
        raise ValueError(f"method name {method.name!r} is taken")
    _CLASSES[method.name] = method
    return method


@cache
def methods() -> dict[str, type[Method]]:
    """Return the classes of all methods, sorted by name."""
    for module in pkgutil.iter_modules(catalogue.__path__, f"{catalogue.__name__}."):
        importlib.import_module(module.name)
    return dict(sorted(_CLASSES.items()))


def get_method(name: str, place: Place | str = "method") -> type[Method]:
    """Return the class of a method by name; ``place`` names in messages where the name is given.

    Raises:
        UserError: no such method; the message gives the nearest name.
    """
    if name not in _CLASSES and name in {module.name for module in pkgutil.iter_modules(catalogue.__path__)}:
        importlib.import_module(f"{catalogue.__name__}.{name}")  # alone: all of them take half a second
    if name not in _CLASSES and name not in methods():
        raise unknown_name(place, "method", name, methods().keys())
    return _CLASSES[name]


def make_method(name: str, values: dict[str, Any], place: Place | str = "method") -> Method:
    """Return a method with its settings checked and its defaults filled in.

    Raises:
        UserError: no such method, an unknown key or a wrong value; ``place`` names the file in the message.
    """
    method = get_method(name, place)
    where = Place(place) if isinstance(place, str) else place
    return method(parse(method.Parameters, values, where.at("parameters", label=f"parameters of {name}")))
