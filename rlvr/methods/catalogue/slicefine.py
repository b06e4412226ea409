"""SliceFine: a few columns of every weight are trained at a time, and the choice moves on."""

from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import PositiveInt

from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.layer_method import LayerMethod
from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.requirements import AT_MOST_INPUTS
from rlvr.methods.base.shapes import ModelShape, total_outputs
from rlvr.methods.registry import register

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rlvr.methods.layers.slicefine import SliceLinear


class SliceFineParameters(TargetedParameters):
    """Settings of SliceFine."""

    rank: PositiveInt = 32
    """Columns of a weight that are trained at a time."""
    interval: PositiveInt = 128
    """Optimizer steps before the slice moves on to the next columns."""


@register
class SliceFine(ExportedAsLora, LayerMethod):
    """The column sweep of SliceFine: the slice left behind keeps what it has learnt and is frozen."""

    name = "slicefine"
    category = "Other"
    citation = (
        "Kowsher et al., SliceFine: The Universal Winning-Slice Hypothesis for Pretrained Networks, "
        "arXiv 2510.08513"
    )
    formula = "W[:, t:t+r] trained, t moves by r every `interval` steps"
    requirements: ClassVar = {"rank": AT_MOST_INPUTS}
    small_settings: ClassVar = {"interval": 2}
    parameters: SliceFineParameters

    def make_layer(self, linear: "nn.Linear", total_steps: int) -> "SliceLinear":
        """Return a layer that trains one slice of columns at a time."""
        from rlvr.methods.layers.slicefine import SliceLinear

        slices = -(-total_steps // self.parameters.interval)
        return SliceLinear(linear, self.parameters.rank, self.parameters.interval, slices)

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r x out, summed over the adapted layers."""
        return total_outputs(shape, self.parameters.target_modules) * self.parameters.rank

    def after_step(self, model: "nn.Module", optimizer: "torch.optim.Optimizer", step: int) -> None:
        """Move the slices on when it is time; AdamW's state of the old columns is dropped."""
        for _, layer in self.adapted_layers(model):
            slice_layer = cast("SliceLinear", layer)
            if (step + 1) % slice_layer.interval == 0 and slice_layer.move():
                optimizer.state.pop(slice_layer.slice, None)

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return the choice of columns, all zeros and ones, and what was learnt in them."""
        return cast("SliceLinear", layer).factors()
