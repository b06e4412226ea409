"""What methods adapt of a model: the shape of its modules, from which all parameter counts follow.

A shape is measured from the modules of a model (:mod:`rlvr.methods.base.measure`), whatever its family.
Counts are closed forms over it, so that they do not depend on what a library builds.
"""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

ALL_LINEAR: tuple[str, ...] = (
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
)
"""The seven linear layers of a decoder block ("all linear modules" of the paper, section 2.2)."""

Targets = tuple[str, ...] | Literal["all"]
"""Last parts of module names (``q_proj``, ``mlp.gate_proj``), or all modules of a kind."""


class Linear(NamedTuple):
    """One linear layer of a decoder block."""

    inputs: int
    outputs: int
    bias: bool


@dataclass(frozen=True)
class ModelShape:
    """The modules of a decoder that methods adapt, by their full names and in their order."""

    model_type: str
    """Family, as in `config.json`."""
    stack: str
    """Name of the list of decoder blocks, such as `model.layers`."""
    depth: int
    """Number of decoder blocks."""
    linear: dict[str, Linear]
    """Linear layers (`torch.nn.Linear`) of the decoder blocks."""
    bypassed: frozenset[str]
    """Linear layers and norms that the code around them reads: an adapter in their place would not run."""
    norms: dict[str, int]
    """Norms of the whole model with their numbers of parameters."""
    others: dict[str, str]
    """All further matrices of the decoder blocks: parameter -> its class and size."""
    owners: frozenset[str]
    """Every module that owns parameters; a tied output layer counts as its embedding."""
    parameters: int
    """Parameters of the model, tied ones once."""
    vocabulary: int
    """Logits of a token."""
    width: int
    """Features of a hidden state."""
    cached: int
    """Numbers that the key-value cache keeps for a token in all blocks together; 0: there is no such
    cache."""
    tied: bool
    """Whether the output layer is the embedding."""

    def block(self, index: int) -> str:
        """Return the prefix of the names in a decoder block."""
        return f"{self.stack}.{index}."

    def in_block(self, name: str) -> str:
        """Return a name without its block, numbers of experts as `*`: what equal blocks have in common."""
        return re.sub(r"(?<=\.)\d+(?=\.|$)", "*", re.sub(rf"^{re.escape(self.stack)}\.\d+\.", "", name))


def is_called(name: str, target: str) -> bool:
    """Tell whether a full module name is, or ends with, a target name; the rule is PEFT's."""
    return name == target or name.endswith(f".{target}")


def linear_layers(shape: ModelShape, names: Targets) -> dict[str, tuple[int, int]]:
    """Return ``{full module name: (in features, out features)}`` for the named layers of every block."""
    return {
        name: (layer.inputs, layer.outputs)
        for name, layer in shape.linear.items()
        if names == "all" or any(is_called(name, target) for target in names)
    }


def total_inputs(shape: ModelShape, names: Targets) -> int:
    """Return the input features of the named layers, summed over all blocks."""
    return sum(inputs for inputs, _ in linear_layers(shape, names).values())


def total_outputs(shape: ModelShape, names: Targets) -> int:
    """Return the output features of the named layers, summed over all blocks."""
    return sum(outputs for _, outputs in linear_layers(shape, names).values())


def total_sides(shape: ModelShape, names: Targets) -> int:
    """Return inputs and outputs of the named layers, summed: the parameters of a LoRA of rank 1."""
    return total_inputs(shape, names) + total_outputs(shape, names)
