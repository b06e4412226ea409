"""What training and evaluation require of an engine that samples completions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rlvr.config.choices import FinishReason
from rlvr.config.training import Sampling

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Tokens(NamedTuple):
    """Token ids of a prompt and its completion."""

    prompt_ids: Sequence[int]
    completion_ids: Sequence[int]


@dataclass(frozen=True)
class Request:
    """One completion to sample."""

    prompt_ids: tuple[int, ...]
    """Token ids of the rendered prompt."""
    seed: int
    """Seed of this completion alone, so that it does not depend on its batch."""


@dataclass(frozen=True)
class Completion:
    """One sampled completion."""

    token_ids: list[int]
    """Completion tokens, the end token included if one was sampled."""
    logprobs: list[float]
    """Log-probability of each token under the engine's weights at the sampling temperature (1 where greedy),
    before top-p."""
    text: str
    """Decoded text without special tokens."""
    finish_reason: FinishReason
    """`stop`: the model ended it; `length`: truncated at `max_new_tokens`."""
    seconds: float
    """Wall time of its batch, or of its call where batching is continuous, divided by their number."""


class Engine(Protocol):
    """Samples completions, and scores them."""

    @property
    def devices(self) -> "frozenset[torch.device]":
        """Devices that the engine uses."""

    def score(self, tokens: Tokens, temperature: float) -> list[float]:
        """Return the log-probability of each completion token under the served weights."""

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, longest_prompt: int = 0
    ) -> list[Completion]:
        """Sample one completion per request, in order.

        Args:
            requests: what to sample.
            sampling: how.
            longest_prompt: tokens of the longest prompt of this and other calls; with it, completions do not
                depend on how the requests are divided among calls.
        """


class LoadedEngine(Engine, Protocol):
    """An engine with weights of its own, which a weight sync replaces."""

    @property
    def weight_dtype(self) -> "torch.dtype":
        """Precision to which the served weights are rounded."""

    def load_weights(self, weights: "Iterable[tuple[str, Tensor]]") -> None:
        """Serve the base model with the named weights replaced, in one go.

        Names are those of the plain base model, in its order; every call of a run has the same ones.
        """

    def held_weight(self, name: str) -> "Tensor":
        """Return a weight as it is served, in the engine's precision."""

    def load_updates(self, updates: "Iterable[tuple[str, tuple[Tensor, Tensor]]]") -> None:
        """Serve linear layers as W + B A without merging; replaces all previous updates.

        Args:
            updates: name of a layer in the plain base model, A [r, in] and B [out, r].
        """

    def held_update(self, layer: str) -> "tuple[Tensor, Tensor]":
        """Return A and B of a layer as they are served, in the engine's precision."""

    def sleep(self) -> None:
        """Leave the device to the trainer until weights are loaded again."""
