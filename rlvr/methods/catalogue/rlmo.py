"""RLMO: LoRA that reads the input along the minor singular directions of the base."""

from rlvr.methods.catalogue.milora_plus import MiloraPlus
from rlvr.methods.catalogue.rlpo import CITATION
from rlvr.methods.registry import register


@register
class Rlmo(MiloraPlus):
    """LoRA whose A starts as the r smallest right singular vectors of W0, orthonormal, and B as zero.

    As the authors' `prepare_init_adapters.py` (Richard-ZZZ/geometry-preserving-orthonormal-init-rlvr@949965f)
    makes it, but for A's rounding to bfloat16. The same start as `milora_plus`, published independently; the
    presets differ.
    """

    name = "rlmo"
    citation = CITATION
