"""MiLoRA+: LoRA that reads the input along the minor singular directions of the base."""

from rlvr.methods.base.directed_lora import DirectedLora
from rlvr.methods.registry import register


@register
class MiloraPlus(DirectedLora):
    """LoRA whose A starts as the r smallest right singular vectors of W0, and B as zero."""

    name = "milora_plus"
    citation = "Released code of arXiv 2512.23165 (`milora_plus`), after MiLoRA, arXiv 2406.09044"
    formula = "W = W0 + (alpha/r) B A, A = V_min^T and B = 0 at the start, W0 = U S V^T"

    def chosen(self) -> slice:
        """Return the last r vectors."""
        return slice(-self.parameters.rank, None)
