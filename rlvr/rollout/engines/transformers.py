"""The engine that runs everywhere: models of `transformers`, with a seed per completion."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from rlvr.config.training import Batching, Sampling
from rlvr.errors import UserError
from rlvr.models.first_pass import first_pass
from rlvr.models.load import end_token_ids
from rlvr.rollout.engines.base import Completion, Request, Tokens
from rlvr.rollout.engines.continuous import check_paged, decode_continuously
from rlvr.rollout.engines.static import Decoded, decode_batch

logger = logging.getLogger(__name__)

CHECKED_TOKENS = 256
"""Tokens of the first call that are compared with a forward pass without cache and padding: enough for a
static cache to grow."""


class CompletionSampler:
    """Samples from a model, and scores completions under it.

    Args:
        model: a plain model, perhaps with adapters in place.
        tokenizer: its tokenizer.
        batch_size: completions sampled at once.
        exact: whether all is computed in float32.
        batching: whether completions start together or one that ends makes room for the next.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        batch_size: int,
        exact: bool,
        batching: Batching = "static",
    ) -> None:
        if batching == "continuous":
            check_paged(model)
        self.model = model
        self.batching = batching
        self.exact = exact
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.end_ids = end_token_ids(model, tokenizer)
        self.checked = False

    @property
    def devices(self) -> frozenset[torch.device]:
        """Devices of the model."""
        return frozenset(parameter.device for parameter in self.model.parameters())

    @torch.no_grad()
    def score(self, tokens: Tokens, temperature: float) -> list[float]:
        """Return the log-probability of each completion token under the served weights.

        Raises:
            UserError: the model fails before anything has been sampled.
        """
        with self._first_pass():
            return self._score(tokens, temperature)

    def _first_pass(self) -> AbstractContextManager[None]:
        """Return the context that explains errors until the model is known to work."""
        return nullcontext() if self.checked else first_pass(self.model, "sampled")

    def _score(self, tokens: Tokens, temperature: float) -> list[float]:
        start = len(tokens.prompt_ids)
        ids = torch.tensor([[*tokens.prompt_ids, *tokens.completion_ids]], device=self.model.device)
        logits = cast(Any, self.model)(input_ids=ids).logits[0, start - 1 : -1].float() / temperature
        return logits.log_softmax(dim=-1).gather(1, ids[0, start:, None]).squeeze(1).tolist()

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, longest_prompt: int = 0
    ) -> list[Completion]:
        """Sample one completion per request, in order; prompts are padded to the longest.

        Raises:
            UserError: in the first call, the model fails or gives other probabilities in a batch.
        """
        with self._first_pass():
            return self._generate(requests, sampling, longest_prompt)

    def _generate(
        self, requests: Sequence[Request], sampling: Sampling, longest_prompt: int
    ) -> list[Completion]:
        if self.batching == "continuous":
            completions = self._continuously(requests, sampling)
        else:
            completions = self._in_batches(requests, sampling, longest_prompt)
        if requests and not self.checked:
            logger.info("sampling by %s batching, %d completions at once", self.batching, self.batch_size)
            self._check(requests, completions, sampling.logit_divisor)
        return completions

    def _check(
        self, requests: Sequence[Request], completions: Sequence[Completion], temperature: float
    ) -> None:
        """Compare the completion of the shortest prompt, which has most padding, with a pass without a cache.

        Raises:
            UserError: its log-probabilities differ by more than rounding, so the samples are not the model's.
        """
        request, completion = min(
            zip(requests, completions, strict=True), key=lambda pair: len(pair[0].prompt_ids)
        )
        compared = completion.token_ids[:CHECKED_TOKENS]
        scored = torch.tensor(self.score(Tokens(request.prompt_ids, compared), temperature))
        log_ratio = scored - torch.tensor(completion.logprobs[: len(compared)])
        kl = float((log_ratio.exp() - 1 - log_ratio).mean())  # k3, as in rlvr.dapo.mismatch.mismatch_kl
        if not kl <= (1e-3 if self.exact else 0.1):
            raise UserError(
                f"{type(self.model).__name__} (model_type {self.model.config.model_type}) cannot be sampled "
                "in batches: with a cache and padding on the left it gives other probabilities than without "
                f"(KL {kl:.2g} nats per token); use a model of another family"
            )
        self.checked = True

    def _in_batches(
        self, requests: Sequence[Request], sampling: Sampling, longest_prompt: int
    ) -> list[Completion]:
        completions: list[Completion] = []
        width = max([longest_prompt, *(len(request.prompt_ids) for request in requests)])
        for start in range(0, len(requests), self.batch_size):
            batch, started = requests[start : start + self.batch_size], time.perf_counter()
            decoded = decode_batch(self.model, batch, sampling, self.end_ids, width)
            completions += self._completions(decoded, started)
        return completions

    def _continuously(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        started = time.perf_counter()
        decoded = decode_continuously(self.model, requests, sampling, self.end_ids, self.batch_size)
        return self._completions(decoded, started)

    def _completions(self, decoded: Sequence[Decoded], started: float) -> list[Completion]:
        seconds = (time.perf_counter() - started) / max(len(decoded), 1)
        return [self._completion(one, seconds) for one in decoded]

    def _completion(self, decoded: Decoded, seconds: float) -> Completion:
        length = next((i + 1 for i, token in enumerate(decoded.token_ids) if token in self.end_ids), None)
        tokens = decoded.token_ids[:length]
        return Completion(
            token_ids=tokens,
            logprobs=decoded.logprobs[: len(tokens)],
            text=cast(str, self.tokenizer.decode(tokens, skip_special_tokens=True)),  # one sequence, one text
            finish_reason="length" if length is None else "stop",
            seconds=seconds,
        )


class TransformersEngine(CompletionSampler):
    """Serves a plain model of its own, which receives merged weights or low-rank updates, never an adapter.

    Args:
        model: owned by the engine from now on.
        tokenizer: its tokenizer.
        batch_size: as for :class:`CompletionSampler`.
        weight_dtype: precision to which weights are rounded; the model computes in its own, at least as fine.
        batching: as for :class:`CompletionSampler`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        batch_size: int,
        weight_dtype: torch.dtype | None = None,
        batching: Batching = "static",
    ) -> None:
        owned = cast(PreTrainedModel, model.eval().requires_grad_(False))
        super().__init__(owned, tokenizer, batch_size, model.dtype == torch.float32, batching)
        self.weight_dtype = weight_dtype or model.dtype
        if weight_dtype is not None:
            for parameter in model.parameters():
                parameter.data.copy_(parameter.data.to(weight_dtype))
        self.updates: dict[str, tuple[Tensor, Tensor]] = {}
        # A model's own defaults, such as a repetition penalty, would silently change the distribution.
        model.generation_config = GenerationConfig()

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Copy the named weights in, rounding to the engine's precision.

        Raises:
            UserError: the model has no weight of that name.
        """
        for name, weight in weights:
            try:
                self.model.get_parameter(name).data.copy_(weight.to(self.weight_dtype))
            except AttributeError:
                raise UserError(
                    f"the served model has no weight {name!r}; the weights belong to another model"
                ) from None

    def held_weight(self, name: str) -> Tensor:
        """Return a weight as it is served."""
        return self.model.get_parameter(name).data

    def load_updates(self, updates: Iterable[tuple[str, tuple[Tensor, Tensor]]]) -> None:
        """Serve linear layers as W + B A, both factors rounded to the engine's precision."""
        for layer, (down, up) in updates:
            module = cast(nn.Linear, self.model.get_submodule(layer))
            if layer not in self.updates:
                module.register_forward_hook(self._adds_update(layer))
            self.updates[layer] = (self._rounded(down, module), self._rounded(up, module))

    def _rounded(self, factor: Tensor, module: nn.Linear) -> Tensor:
        return factor.to(self.weight_dtype, copy=True).to(module.weight)

    def _adds_update(self, layer: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], Tensor]:
        def hook(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
            down, up = self.updates[layer]
            return output + inputs[0] @ down.T @ up.T

        return hook

    def held_update(self, layer: str) -> tuple[Tensor, Tensor]:
        """Return the factors of a layer as they are served."""
        return self.updates[layer]

    def sleep(self) -> None:
        """Do nothing: the model remains where it is."""
