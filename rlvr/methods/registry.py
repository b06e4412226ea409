"""Every method under its name; a new file in `catalogue/` is found by itself."""

import importlib
import pkgutil
from functools import cache
from typing import Any, TypeVar

from rlvr.config.loading import parse, unknown_name
from rlvr.config.resolved import BASE
from rlvr.config.schema import Settings
from rlvr.methods import catalogue
from rlvr.methods.base.spec import MethodSpec

_SPECS: dict[str, MethodSpec] = {}

Spec = TypeVar("Spec", bound=type[MethodSpec])


def register(spec: Spec) -> Spec:
    """Class decorator: enter a method under its name.

    Raises:
        ValueError: the name is taken, or is ``base``, which stands for the untrained model.
    """
    if spec.name in _SPECS or spec.name == BASE:
        raise ValueError(f"method name {spec.name!r} is taken")
    _SPECS[spec.name] = spec()
    return spec


@cache
def methods() -> dict[str, MethodSpec]:
    """Return all methods, sorted by name."""
    for module in pkgutil.iter_modules(catalogue.__path__, f"{catalogue.__name__}."):
        importlib.import_module(module.name)
    return dict(sorted(_SPECS.items()))


def get_method(name: str, source: str = "method") -> MethodSpec:
    """Return a method by name.

    Raises:
        UserError: no such method; the message names the nearest.
    """
    known = methods()
    if name not in known:
        raise unknown_name(source, "method", name, known.keys())
    return known[name]


def method_parameters(name: str, values: dict[str, Any], source: str) -> Settings:
    """Check a method's settings and fill in its defaults.

    Raises:
        UserError: an unknown key or a wrong value; ``source`` names the file in the message.
    """
    return parse(get_method(name, source).Parameters, values, f"{source}: parameters of {name}")
