"""RLPO: LoRA that reads the input along the principal singular directions of the base."""

from rlvr.methods.base.directed_lora import DirectedLora
from rlvr.methods.registry import register

CITATION = (
    "Zhang et al., Geometry-Preserving Orthonormal Initialization for Low-Rank Adaptation in RLVR, "
    "arXiv 2606.31813"
)


@register
class Rlpo(DirectedLora):
    """LoRA whose A starts as the r largest right singular vectors of W0, orthonormal, and B as zero.

    As the authors' `prepare_init_adapters.py` (Richard-ZZZ/geometry-preserving-orthonormal-init-rlvr@949965f)
    makes it: the singular values are left out. Theirs rounds A to the base's bfloat16; here A is float32.
    """

    name = "rlpo"
    citation = CITATION
    formula = "W = W0 + (alpha/r) B A, A = V_max^T and B = 0 at the start, W0 = U S V^T"

    def chosen(self) -> slice:
        """Return the first r vectors."""
        return slice(self.parameters.rank)
