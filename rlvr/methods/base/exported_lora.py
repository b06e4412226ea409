"""Methods whose export is a plain LoRA.

For methods that PEFT does not have, and for those that PEFT rebuilds on loading from an SVD of the base
weights (slow, and its signs differ between machines) or from a random stream. Their update has an exact
low-rank form, which is what is written.
"""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from rlvr.methods.base.spec import Method

if TYPE_CHECKING:
    from torch import Tensor, nn


class ExportedAsLora(Method):
    """A method that exports :meth:`to_lora` of every layer."""

    exact_lora = True

    def export(self, model: "nn.Module", directory: Path) -> None:
        """Write a plain LoRA, which means the same wherever it is loaded."""
        from rlvr.methods.base.peft_layers import write_lora

        factors = {name: self.to_lora(layer) for name, layer in self.adapted_layers(model)}
        write_lora(cast("dict[str, tuple[Tensor, Tensor]]", factors), directory)
