"""Keys and values of every block in buffers that are made once. Knows no model, draws nothing.

A cache that grows by concatenation copies its whole past at every token. The buffers of a block are
[rows, heads, capacity, width of a head]; only what lies before the cursor is ever read.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin

# What families keep for a block that is written here: keys and values, or nothing of its own. By
# name: not every version of transformers that reads a Qwen3 has all of them.
PLAIN_LAYERS = ("DynamicLayer", "DynamicSlidingWindowLayer", "DummyLayer")


class BufferedLayer(CacheLayerMixin):
    """A block's keys and values, written at a cursor and read as views.

    A sliding block keeps what is behind its window, too: the mask leaves it out.
    """

    is_sliding = False

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity, self._length = capacity, 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate buffers for as many rows as these states have."""
        self.keys, self.values = self._empty(key_states), self._empty(value_states)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write these states behind the cursor; returns all keys and all values up to them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, self._length = self._length, self._length + key_states.shape[2]
        self.keys[:, :, start : self._length] = key_states
        self.values[:, :, start : self._length] = value_states
        return self._past(self.keys), self._past(self.values)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """The number of keys that the next queries see, and the position of the first."""
        return self._length + query_length, 0

    def get_seq_length(self) -> int:
        """The number of tokens that are held."""
        return self._length

    def get_max_length(self) -> int:
        """-1: to transformers, no maximum that a mask would have to reach to."""
        return -1

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Hold every row `repeats` times."""
        if self.is_initialized and repeats > 1:
            self.keys = self._repeated(self.keys, repeats)
            self.values = self._repeated(self.values, repeats)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Hold these rows only; the memory of the others stays allocated."""
        if self.is_initialized:
            # Indexing copies before it writes, so that rows may move up within one buffer; what is
            # left is a view of its beginning.
            own = indices.to(self.keys.device)  # a model may be spread over several
            for buffer in (self.keys, self.values):
                self._past(buffer)[: len(own)] = self._past(buffer)[own]
            self.keys, self.values = self.keys[: len(indices)], self.values[: len(indices)]

    def trim(self, num_columns: int) -> None:
        """Forget the oldest columns; their memory goes with the next copy."""
        if not self.is_initialized:
            return
        self.keys, self.values = self.keys[:, :, num_columns:], self.values[:, :, num_columns:]
        self._length -= num_columns

    def copied(self, repeats: int, capacity: int) -> "BufferedLayer":
        """A layer of its own that holds every row `repeats` times."""
        made = BufferedLayer(capacity)
        if self.is_initialized:
            made._length = self._length
            made.keys = made._repeated(self.keys, repeats)
            made.values = made._repeated(self.values, repeats)
            made.is_initialized = True
        return made

    def joined(self, others: Sequence["BufferedLayer"], capacity: int) -> "BufferedLayer":
        """A layer with the rows of all, each at the right edge of what is held."""
        made, all_layers = BufferedLayer(capacity), (self, *others)
        if not self.is_initialized:
            return made
        made.keys = _joined([layer._past(layer.keys) for layer in all_layers], capacity)
        made.values = _joined([layer._past(layer.values) for layer in all_layers], capacity)
        made._length = max(layer._length for layer in all_layers)
        made.is_initialized = True
        return made

    def _past(self, buffer: Tensor) -> Tensor:
        return buffer[:, :, : self._length]

    def _empty(self, states: Tensor, repeats: int = 1) -> Tensor:
        num_rows, num_heads, _, width = states.shape
        return states.new_empty(num_rows * repeats, num_heads, self._capacity, width)

    def _repeated(self, buffer: Tensor, repeats: int) -> Tensor:
        # Only the past is copied: the rest of the buffer holds nothing yet.
        wider = self._empty(buffer, repeats)
        past = self._past(buffer)
        self._past(wider).unflatten(0, (-1, repeats)).copy_(past[:, None])
        return wider


def buffered_cache(capacity: int) -> Cache:
    """An empty cache for `capacity` tokens a row."""
    return Cache(layer_class_to_replicate=partial(BufferedLayer, capacity))


def length_of(cache: Cache) -> int:
    """The number of columns that a cache holds."""
    # Of all blocks: one that keeps nothing of its own holds no column.
    return max(layer.get_seq_length() for layer in _layers(cache))


def trimmed_cache(cache: Cache, num_columns: int) -> None:
    """Forget the oldest columns of every block."""
    for layer in _layers(cache):
        layer.trim(num_columns)


def copied_cache(cache: Cache, repeats: int, *, capacity: int) -> Cache:
    """A cache of its own with every row of another `repeats` times."""
    return Cache(layers=[layer.copied(repeats, capacity) for layer in _layers(cache)])


def joined_caches(caches: Sequence[Cache], *, capacity: int) -> Cache:
    """A cache with the rows of all; those of shorter ones stand at the right, behind zeros."""
    by_block = zip(*map(_layers, caches), strict=True)
    return Cache(layers=[first.joined(others, capacity) for first, *others in by_block])


def _layers(cache: Cache) -> list[BufferedLayer]:
    layers = [layer for layer in cache.layers if isinstance(layer, BufferedLayer)]
    assert len(layers) == len(cache.layers)
    return layers


def _joined(parts: Sequence[Tensor], capacity: int) -> Tensor:
    length = max(part.shape[2] for part in parts)
    num_rows, (_, num_heads, _, width) = sum(map(len, parts)), parts[0].shape
    # Zeros where a row has nothing: what is masked is still multiplied, and 0 times NaN is NaN.
    made, start = parts[0].new_zeros(num_rows, num_heads, capacity, width), 0
    for part in parts:
        made[start : start + len(part), :, length - part.shape[2] : length] = part
        start += len(part)
    return made


def require_plain_cache(model: PreTrainedModel) -> None:
    """Raise where a block keeps anything else than keys and values, which would be lost."""
    kept = {type(layer).__name__ for layer in DynamicCache(config=model.config).layers}
    if odd := sorted(kept.difference(PLAIN_LAYERS)):
        raise ValueError(
            f"{type(model).__name__} keeps {', '.join(odd)} in its cache; texts are drawn only "
            "from a family that keeps nothing but keys and values: name a model of another one"
        )
