"""A key-value cache with room for the tokens to come, which a batch of completions can shrink."""

from typing import Any, cast

from torch import Tensor
from transformers import DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer

SPARE = 128
"""Tokens for which room is made at once."""


class RoomyLayer(DynamicLayer):
    """Keys and values [rows, heads, tokens, width] as views of larger tensors.

    :class:`DynamicLayer` copies all of them for every token.
    """

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.storage: dict[str, Tensor] = {}

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append keys and values and return all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        length = self.get_seq_length()
        self.keys = self._appended("keys", cast(Tensor, self.keys), key_states, length)
        self.values = self._appended("values", cast(Tensor, self.values), value_states, length)
        return self.keys, self.values

    def _appended(self, name: str, held: Tensor, new: Tensor, length: int) -> Tensor:
        rows, heads, count, width = new.shape
        storage = self.storage.get(name)
        if storage is None or length + count > storage.shape[2]:
            storage = new.new_empty(rows, heads, length + count + SPARE, width)
            if length:
                storage[:, :, :length] = held
            self.storage[name] = storage
        storage[:, :, length : length + count] = new
        return storage[:, :, : length + count]

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep the rows of these indices, in their order."""
        super().reorder_cache(cast(Any, beam_idx))  # copies: the storage is no longer that of the keys
        self.storage.clear()


def roomy_cache(config: PretrainedConfig) -> DynamicCache:
    """Return an empty cache for a model; layers without a window have room for tokens to come."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    if cache.layer_class_to_replicate is DynamicLayer:
        cache.layer_class_to_replicate = RoomyLayer
    return cache
