"""The engine without weights of its own: the policy that is trained samples.

Nothing is merged, sent or rounded, for any method, and no second model is held. The price is the adapter's
own arithmetic for every token, which for methods that build a weight in each forward pass exceeds that of the
model.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from rlvr.config.choices import DType
from rlvr.config.training import Batching, Sampling
from rlvr.models.autocast import autocast
from rlvr.rollout.engines.base import Completion, Request, Tokens
from rlvr.rollout.engines.build_once import building_once
from rlvr.rollout.engines.transformers import CompletionSampler


class LiveEngine(CompletionSampler):
    """Samples from the policy in evaluation mode and leaves it as it was.

    Args:
        policy: the model that is trained.
        model: the plain model in it, adapters in place.
        tokenizer: as for :class:`CompletionSampler`.
        batch_size: likewise.
        dtype: precision of the forward pass in training.
        batching: as for :class:`CompletionSampler`.
    """

    def __init__(
        self,
        policy: nn.Module,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        batch_size: int,
        dtype: DType,
        batching: Batching = "static",
    ) -> None:
        super().__init__(model, tokenizer, batch_size, dtype == "float32", batching)
        self.policy, self.dtype = policy, dtype

    def score(self, tokens: Tokens, temperature: float) -> list[float]:
        """Return the log-probability of each completion token; see :meth:`CompletionSampler.score`."""
        with self._serving():
            return super().score(tokens, temperature)

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, longest_prompt: int = 0
    ) -> list[Completion]:
        """Sample one completion per request, in order; see :meth:`CompletionSampler.generate`."""
        with self._serving():
            return super().generate(requests, sampling, longest_prompt)

    @contextmanager
    def _serving(self) -> Iterator[None]:
        """Set evaluation mode, and no defaults of the model's own for generation; restore both."""
        training, defaults = self.policy.training, self.model.generation_config
        self.policy.eval()
        self.model.generation_config = GenerationConfig()
        try:
            with autocast(self.policy, self.dtype), building_once(self.policy):
                yield
        finally:
            self.model.generation_config = defaults
            self.policy.train(training)
