"""Continuous batching: a completion that ends makes room for the next, with `transformers`' paged engine.

The paged engine has one generator for all requests, so that a completion would depend on its neighbours. Here
a logits processor samples each request with random numbers of its own, as :mod:`rlvr.rollout.engines.static`
does: the same tokens, but for rounding, in any batch and by either way. The engine runs in this thread and
not in one of its own, where neither autocast nor inference mode of the caller would hold.

Every call has an engine of its own. One that persists would serve the keys and values of older weights for
prompts that it has seen. An engine reseeds the global generator and leaves the model in evaluation mode; both
are restored.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor
from transformers import ContinuousBatchingConfig, GenerationConfig, LogitsProcessorList, PreTrainedModel
from transformers.generation.continuous_batching.cache import group_layers_by_attn_type
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.continuous_batching.requests import FutureRequestState

from rlvr.config.training import Sampling
from rlvr.errors import UserError
from rlvr.rollout.engines.base import Request
from rlvr.rollout.engines.sampling import sample_tokens, seeded_uniforms
from rlvr.rollout.engines.static import Decoded

PAGE = 32
"""Tokens of a page of the cache."""

PREFILL_TOKENS = 2048
"""Tokens of a forward pass, beside those of the requests that are being decoded: prompts."""


@torch.no_grad()
def decode_continuously(
    model: PreTrainedModel,
    requests: Sequence[Request],
    sampling: Sampling,
    end_ids: Sequence[int],
    batch_size: int,
) -> list[Decoded]:
    """Sample one completion per request, ``batch_size`` of them at a time; see :func:`check_paged`.

    Raises:
        UserError: the cache does not fit into memory, or has keys and values of two precisions.
    """
    if not requests:
        return []
    chooser = RequestSampling([request.seed for request in requests], sampling, model.device)
    with _left_as_it_was(model):
        manager: Any = cast(Any, model).init_continuous_batching(
            GenerationConfig(do_sample=False, eos_token_id=list(end_ids)),
            _engine_config(requests, sampling, batch_size),
        )
        manager.logit_processor = _only(chooser)
        for index, request in enumerate(requests):
            manager.add_request(
                list(request.prompt_ids),
                request_id=str(index),
                max_new_tokens=sampling.max_new_tokens,
                eos_token_id=list(end_ids),
            )
        try:
            engine = manager._create_batch_processor()
        except MemoryError as error:
            raise UserError(
                f"no memory for the cache of {batch_size} completions ({error}); use a smaller "
                "rollout_batch_size (training) or batch_size (evaluation), or batching: static"
            ) from None
        try:
            while engine.prepare_next_batch():
                engine._generation_step(model)
                engine.update_batch()
        except RuntimeError as error:
            if "same dtype" not in str(error):
                raise
            raise UserError(
                "batching: continuous keeps keys and values in one precision; in mixed precision those of "
                f"this policy have two ({error}); use batching: static"
            ) from None
    return _decoded(chooser, manager.output_router.output_queue)


def check_paged(model: PreTrainedModel) -> None:
    """Check that every layer attends to all tokens, by an attention that the paged engine can replace.

    Raises:
        UserError: it does not.
    """
    try:
        kinds = set(group_layers_by_attn_type(model.config.get_text_config()))
    except ValueError:  # a kind that the paged engine does not know
        kinds = set()
    if kinds != {"full_attention"} or not model._can_set_attn_implementation():
        raise UserError(
            f"batching: continuous needs full attention in every layer, which {type(model).__name__} "
            f"(model_type {model.config.model_type}) has not; use batching: static"
        )


def _engine_config(
    requests: Sequence[Request], sampling: Sampling, batch_size: int
) -> ContinuousBatchingConfig:
    """Return a configuration in which no request in progress must make room for another."""
    at_once = min(batch_size, len(requests))
    longest = max(len(request.prompt_ids) for request in requests) + sampling.max_new_tokens
    return ContinuousBatchingConfig(
        page_size=PAGE,
        num_blocks=at_once * (math.ceil(longest / PAGE) + 1),
        max_batch_tokens=at_once + PREFILL_TOKENS,
        max_requests_per_batch=at_once,
        allow_block_sharing=False,
        use_async_batching=False,
        use_cuda_graph=False,
        auto_switch_to_flash=False,
        seed=0,
    )


@contextmanager
def _left_as_it_was(model: PreTrainedModel) -> Iterator[None]:
    """Restore the global generators, the mode of every module and the kind of attention."""
    attention = model.config._attn_implementation
    modes = {module: module.training for module in model.modules()}
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        for module, training in modes.items():
            module.training = training
        if model.config._attn_implementation != attention:
            model.set_attn_implementation(attention)


class RequestSampling(ContinuousBatchingLogitsProcessor):
    """Samples a token for each row and masks all others, which the engine's greedy decoding then takes."""

    def __init__(self, seeds: Sequence[int], sampling: Sampling, device: torch.device) -> None:
        self.supported_kwargs, self.ignored_kwargs = {}, ()
        self.sampling = sampling
        self.uniforms = seeded_uniforms(seeds, sampling.max_new_tokens, device)
        self.tokens = torch.zeros(self.uniforms.shape, dtype=torch.long, device=device)
        self.logprobs = torch.zeros(self.uniforms.shape, device=device)
        self.lengths = [0] * len(seeds)
        self.requests: list[int] = []
        """Of each row of the next forward pass."""

    def fill_defaults(self, int32_tensor: Tensor) -> None:
        """Do nothing: what a row needs is held here and not sent with it."""

    def prepare_tensor_args(self, requests_with_new_token: list[FutureRequestState]) -> Tensor:
        """Note which requests get a token."""
        self.requests = [int(request.state.request_id) for request in requests_with_new_token]
        return torch.zeros(len(self.requests), dtype=torch.int32)

    def __call__(self, scores: Tensor, tensor_arg: Tensor) -> torch.FloatTensor:
        """Return scores [rows, vocabulary] in which only the sampled token is finite.

        The last rows may be of requests whose prompt is not finished: they get no token.
        """
        rows = torch.tensor(self.requests, dtype=torch.long, device=scores.device)
        steps = torch.tensor([self.lengths[request] for request in self.requests]).to(rows)
        sampled = sample_tokens(scores[: len(rows)], self.uniforms[rows, steps], self.sampling)
        self.tokens[rows, steps], self.logprobs[rows, steps] = sampled
        for request in self.requests:
            self.lengths[request] += 1
        masked = torch.full_like(scores, -torch.inf).scatter(1, sampled.tokens[:, None], 0.0)
        return cast(torch.FloatTensor, masked)


def _only(chooser: RequestSampling) -> ContinuousBatchingLogitsProcessorList:
    processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList())
    processors.logits_processor = LogitsProcessorList([chooser])
    processors.tensors_required, processors.do_processing = 1, True
    return processors


def _decoded(chooser: RequestSampling, outputs: Any) -> list[Decoded]:
    """Return the completions in the order of the requests.

    Raises:
        UserError: a request failed, or the engine reports other tokens than were sampled.
    """
    finished = {int(output.request_id): output for output in (outputs.get() for _ in range(outputs.qsize()))}
    tokens, logprobs = chooser.tokens.tolist(), chooser.logprobs.tolist()
    decoded = [
        Decoded(ids[:length], values[:length])
        for ids, values, length in zip(tokens, logprobs, chooser.lengths, strict=True)
    ]
    for index, completion in enumerate(decoded):
        output = finished.get(index)
        if output is None or output.error or output.generated_tokens != completion.token_ids:
            reason = (output and output.error) or "other tokens than were sampled"
            raise UserError(f"continuous batching failed ({reason}); use batching: static")
    return decoded
