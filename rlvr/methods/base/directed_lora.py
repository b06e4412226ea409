"""LoRA that reads its input along right singular vectors of the base: A starts as some of them, B as zero.

B A = 0 at the start, so the base is not changed and nothing is subtracted from it; A and B are trained. The
saved state and the export hold A, so that nothing is decomposed again.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, cast

from rlvr.methods.base.requirements import AT_MOST_SMALLER_SIDE
from rlvr.methods.base.spec import Category
from rlvr.methods.catalogue.lora import Lora

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer
    from torch import nn


class DirectedLora(Lora):
    """LoRA whose A starts as those right singular vectors of W0 that the subclass chooses."""

    category: ClassVar[Category] = "Initialization"
    requirements: ClassVar = {"rank": AT_MOST_SMALLER_SIDE}

    @abstractmethod
    def chosen(self) -> slice:
        """Return the places of the r vectors, the one of the largest singular value first."""

    def start(self, policy: "nn.Module") -> None:
        """Set A of every layer by an exact SVD of its base weight."""
        import torch

        for _, layer in self.adapted_layers(policy):
            tuner = cast("LoraLayer", layer)
            weight = cast("nn.Linear", tuner.get_base_layer()).weight.detach().float()
            _, _, vectors = torch.linalg.svd(weight, full_matrices=False)
            cast("nn.Linear", tuner.lora_A["default"]).weight.data.copy_(vectors[self.chosen()])
