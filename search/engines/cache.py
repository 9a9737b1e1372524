"""Keys and values: of one prefix (``Prefix``), of many while they are computed (``extend``), and a bounded
store of prefixes that were computed before (``PrefixStore``).

A prefix's bits do not depend on what was computed beside it, nor on whether it was computed at once
or a part at a time (see ``attention`` and ``decoder``). Knows nothing of requests.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.engines.attention import MASKED, padded, weigh
from search.engines.decoder import LEAST_ROWS, Attend, Decoder, Shape

__all__ = ["Block", "Prefix", "PrefixStore", "extend", "grown"]

#: most floats of attention scores per padded block while a prefix is extended
_SCORES = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """Keys and values [layers, kv_heads, length, d] of the first ``length`` tokens. Never written to."""

    keys: Tensor
    values: Tensor

    @property
    def length(self) -> int:
        return int(self.keys.shape[2])

    @property
    def size(self) -> int:
        """Bytes."""
        return 2 * self.keys.numel() * self.keys.element_size()


def grown(prefix: Prefix | None, keys: Tensor, values: Tensor) -> Prefix:
    """A prefix with keys and values [layers, kv_heads, T, d] of more tokens, all copied."""
    if prefix is None:
        return Prefix(keys.clone(), values.clone())
    return Prefix(torch.cat([prefix.keys, keys], 2), torch.cat([prefix.values, values], 2))


class Block:
    """``rows`` sequences side by side, padded to the same number of columns, while tokens are added.

    Tensors are [layers, rows, kv_heads, columns, d].
    """

    def __init__(self, shape: Shape, rows: int, columns: int) -> None:
        self._shape = shape
        self._columns = padded(columns)
        size = (shape.layers, rows, shape.kv_heads, self._columns, shape.head_size)
        # zeros, since an unset number times a weight of zero may still be no number
        self._keys, self._values = torch.zeros(size), torch.zeros(size)

    def put(self, row: int, prefix: Prefix) -> None:
        """Copy a prefix into the first columns of a row."""
        self._keys[:, row, :, : prefix.length] = prefix.keys
        self._values[:, row, :, : prefix.length] = prefix.values

    def take(self, row: int, length: int) -> Prefix:
        """A copy of the first columns of a row."""
        return Prefix(self._keys[:, row, :, :length].clone(), self._values[:, row, :, :length].clone())

    def attend(
        self, rows: NDArray[np.int64], places: NDArray[np.int64], positions: NDArray[np.int64]
    ) -> Attend:
        """An ``Attend`` for tokens [T], ordered by row and place.

        ``rows``: the row of each, all of 0..max(rows). ``places``: which of its row's new tokens it
        is. ``positions``: where it stands in its sequence.
        """
        s = self._shape
        count, columns, size = int(rows.max()) + 1, self._columns, s.head_size
        group = s.heads // s.kv_heads
        most = max(int(places.max()) + 1, -(-LEAST_ROWS // group))
        heads = np.arange(s.kv_heads)
        write = torch.from_numpy(
            ((rows[:, None] * s.kv_heads + heads) * columns + positions[:, None]).ravel()
        )
        place = torch.from_numpy(rows * most + places)
        hidden = torch.zeros(count * most, columns, dtype=torch.bool)
        hidden[place] = torch.from_numpy(np.arange(columns) > positions[:, None])
        mask = torch.zeros(count, 1, most, columns).masked_fill_(hidden.view(count, 1, most, columns), MASKED)
        queries = torch.zeros(count * most, s.heads, size)
        pairs = count * s.kv_heads

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self._keys[layer].view(-1, size), self._values[layer].view(-1, size)
            keys.index_copy_(0, write, k.reshape(-1, size))
            values.index_copy_(0, write, v.reshape(-1, size))
            queries.index_copy_(0, place, q)
            asked = queries.view(count, most, s.kv_heads, group, size).permute(0, 2, 3, 1, 4)
            asked = asked.reshape(pairs, group * most, size)
            scores = torch.bmm(asked, keys.view(-1, columns, size)[:pairs].transpose(1, 2))
            scores.view(count, s.heads, most, columns).add_(mask)
            found = weigh(scores.softmax(-1), values.view(-1, columns, size)[:pairs], torch.empty_like(asked))
            found = found.view(count, s.heads, most, size).transpose(1, 2).reshape(count * most, -1)
            return found.index_select(0, place)

        return attend


class PrefixStore:
    """Prefixes by their token ids, the least recently used dropped beyond ``capacity`` bytes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._size = 0
        self._entries: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()
        self._lengths: dict[int, int] = {}

    def put(self, tokens: tuple[int, ...], prefix: Prefix) -> None:
        if prefix.size > self._capacity:
            return
        if tokens in self._entries:
            self._entries.move_to_end(tokens)
            return
        self._entries[tokens] = prefix
        self._lengths[len(tokens)] = self._lengths.get(len(tokens), 0) + 1
        self._size += prefix.size
        while self._size > self._capacity:
            old, dropped = self._entries.popitem(last=False)
            self._size -= dropped.size
            self._lengths[len(old)] -= 1
            if not self._lengths[len(old)]:
                del self._lengths[len(old)]

    def longest(self, tokens: tuple[int, ...]) -> Prefix | None:
        """The longest stored prefix of ``tokens``, all of them included."""
        for length in sorted(self._lengths, reverse=True):
            if length <= len(tokens):
                found = self._entries.get(tokens[:length])
                if found is not None:
                    self._entries.move_to_end(tokens[:length])
                    return found
        return None


def extend(
    decoder: Decoder, prefixes: Sequence[Prefix | None], tokens: Sequence[Sequence[int]]
) -> tuple[list[Prefix], list[Tensor]]:
    """Run new tokens after prefixes, many at once.

    Returns the longer prefixes and, per sequence, the hidden states [T_i, hidden] before the final
    norm. No sequence of tokens may be empty. Sequences of like size share a padded block.
    """
    before = [0 if prefix is None else prefix.length for prefix in prefixes]
    order = sorted(range(len(tokens)), key=lambda i: (before[i] + len(tokens[i]), len(tokens[i])))
    longer: list[Prefix | None] = [None] * len(tokens)
    states: list[Tensor | None] = [None] * len(tokens)
    while order:
        chosen = _like(order, before, tokens, decoder.shape.heads)
        order = order[: -len(chosen)]
        lengths = np.array([len(tokens[i]) for i in chosen])
        starts = np.array([before[i] for i in chosen])
        block = Block(decoder.shape, len(chosen), int((starts + lengths).max()))
        for row, i in enumerate(chosen):
            prefix = prefixes[i]
            if prefix is not None:
                block.put(row, prefix)
        rows = np.repeat(np.arange(len(chosen)), lengths)
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
        positions = places + np.repeat(starts, lengths)
        fed = torch.tensor([token for i in chosen for token in tokens[i]])
        x = decoder.forward(fed, torch.from_numpy(positions), block.attend(rows, places, positions))
        for row, i in enumerate(chosen):
            longer[i] = block.take(row, int(starts[row] + lengths[row]))
            states[i] = x[int(ends[row] - lengths[row]) : int(ends[row])]
    return [p for p in longer if p is not None], [x for x in states if x is not None]


def _like(
    order: Sequence[int], before: Sequence[int], tokens: Sequence[Sequence[int]], heads: int
) -> list[int]:
    """As many of the last in ``order`` as fit one padded block, the largest first."""
    columns = before[order[-1]] + len(tokens[order[-1]])
    chosen: list[int] = []
    widest = 0
    for i in reversed(order):
        widest = max(widest, len(tokens[i]))
        if chosen and (len(chosen) + 1) * heads * widest * columns > _SCORES:
            break
        chosen.append(i)
    return chosen
