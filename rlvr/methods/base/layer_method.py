"""Methods that PEFT does not have: linear layers are replaced by layers of this project."""

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rlvr.methods.base.parameters import ModuleParameters
from rlvr.methods.base.shapes import ModelShape, linear_layers
from rlvr.methods.base.spec import Method

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from rlvr.methods.layers.adapted import AdaptedLinear


class LayerMethod(Method):
    """A method with a layer of its own; by default its export is a whole model, the update merged.

    A subclass whose update has an exact low-rank form derives from
    :class:`~rlvr.methods.base.exported_lora.ExportedAsLora` too, and exports a plain LoRA.
    """

    parameters: ModuleParameters

    @abstractmethod
    def make_layer(self, linear: "nn.Linear", total_steps: int) -> "AdaptedLinear":
        """Return the layer that takes the place of ``linear`` and trains an update of it."""

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Replace every target layer, in an order that is the same in any process."""
        from rlvr.methods.base.measure import shape_of

        shape = shape_of(model)
        declared = self.declared_modules(shape)
        for name in (name for name in shape.linear if name in declared):
            parent, _, child = name.rpartition(".")
            linear = cast("nn.Linear", model.get_submodule(name))
            setattr(model.get_submodule(parent), child, self.make_layer(linear, total_steps))
        return model

    def declared_modules(self, shape: ModelShape) -> set[str]:
        """Return the target layers of the decoder blocks."""
        return set(linear_layers(shape, self.parameters.target_modules))

    def adapted_layers(self, model: "nn.Module") -> Iterator[tuple[str, "nn.Module"]]:
        """Yield the layers of this project under their names in the base model."""
        from rlvr.methods.layers.adapted import AdaptedLinear

        for name, module in model.named_modules():
            if isinstance(module, AdaptedLinear):
                yield name, module

    def base_weights(self, layer: "nn.Module") -> "dict[str, Tensor]":
        """Return the frozen weight, and the bias where there is one."""
        return cast("AdaptedLinear", layer).base_tensors()

    def merged(self, layer: "nn.Module") -> "dict[str, Tensor]":
        """Return the layer's tensors with its update added."""
        return cast("AdaptedLinear", layer).merged()

    def export(self, model: "nn.Module", directory: Path) -> None:
        """Write the whole model with the updates merged in float32."""
        from rlvr.methods.weights import write_whole

        write_whole(self, model, directory)
