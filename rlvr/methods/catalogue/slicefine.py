"""SliceFine: a few columns of every weight are trained at a time, and the choice moves on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import PositiveInt

from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.shapes import linear_layers, total_outputs
from rlvr.methods.registry import register

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PretrainedConfig, PreTrainedModel

    from rlvr.methods.layers.slicefine import SliceLinear


class SliceFineParameters(TargetedParameters):
    """Settings of SliceFine."""

    rank: PositiveInt = 32
    """Columns of a weight that are trained at a time."""
    interval: PositiveInt = 128
    """Optimizer steps before the slice moves on to the next columns."""


@register
class SliceFine(ExportedAsLora):
    """The column sweep of SliceFine: the slice left behind keeps what it has learnt and is frozen."""

    name = "slicefine"
    category = "Other"
    citation = (
        "Kowsher et al., SliceFine: The Universal Winning-Slice Hypothesis for Pretrained Networks, "
        "arXiv 2510.08513"
    )
    formula = "W[:, t:t+r] trained, t moves by r every `interval` steps"
    small_settings: ClassVar = {"interval": 2}
    parameters: SliceFineParameters

    def wrap(self, model: "PreTrainedModel", total_steps: int) -> "nn.Module":
        """Put a layer that trains one slice in the place of every target layer."""
        from rlvr.methods.layers.slicefine import SliceLinear

        slices = -(-total_steps // self.parameters.interval)
        for name in linear_layers(model.config, self.parameters.target_modules):
            parent, _, child = name.rpartition(".")
            linear = cast("nn.Linear", model.get_submodule(name))
            layer = SliceLinear(linear, self.parameters.rank, self.parameters.interval, slices)
            setattr(model.get_submodule(parent), child, layer)
        return model

    def declared_modules(self, model_config: "PretrainedConfig") -> set[str]:
        """Return the target layers of every decoder block."""
        return set(linear_layers(model_config, self.parameters.target_modules))

    def expected_parameters(self, model_config: "PretrainedConfig") -> int:
        """Return r x out, summed over the adapted layers."""
        return total_outputs(model_config, self.parameters.target_modules) * self.parameters.rank

    def adapted_layers(self, model: "nn.Module") -> Iterator[tuple[str, "nn.Module"]]:
        """Yield the layers that train a slice."""
        from rlvr.methods.layers.slicefine import SliceLinear

        for name, module in model.named_modules():
            if isinstance(module, SliceLinear):
                yield name, module

    def base_weights(self, layer: "nn.Module") -> "dict[str, Tensor]":
        """Return the frozen weight and bias."""
        base = cast("SliceLinear", layer).base_layer
        return {name: tensor.detach() for name, tensor in base.named_parameters()}

    def merged(self, layer: "nn.Module") -> "dict[str, Tensor]":
        """Return the weight with every slice that was trained added to its columns."""
        down, up = cast("SliceLinear", layer).factors()
        tensors = {name: tensor.float() for name, tensor in self.base_weights(layer).items()}
        return {**tensors, "weight": tensors["weight"] + up @ down}

    def after_step(self, model: "nn.Module", optimizer: "torch.optim.Optimizer", step: int) -> None:
        """Move the slices on when it is time; what AdamW remembers of the old columns goes with them."""
        for _, layer in self.adapted_layers(model):
            slice_layer = cast("SliceLinear", layer)
            if (step + 1) % slice_layer.interval == 0 and slice_layer.move():
                optimizer.state.pop(slice_layer.slice, None)

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return the choice of columns, all zeros and ones, and what was learnt in them."""
        return cast("SliceLinear", layer).factors()
