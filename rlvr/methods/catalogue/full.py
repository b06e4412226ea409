"""Full fine-tuning: every weight of the model is trained."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rlvr.config.values import Settings
from rlvr.methods.base.shapes import ModelShape
from rlvr.methods.base.spec import Method
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


class NoParameters(Settings):
    """Full fine-tuning has no settings of its own."""


@register
class Full(Method):
    """The baseline without an adapter."""

    name = "full"
    category = "Baseline"
    citation = "Full-parameter fine-tuning"
    formula = "W trained"
    sharded = True
    parameters: NoParameters

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Make every weight trainable."""
        return model.requires_grad_(True)

    def declared_modules(self, shape: ModelShape) -> set[str]:
        """Return every module that owns weights; a tied output layer counts as its embedding."""
        return set(shape.owners)

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return the size of the model."""
        return shape.parameters

    def adapted_layers(self, model: "nn.Module") -> Iterator[tuple[str, "nn.Module"]]:
        """Yield every module that owns trainable weights, shared weights once."""
        owners = dict.fromkeys(
            name.rpartition(".")[0] for name, weight in model.named_parameters() if weight.requires_grad
        )
        for name in owners:
            yield name, model.get_submodule(name)

    def base_weights(self, layer: "nn.Module") -> dict[str, "Tensor"]:
        """Return the module's own weights, which are trained themselves; whole, where devices divide them."""
        from rlvr.models.sharding import whole

        return {name: whole(weight.detach()) for name, weight in layer.named_parameters(recurse=False)}

    def merged(self, layer: "nn.Module") -> dict[str, "Tensor"]:
        """Return the module's own weights: there is nothing to merge."""
        return {name: weight.float() for name, weight in self.base_weights(layer).items()}

    def export(self, model: "nn.Module", directory: Path) -> None:
        """Write the whole model in the Hugging Face layout."""
        from rlvr.methods.weights import write_whole

        write_whole(self, model, directory)
