"""The presets of a method, resolved to what they really train."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from rlvr.config.catalogue import Architecture
from rlvr.config.loading import load_yaml
from rlvr.config.schema import MethodFile, Preset
from rlvr.methods.base.shapes import total_parameters
from rlvr.methods.base.spec import Method
from rlvr.methods.registry import make_method

if TYPE_CHECKING:
    from transformers import PretrainedConfig

PRESETS: tuple[Literal["paper", "released", "recommended"], ...] = ("paper", "released", "recommended")
"""In the order of tables."""


@dataclass(frozen=True)
class ResolvedPreset:
    """One preset of a method with the method that it trains."""

    method: str
    name: str
    trained: Method
    """The method itself, or the one that `trains_as` names, with every setting."""
    preset: Preset
    """The preset as written in the file."""

    def trainable_parameters(self, architecture: Architecture) -> int:
        """Return the closed-form count on a model of these sizes."""
        return count_parameters(self.trained, architecture)

    def modules(self, architecture: Architecture) -> set[str]:
        """Return the names of the adapted modules on a model of these sizes."""
        return self.trained.declared_modules(_as_config(architecture))


def method_presets(config: Path, method: str) -> dict[str, ResolvedPreset]:
    """Read `config/methods/<method>.yaml`.

    Raises:
        UserError: the file is missing, or something in it is not known.
    """
    path = config / "methods" / f"{method}.yaml"
    presets = load_yaml(path, MethodFile).presets
    resolved: dict[str, ResolvedPreset] = {}
    for name in PRESETS:
        preset = presets.get(name)
        if preset is not None:
            trained = make_method(preset.trains_as or method, preset.parameters, f"{path}: presets.{name}")
            resolved[name] = ResolvedPreset(method, name, trained, preset)
    return resolved


def count_parameters(method: Method, architecture: Architecture) -> int:
    """Return how many parameters a method trains on a model of these sizes, in closed form."""
    return method.expected_parameters(_as_config(architecture))


def check_fit(method: Method, architecture: Architecture) -> None:
    """Refuse settings of a method that do not fit a model of these sizes.

    Raises:
        UserError: they do not; the message names what to change.
    """
    method.check_fit(_as_config(architecture))


def model_size(architecture: Architecture) -> int:
    """Return the number of parameters of a model of these sizes."""
    return total_parameters(_as_config(architecture))


def _as_config(architecture: Architecture) -> "PretrainedConfig":
    """Return the sizes as a Transformers configuration, whose names they share."""
    return cast("PretrainedConfig", architecture)
