"""Presets of methods, and how a study chooses among them."""

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, PositiveFloat, Tag, model_validator

from rlvr.config.values import Name, Settings

Fault = Literal["bf16_magnitude", "in_place_merge", "pissa_reload", "milora_reload"]
"""A fault of the authors' released code that no setting expresses (`rlvr/methods/faults.py`)."""


SAMPLED_POLICY = {"sync", "rollout_dtype", "rollout_compute_dtype", "rounding"}
"""Keys of `training` that decide what of a trained policy the engine serves."""


class Preset(Settings):
    """One way to run a method."""

    model_config = ConfigDict(allow_inf_nan=False)

    parameters: dict[str, Any] = {}
    """Settings of the method."""
    learning_rate_factor: PositiveFloat = 1.0
    """Learning rate of this method as a multiple of the study's, which is LoRA's. Published, or computed from
    the size of its steps, as `reason` says; what is found on the task of a study belongs into the study."""
    training: dict[str, Any] = {}
    """Keys of the study's `training` to replace; `settings` of the study take precedence."""
    trains_as: Name | None = None
    """Method that is trained under this name; only in `released`, whose code trained other methods."""
    faults: tuple[Fault, ...] = ()
    """Faults of the released code to reproduce; only in `released`."""
    reason: str = ""
    """Why a value differs from the preset `paper`, with its source."""

    @model_validator(mode="after")
    def _leaves_the_sync_to_the_study(self) -> "Preset":
        if shared := sorted(SAMPLED_POLICY & self.training.keys()):
            raise ValueError(f"training.{shared[0]} is a setting of the study: all of its methods share it")
        return self


class MethodFile(Settings):
    """`config/methods/<method>.yaml`: the presets of one method."""

    presets: dict[Literal["paper", "released", "recommended"], Preset] = Field(min_length=1)
    """`paper`: the paper's text; `released`: its released code; `recommended`: the method's own authors."""

    @model_validator(mode="after")
    def _only_released_has_faults(self) -> "MethodFile":
        for name, preset in self.presets.items():
            if name != "released" and (preset.trains_as or preset.faults):
                raise ValueError(f"presets.{name}: only the preset `released` may have trains_as or faults")
        return self


class MethodChoice(Settings):
    """One method of a study, or a named set of methods."""

    model_config = ConfigDict(allow_inf_nan=False)

    method: Name | None = None
    """Method to train; `rlvr methods` lists them."""
    set: Name | None = None
    """Set of methods in `method_sets.yaml`, instead of `method`."""
    preset: Literal["paper", "released", "recommended"] = "recommended"
    """Preset to run."""
    parameters: dict[str, Any] = {}
    """Method settings that replace the preset's, such as a rank that fits a tiny model; not with `set`."""
    learning_rate_factor: PositiveFloat | None = None
    """Replaces the preset's, for a factor that was found on this study's own task; not with `set`."""
    faults: tuple[Fault, ...] | None = None
    """Those of the preset's faults to reproduce, to measure them one by one; `null`: all of them."""

    @model_validator(mode="after")
    def _names_a_method_or_a_set(self) -> "MethodChoice":
        if (self.method is None) == (self.set is None):
            raise ValueError("give either `method` or `set`")
        own = [key for key in ("parameters", "learning_rate_factor", "faults") if getattr(self, key)]
        if self.set and own:
            raise ValueError(f"`{own[0]}` needs `method`; the methods of a set differ in their settings")
        if repeated := [fault for fault, count in Counter(self.faults or ()).items() if count > 1]:
            raise ValueError(f"faults: {repeated[0]} is listed twice")
        return self


MethodChoices = Annotated[
    Annotated[list[MethodChoice], Field(min_length=1), Tag("list")] | Annotated[MethodChoice, Tag("single")],
    Discriminator(lambda choice: "list" if isinstance(choice, list) else "single"),
]
"""A list of methods and sets, or a single one."""
