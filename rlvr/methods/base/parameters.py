"""Settings that methods share: which modules they adapt, and dropout."""

from typing import Annotated

from pydantic import ConfigDict, Field

from rlvr.config.patterns import MODULE
from rlvr.config.values import Settings
from rlvr.methods.base.shapes import ALL_LINEAR, Targets

ModuleName = Annotated[str, Field(pattern=MODULE)]
"""Last part of a module's name, or more of it: `q_proj`, `self_attn.q_proj`."""


class ModuleParameters(Settings):
    """Settings of a method that adapts modules chosen by name."""

    model_config = ConfigDict(allow_inf_nan=False)

    target_modules: Targets
    """Last part of the names of the adapted modules."""


class TargetedParameters(ModuleParameters):
    """Settings of a method that adapts linear layers."""

    target_modules: Annotated[tuple[ModuleName, ...], Field(min_length=1)] = ALL_LINEAR
    """Adapted linear layers of the decoder blocks; a default is refused where a block has other matrices."""


class DropoutParameters(TargetedParameters):
    """Settings of such a method that can drop inputs of its adapter at random."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout on the adapter's input while training; the engine samples without it."""
