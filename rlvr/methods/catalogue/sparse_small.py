"""Sparse training of the smallest entries of every weight."""

from typing import Literal

from rlvr.methods.catalogue.supertuning import Supertuning, SupertuningParameters
from rlvr.methods.registry import register


class SparseSmallParameters(SupertuningParameters):
    """Super-Tuning's settings with the choice of places fixed."""

    largest: Literal[False] = False
    """Always the entries of smallest magnitude."""


@register
class SparseSmall(Supertuning):
    """W0 + S, S zero but for trained entries where W0 is smallest in magnitude; they start at zero.

    The opposite of `supertuning`, with as many entries. The argument for it: reinforcement learning moves a
    small part of the weights and avoids the large ones (arXiv 2505.11711, arXiv 2511.08567). The first trains
    the part that a finished run has moved, which is not known beforehand; magnitude stands for it here.
    """

    name = "sparse_small"
    citation = (
        "Mukherjee et al., Reinforcement Learning Finetunes Small Subnetworks in Large Language Models, "
        "arXiv 2505.11711; places by magnitude as in arXiv 2511.08567"
    )
    formula = "W = W0 + S, S zero but for the places of the smallest |W0|"
    parameters: SparseSmallParameters
