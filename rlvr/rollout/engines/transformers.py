"""The engine that runs everywhere: `transformers` generation with a seed per completion.

A completion does not depend on its batch. It has random numbers of its own (`SeededSampling`), and on a CPU
the probabilities that they are compared with are the same in every batch to the last bit. Two things could
change them by rounding: padding shifts the sums of the attention, so all batches of a call have one width;
and matrix products of very few rows are computed in another order, so no batch is that small. A GPU may
choose its kernels by batch size; there, two batch sizes can differ by rounding and, rarely, in a token.
"""

import inspect
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from rlvr.config.schema import Sampling
from rlvr.errors import UserError
from rlvr.models.first_pass import first_pass
from rlvr.models.load import end_token_ids
from rlvr.rollout.engines.base import Completion, Request, Tokens

LEAST_ROWS = 4
"""Minimum rows of a batch; smaller batches are filled with copies of their last request."""

CHECKED_TOKENS = 64
"""Tokens of the first call that are compared with a forward pass without cache and padding."""


class CompletionSampler:
    """Samples from a model, and scores completions under it.

    Args:
        model: a plain model, perhaps with adapters in place.
        tokenizer: its tokenizer.
        batch_size: completions sampled at once.
        exact: whether all is computed in float32.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        batch_size: int,
        exact: bool,
    ) -> None:
        self.model = model
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
        completions: list[Completion] = []
        width = max([longest_prompt, *(len(request.prompt_ids) for request in requests)])
        for start in range(0, len(requests), self.batch_size):
            batch = requests[start : start + self.batch_size]
            completions += self._generate_batch(batch, sampling, width)
        if requests and not self.checked:
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
        kl = float((log_ratio.exp() - 1 - log_ratio).mean())  # k3, as in rlvr.dapo.update.mismatch_kl
        if not kl <= (1e-3 if self.exact else 0.1):
            raise UserError(
                f"{type(self.model).__name__} (model_type {self.model.config.model_type}) cannot be sampled "
                "in batches: with a cache and padding on the left it gives other probabilities than without "
                f"(KL {kl:.2g} nats per token); use a model of another family"
            )
        self.checked = True

    @torch.no_grad()
    def _generate_batch(self, batch: Sequence[Request], sampling: Sampling, width: int) -> list[Completion]:
        started = time.perf_counter()
        device = self.model.device
        filled = [*batch, *[batch[-1]] * (LEAST_ROWS - len(batch))]
        prompts, mask = left_padded([request.prompt_ids for request in filled], self.end_ids[0], width)
        chooser = SeededSampling([request.seed for request in filled], sampling, width, device)
        output = cast(Any, self.model).generate(
            prompts.to(device),
            attention_mask=mask.to(device),
            past_key_values=self._prefill(prompts.to(device), mask.to(device)),
            logits_processor=LogitsProcessorList([chooser]),
            generation_config=GenerationConfig(
                do_sample=False,
                max_new_tokens=sampling.max_new_tokens,
                eos_token_id=self.end_ids,
                pad_token_id=self.end_ids[0],
            ),
        )
        rows = output[: len(batch), width:].tolist()
        logprobs = torch.stack(chooser.logprobs, dim=1)[: len(batch)].tolist()
        seconds = (time.perf_counter() - started) / len(batch)
        return [self._completion(row, values, seconds) for row, values in zip(rows, logprobs, strict=True)]

    def _prefill(self, prompts: Tensor, mask: Tensor) -> DynamicCache | None:
        """Run each distinct prompt once, except for its last token, and share its keys and values.

        The completions of a group have the same prompt, which would otherwise be computed G times. None where
        the inner model takes no such cache: each completion's prompt is then computed for itself.
        """
        inner = self.model.base_model
        accepted = inspect.signature(inner.forward).parameters
        if "past_key_values" not in accepted:
            return None
        unique, rows = torch.unique(torch.stack([prompts, mask]), dim=1, return_inverse=True)
        ids, present = unique[0, :, :-1], unique[1, :, :-1]
        cache = DynamicCache(config=self.model.config)
        if ids.shape[1]:
            keywords = {"input_ids": ids, "attention_mask": present, "past_key_values": cache}
            if "position_ids" in accepted:
                keywords["position_ids"] = (present.cumsum(dim=1) - 1).clamp(min=0)
            inner(**keywords)
            cache.reorder_cache(rows)
        return cache

    def _completion(self, row: list[int], logprobs: list[float], seconds: float) -> Completion:
        length = next((i + 1 for i, token in enumerate(row) if token in self.end_ids), None)
        tokens = row[:length]
        return Completion(
            token_ids=tokens,
            logprobs=logprobs[: len(tokens)],
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
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        batch_size: int,
        weight_dtype: torch.dtype | None = None,
    ) -> None:
        owned = cast(PreTrainedModel, model.eval().requires_grad_(False))
        super().__init__(owned, tokenizer, batch_size, exact=model.dtype == torch.float32)
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


class SeededSampling(LogitsProcessor):
    """Samples each token by inverting the cumulative distribution at a seeded uniform number.

    Every completion has its own uniforms, so it is the same in any batch. Masking all other tokens makes
    greedy decoding take the sampled one. At temperature 0 that is the most probable token, the first of
    equally probable ones: seed and top-p change nothing, and log-probabilities are those of temperature 1.
    """

    def __init__(self, seeds: list[int], sampling: Sampling, prompt_width: int, device: torch.device) -> None:
        """Make ``uniforms [batch, max_new_tokens]``, one row per seed."""
        rows = [
            torch.rand(
                sampling.max_new_tokens, dtype=torch.float64, generator=torch.Generator().manual_seed(s)
            )
            for s in seeds
        ]
        self.uniforms = torch.stack(rows).to(device)
        self.greedy = sampling.greedy
        self.temperature = TemperatureLogitsWarper(sampling.logit_divisor)
        self.nucleus = TopPLogitsWarper(sampling.top_p) if sampling.top_p < 1 else None
        self.prompt_width = prompt_width
        self.logprobs: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores [batch, vocabulary] in which only the sampled token is finite."""
        scaled = self.temperature(input_ids, scores.float())
        if self.greedy:
            sampled = scaled.argmax(dim=-1, keepdim=True)
        else:
            kept = self.nucleus(input_ids, scaled) if self.nucleus else scaled
            sampled = self._sampled(kept, input_ids.shape[1] - self.prompt_width)
        self.logprobs.append(scaled.log_softmax(dim=-1).gather(1, sampled).squeeze(1))
        return torch.full_like(scores, -torch.inf).scatter(1, sampled, 0.0)

    def _sampled(self, scores: Tensor, position: int) -> Tensor:
        """Return the sampled tokens [batch, 1] at a position of the completion."""
        uniform = self.uniforms[:, position, None]
        cumulative = scores.double().softmax(dim=-1).cumsum(dim=-1)
        sampled = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
        return sampled.clamp(max=scores.shape[-1] - 1)


def left_padded(sequences: Sequence[Sequence[int]], padding: int, width: int) -> tuple[Tensor, Tensor]:
    """Return ``ids`` and ``mask`` [sequences, width], padded on the left."""
    ids = torch.full((len(sequences), width), padding)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, width - len(sequence) :] = torch.tensor(sequence)
        mask[row, width - len(sequence) :] = 1
    return ids, mask
