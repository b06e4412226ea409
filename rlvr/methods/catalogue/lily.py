"""Lily: LoRA whose A is shared by neighbouring blocks, and whose B is a mixture that all blocks share."""

from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, cast

from pydantic import Field, PositiveFloat, PositiveInt

from rlvr.methods.base.exported_lora import ExportedAsLora
from rlvr.methods.base.layer_method import LayerMethod
from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.shapes import ModelShape, is_called, linear_layers
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from rlvr.methods.layers.lily import InterconnectedLinear

Group = tuple[str, int, int]
"""Target name, inputs and outputs: layers of one kind, which can share."""


class LilyParameters(TargetedParameters):
    """Settings of Lily."""

    rank: PositiveInt = 84
    """Inner dimension r; larger than LoRA's, because fewer factors are trained."""
    stride: PositiveInt = 14
    """Consecutive blocks that share one A."""
    experts: Annotated[int, Field(ge=2)] = 2
    """Number of B that the layers of one kind mix."""
    scale: PositiveFloat = 4
    """Factor of the update."""


@register
class Lily(ExportedAsLora, LayerMethod):
    """W0 + s (sum_e p_e B_e) A, A shared by `stride` blocks, all B_e by all blocks, p of each layer its own.

    In the paper and in PEFT, p is the mean of a router's answers to all tokens of a batch. That is no weight
    (PEFT merges none) and not causal: the probability of a token would depend on later ones and on the other
    rows of a batch, and would not be the one it was sampled with. Here p is the softmax of logits that each
    layer trains, the router without data that the authors propose for merging (huggingface/peft#2563); they
    start normally distributed, which is chosen here.
    """

    name = "lily"
    category = "Structural"
    citation = (
        "Zhong et al., Low-Rank Interconnected Adaptation across Layers, arXiv 2407.09946; "
        "without the router's input"
    )
    formula = (
        "W = W0 + s (sum_e p_e B_e) A, A shared by neighbouring blocks, B_e by all, p = softmax(t), t trained"
    )
    parameters: LilyParameters

    def make_layer(self, linear: "nn.Linear", total_steps: int) -> "InterconnectedLinear":
        """Return a layer with factors of its own."""
        from rlvr.methods.layers.lily import InterconnectedLinear

        chosen = self.parameters
        return InterconnectedLinear(linear, chosen.rank, chosen.experts, chosen.scale)

    def wrap(self, model: "PreTrainedModel", total_steps: int, seed: int) -> "nn.Module":
        """Replace the layers and let those of one kind share their factors."""
        policy = super().wrap(model, total_steps, seed)
        groups: dict[Group, list[InterconnectedLinear]] = defaultdict(list)
        for name, layer in self.adapted_layers(policy):
            own = cast("InterconnectedLinear", layer)
            groups[self._group(name, own.down.shape[1], own.experts.shape[1])].append(own)
        for layers in groups.values():
            for position, layer in enumerate(layers):
                layer.share(layers[position - position % self.parameters.stride], layers[0])
        return policy

    def expected_parameters(self, shape: ModelShape) -> int:
        """Return r (in ceil(n / stride) + out e) + n e for e experts, summed over the kinds of n layers."""
        counts: dict[Group, int] = defaultdict(int)
        for name, sides in linear_layers(shape, self.parameters.target_modules).items():
            counts[self._group(name, *sides)] += 1
        experts = self.parameters.experts
        return sum(
            self.parameters.rank * (inputs * -(-count // self.parameters.stride) + outputs * experts)
            + count * experts
            for (_, inputs, outputs), count in counts.items()
        )

    def _group(self, name: str, inputs: int, outputs: int) -> Group:
        return next(t for t in self.parameters.target_modules if is_called(name, t)), inputs, outputs

    def to_lora(self, layer: "nn.Module") -> "tuple[Tensor, Tensor] | None":
        """Return A and the scaled mixture."""
        return cast("InterconnectedLinear", layer).factors()
