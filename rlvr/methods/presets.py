"""The presets of a method, resolved to what they really train."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rlvr.config.loading import load_yaml
from rlvr.config.presets import MethodFile, Preset
from rlvr.methods.base.shapes import ModelShape
from rlvr.methods.base.spec import Method
from rlvr.methods.registry import make_method

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

    def trainable_parameters(self, shape: ModelShape) -> int:
        """Return the closed-form count on a model of this shape."""
        return self.trained.expected_parameters(shape)

    def modules(self, shape: ModelShape) -> set[str]:
        """Return the names of the adapted modules on a model of this shape."""
        return self.trained.declared_modules(shape)


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
