"""Faults of the authors' released code, reproduced on request so that their effect can be measured.

Most of what that code did differently is configuration, in the presets `released`: another method under the
name (``trains_as``), other targets, ranks and rates. What no setting can express is here: one class per
fault, mixed into a method in one place, :func:`trained_method`. Only presets `released` can name a fault
(:class:`rlvr.config.presets.MethodFile`, :class:`rlvr.config.resolved.TrainConfig`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rlvr.config.presets import Fault
from rlvr.config.resolved import TrainConfig
from rlvr.errors import UserError
from rlvr.methods.base.frozen_start import TRAINED
from rlvr.methods.base.spec import Method, PeftMethod
from rlvr.methods.registry import make_method

if TYPE_CHECKING:
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer
    from torch import Tensor, nn


def trained_method(config: TrainConfig) -> Method:
    """Return the method that a run trains, with the faults that its preset asks for."""
    method = make_method(config.trains_as, config.parameters, config.run)
    mixins = tuple(FAULTS[fault] for fault in config.faults)
    if not mixins:
        return method
    faulty = type(type(method).__name__, (*mixins, type(method)), {})
    return cast(Method, faulty(method.parameters))


def check_merged_export(config: TrainConfig) -> None:
    """Refuse to merge a run whose fault is in what is loaded again: merged, the policy would be without it.

    Raises:
        UserError: the run has such a fault.
    """
    for fault in config.faults:
        if issubclass(FAULTS[fault], _Reload):
            raise UserError(
                f"{config.run}: reproduces the fault {fault!r}: what was evaluated is the saved adapter, "
                "loaded again, which is another model than the trained policy that --merged would write; "
                "export it without --merged"
            )


class InPlaceMerge(PeftMethod):
    """Weights were merged into the frozen base for each sync and subtracted again, in the base's precision.

    In bfloat16 the base drifts a little with every step (TRL 0.25.1, `_move_model_to_vllm`). As there, no
    checkpoint holds the drift: a resumed run starts again from the original base.
    """

    changes_base = True

    def merged(self, layer: "nn.Module") -> "dict[str, Tensor]":
        """Merge in place, read, unmerge; rounding leaves another base."""
        import torch

        tuner = cast(Any, layer)
        with torch.no_grad():
            tuner.merge()
            weights = {name: weight.float().clone() for name, weight in self.base_weights(layer).items()}
            tuner.unmerge()
        return weights


class _Reload(PeftMethod):
    """Only A and B were saved, not what had been taken out of the base."""

    saved_settings: ClassVar[dict[str, Any]] = {}

    def export(self, model: "nn.Module", directory: Path) -> None:
        """Write the trained A and B alone with LoRA's scale."""
        from rlvr.methods.base.peft_layers import write_lora

        config = cast(Any, cast("PeftModel", model).peft_config[TRAINED])
        factors = {name: _trained_factors(layer) for name, layer in self.adapted_layers(model)}
        write_lora(factors, directory, lora_alpha=config.lora_alpha, **self.saved_settings)


class PissaReload(_Reload):
    """Loading subtracted a new randomised SVD from the base; PEFT computes another one every time."""

    saved_settings: ClassVar[dict[str, Any]] = {"init_lora_weights": "pissa_niter_4"}


class MiloraReload(_Reload):
    """A and B were loaded as plain LoRA on the original base, where the minor components then count twice."""


class Bf16Magnitude(PeftMethod):
    """DoRA's magnitudes were computed in bfloat16, since PEFT uses the base's precision (0.18 and 0.21)."""

    def start_magnitudes(self, policy: "nn.Module") -> None:
        """Set every m to the norm that PEFT computes on a bfloat16 base, whatever this base is loaded in."""
        import torch

        for _, layer in self.adapted_layers(policy):
            tuner = cast(Any, layer)
            weight = tuner.get_base_layer().weight.detach().bfloat16()
            for magnitude in tuner.lora_magnitude_vector.parameters():
                magnitude.data = torch.linalg.norm(weight, dim=1).float().to(magnitude.device)


FAULTS: dict[Fault, type] = {
    "bf16_magnitude": Bf16Magnitude,
    "in_place_merge": InPlaceMerge,
    "pissa_reload": PissaReload,
    "milora_reload": MiloraReload,
}


def _trained_factors(layer: "nn.Module") -> "tuple[Tensor, Tensor]":
    """Return the trained A and B alone, not scaled."""
    tuner = cast("LoraLayer", layer)
    down, up = cast("nn.Linear", tuner.lora_A[TRAINED]), cast("nn.Linear", tuner.lora_B[TRAINED])
    return down.weight, up.weight
