"""NoRA-init: LoRA whose A starts with columns of norm one."""

from typing import TYPE_CHECKING, ClassVar, cast

from rlvr.methods.base.spec import Category
from rlvr.methods.catalogue.lora import Lora
from rlvr.methods.catalogue.nora import CITATION
from rlvr.methods.registry import register

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer
    from torch import nn


@register
class NoraInit(Lora):
    """LoRA whose random A has its columns divided by their norms once, before training; B = 0 first."""

    name = "nora_init"
    category: ClassVar[Category] = "Initialization"
    citation = CITATION
    formula = "W = W0 + (alpha/r) B A, columns of A random and of norm one at the start"

    def start(self, policy: "nn.Module") -> None:
        """Divide the columns of every A by their norms."""
        from rlvr.methods.layers.nora import unit_columns

        for _, layer in self.adapted_layers(policy):
            down = cast("nn.Linear", cast("LoraLayer", layer).lora_A["default"]).weight
            down.data.copy_(unit_columns(down.data))
