"""What training and evaluation ask of an engine that draws completions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from rlvr.config.schema import Sampling

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Request:
    """One completion to draw."""

    prompt_ids: tuple[int, ...]
    """Token ids of the rendered prompt."""
    seed: int
    """Seeds this completion alone, so that it does not depend on its batch."""


@dataclass(frozen=True)
class Completion:
    """One drawn completion."""

    token_ids: list[int]
    """Completion tokens, the end token included where one was drawn."""
    logprobs: list[float]
    """Log-probability of each token under the engine's weights at the sampling temperature, before top-p."""
    text: str
    """Decoded text without special tokens."""
    finish_reason: Literal["stop", "length"]
    """`length`: cut at the limit."""
    seconds: float
    """Wall time of the batch it was drawn in, divided by the batch's size."""


class Engine(Protocol):
    """Draws completions from weights that it holds itself."""

    def load_weights(self, weights: "Iterable[tuple[str, Tensor]]") -> None:
        """Replace the named weights; names are those of the plain base model."""

    def held_weight(self, name: str) -> "Tensor":
        """Return a weight as it is served, in the engine's precision."""

    def load_update(self, layer: str, down: "Tensor", up: "Tensor") -> None:
        """Serve a layer as W + B A without merging; replaces the update that it had.

        Args:
            layer: name of a linear layer in the plain base model.
            down: A [r, in].
            up: B [out, r].
        """

    def held_update(self, layer: str) -> "tuple[Tensor, Tensor]":
        """Return A and B of a layer as they are served, in the engine's precision."""

    def score(
        self, prompt_ids: Sequence[int], completion_ids: Sequence[int], temperature: float
    ) -> list[float]:
        """Return the log-probability of each completion token under the served weights."""

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Draw one completion for each request, in order."""
