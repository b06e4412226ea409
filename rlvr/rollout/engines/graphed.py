"""The forward pass of a step of decoding as a CUDA graph.

A GPU computes one token of each completion faster than Python launches the kernels that do it. A CUDA graph
launches the same kernels at once: what is computed is the model's own forward pass. It needs tensors that
stay where they are, so keys and values are in layers of a static cache, where a mask hides what is not filled
yet. The layers grow by a quarter. Each growth and each change of the number of rows takes another recording.

Shape suffixes: B rows, S slots of the cache.
"""

import inspect
import logging
import math
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin, StaticLayer

from rlvr.errors import UserError
from rlvr.rollout.engines.cache import RoomyLayer

GROWTH = 1.25
"""Attention reads all slots, so that more room costs time, and less costs more recordings of 0.3 s."""
DEVICES = ("cuda",)
"""Where Python is slower than the device."""
SLOTS = 128
"""A cache has a multiple of so many slots."""

logger = logging.getLogger(__name__)


def fits_graph(model: PreTrainedModel, prefilled: Cache) -> bool:
    """Tell whether a model takes static caches and such a mask, and no layer of the cache has a window."""
    return (
        model.device.type in DEVICES
        and model._can_compile_fullgraph
        and not getattr(model.config, "alibi", False)  # made of a mask with two dimensions (Falcon)
        and "position_ids" in inspect.signature(model.forward).parameters
        and all(type(layer) is RoomyLayer and layer.is_initialized for layer in prefilled.layers)
    )


class GraphedForward:
    """Gives the logits of the next tokens of a batch.

    Args:
        model: in evaluation mode, on a CUDA device; on another one, nothing is recorded.
        prefilled: the cache of all tokens but the last of each prompt.
        longest: tokens of prompt and completion, at most.
    """

    def __init__(self, model: PreTrainedModel, prefilled: Cache, longest: int) -> None:
        self.model, self.longest = model, longest
        # The list itself, so that nothing is held twice; the first room makes its layers static.
        self.layers = cast(list[Any], prefilled.layers)
        self.slots = 0
        self.ready = False
        """Whether the inputs, and the graph if there is one, are those of these rows and slots."""
        self.graph: torch.cuda.CUDAGraph | None = None
        self.logits: Tensor | None = None
        """What the graph computes."""
        self.recordable: bool | None = None if model.device.type == "cuda" else False
        """None: not known yet."""

    def __call__(self, ids: Tensor, present: Tensor) -> Tensor:
        """Return the logits [B, vocabulary] after the last of these tokens, which alone the cache lacks.

        Args:
            ids: all tokens of prompts and completions so far, [B, length].
            present: 0 where a prompt is padded, likewise.
        """
        length = ids.shape[1]
        if length > self.slots:
            self._make_room(length)
        if not self.ready:
            self._make_inputs(present)
        self.tokens_B1.copy_(ids[:, -1:])
        self.positions_B1.copy_(present.sum(dim=1, keepdim=True) - 1)
        self.mask_B11S[..., length - 1] = 0
        if not self.ready:
            self.ready = True
            self._record(held=length - 1)
        if self.graph is None or self.logits is None:
            return self._forward()
        self.graph.replay()
        return self.logits

    def keep(self, rows: Tensor) -> None:
        """Keep the rows of these indices, in their order."""
        self._forget()
        for layer in self.layers:
            layer.reorder_cache(rows)

    def _forget(self) -> None:
        """Drop what was recorded, before the tensors it reads."""
        self.graph, self.logits, self.ready = None, None, False

    def _make_room(self, length: int) -> None:
        self._forget()
        self.slots = SLOTS * math.ceil(min(GROWTH * length, self.longest) / SLOTS)
        for index, layer in enumerate(self.layers):
            self.layers[index] = _static(layer, self.slots)

    def _make_inputs(self, present: Tensor) -> None:
        rows, length = present.shape
        self.tokens_B1 = present.new_empty(rows, 1)
        self.positions_B1 = present.new_empty(rows, 1)
        dtype = _compute_dtype(self.model)
        hidden = torch.finfo(dtype).min
        self.mask_B11S = present.new_full((rows, 1, 1, self.slots), hidden, dtype=dtype)
        self.mask_B11S[:, 0, 0, :length] = torch.where(present.bool(), 0, hidden)

    def _forward(self) -> Tensor:
        output = self.model(
            input_ids=self.tokens_B1,
            attention_mask=self.mask_B11S,
            position_ids=self.positions_B1,
            past_key_values=Cache(layers=self.layers),
            use_cache=True,
            return_dict=True,
        )
        return output.logits[:, -1]

    def _record(self, held: int) -> None:
        """Record the forward pass; where it waits for the device, each step launches its kernels one by one.

        A recording that fails leaves the generator of the device unusable (pytorch#171263), so what waits is
        found before.

        Args:
            held: tokens in the cache.

        Raises:
            UserError: the recording fails all the same.
        """
        if self.recordable is False:
            return
        self._forward()  # what is built or chosen once must be there
        if self.recordable is None:
            self.recordable = self._never_waits()
        for layer in self.layers:
            layer.cumulative_length.fill_(held)  # as if nothing had been tried
        if not self.recordable:
            return
        graph = torch.cuda.CUDAGraph()
        try:
            # The watchdog of several ranks calls CUDA in a thread of its own.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self.logits = self._forward()
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise UserError(
                f"{type(self.model).__name__} cannot be recorded as a CUDA graph ({error}); set "
                "`batching: continuous`, which records nothing"
            ) from error
        self.graph = graph

    def _never_waits(self) -> bool:
        """Tell whether the host runs ahead of the device, and say so if not."""
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            self._forward()
        except RuntimeError as error:
            if "synchronizing" not in str(error):
                raise
            _say_slow(type(self.model).__name__)
            return False
        finally:
            torch.cuda.set_sync_debug_mode(before)
        return True


def _static(layer: CacheLayerMixin, slots: int) -> Any:
    """Return a static layer with the keys and values of another and so many slots."""
    held = int(layer.get_seq_length())
    keys, values = (cast(Tensor, states)[:, :, :held] for states in (layer.keys, layer.values))
    static: Any = StaticLayer(slots)
    static.lazy_initialization(keys, values)
    if values.dtype != keys.dtype:  # under autocast, where the weights are float32
        static.values = static.values.to(values.dtype)
    static.keys[:, :, :held] = keys
    static.values[:, :, :held] = values
    static.cumulative_length.fill_(held)
    return static


def _compute_dtype(model: PreTrainedModel) -> torch.dtype:
    """Return the precision of the queries, in which a mask that is added to scores need not be converted."""
    kind = model.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else model.dtype


@cache
def _say_slow(model: str) -> None:
    logger.warning(
        "%s waits for the device in its forward pass: it is not recorded as a CUDA graph and samples slowly",
        model,
    )
