"""Keys and values: of one prefix (``Prefix``), of many rows side by side (``Block``), and a bounded
store of prefixes that were computed before (``PrefixStore``).

Rows are left-aligned and attended over a multiple of 16 columns with at least ``query_rows``
queries: so a row's bits do not depend on its neighbours, nor on whether its prefix was prefilled
at once, decoded token by token or taken from the store (measured; see ``decoder``).
Knows nothing of requests.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.engines.attention import weigh
from search.engines.decoder import LEAST_ROWS, Attend, Decoder, Shape

__all__ = ["Block", "Prefix", "PrefixStore", "extend", "grown"]

#: columns are attended in multiples of this
_COLUMNS = 16
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
    """Up to ``rows`` sequences side by side, each with its own keys and values.

    Tensors are [layers, rows, kv_heads, columns, d]; columns grow as they are needed.
    """

    def __init__(self, shape: Shape, rows: int, columns: int) -> None:
        self._shape = shape
        self.rows = rows
        self._columns = _up(columns)
        size = (shape.layers, rows, shape.kv_heads, self._columns, shape.head_size)
        # zeros, since an unset number times a weight of zero may still be no number
        self._keys, self._values = torch.zeros(size), torch.zeros(size)

    def put(self, row: int, prefix: Prefix) -> None:
        """Copy a prefix into the first columns of a row."""
        self._grow(prefix.length)
        self._keys[:, row, :, : prefix.length] = prefix.keys
        self._values[:, row, :, : prefix.length] = prefix.values

    def take(self, row: int, length: int) -> Prefix:
        """A copy of the first columns of a row."""
        return Prefix(self._keys[:, row, :, :length].clone(), self._values[:, row, :, :length].clone())

    def move(self, row: int, source: Block, source_row: int, length: int) -> None:
        """Copy a row of another block (or this one) over a row."""
        self._grow(length)
        self._keys[:, row, :, :length] = source._keys[:, source_row, :, :length]
        self._values[:, row, :, :length] = source._values[:, source_row, :, :length]

    def attend(
        self, rows: NDArray[np.int64], places: NDArray[np.int64], positions: NDArray[np.int64]
    ) -> Attend:
        """An ``Attend`` for tokens [T], ordered by row and place.

        ``rows``: the row of each, all of 0..max(rows). ``places``: which of its row's new tokens it
        is. ``positions``: where it stands in its sequence.
        """
        s = self._shape
        count, new = int(rows.max()) + 1, int(places.max()) + 1
        columns = _up(int(positions.max()) + 1)
        self._grow(columns)
        group = s.heads // s.kv_heads
        padded = max(new, -(-LEAST_ROWS // group))
        single = new == 1
        heads = np.arange(s.kv_heads)
        write = torch.from_numpy(
            ((rows[:, None] * s.kv_heads + heads) * self._columns + positions[:, None]).reshape(-1)
        )
        query = torch.from_numpy(rows * padded + places)
        mask = torch.zeros(count * padded, columns)
        hidden = torch.from_numpy(np.arange(columns)[None] > positions[:, None])
        mask[query] = torch.zeros(len(rows), columns).masked_fill_(hidden, -torch.inf)
        mask = mask.view(count, 1, padded, columns)
        pairs = count * s.kv_heads
        if single:
            queries = torch.zeros(count, s.kv_heads, group, padded, s.head_size)
        else:
            queries = torch.zeros(count * padded, s.heads, s.head_size)

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self._keys[layer], self._values[layer]
            keys.view(-1, s.head_size).index_copy_(0, write, k.reshape(-1, s.head_size))
            values.view(-1, s.head_size).index_copy_(0, write, v.reshape(-1, s.head_size))
            if single:
                queries[:, :, :, 0] = q.view(count, s.kv_heads, group, s.head_size)
                asked = queries
            else:
                queries[query] = q
                asked = queries.view(count, padded, s.kv_heads, group, s.head_size).permute(0, 2, 3, 1, 4)
            asked = asked.reshape(pairs, group * padded, s.head_size)
            keys = keys.view(-1, self._columns, s.head_size)[:pairs, :columns]
            values = values.view(-1, self._columns, s.head_size)[:pairs, :columns]
            scores = torch.bmm(asked, keys.transpose(1, 2))
            scores.view(count, s.heads, padded, columns).add_(mask)
            found = weigh(scores.softmax(-1), values).view(count, s.heads, padded, s.head_size)
            if single:
                return found[:, :, 0].reshape(count, -1)
            return found.transpose(1, 2).reshape(count * padded, -1)[query]

        return attend

    def _grow(self, columns: int) -> None:
        if columns <= self._columns:
            return
        wider = min(max(_up(columns), _up(self._columns * 3 // 2)), _up(self._shape.context))
        for name in ("_keys", "_values"):
            old: Tensor = getattr(self, name)
            new = torch.zeros(*old.shape[:3], wider, old.shape[4])
            new[:, :, :, : self._columns] = old
            setattr(self, name, new)
        self._columns = wider


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


def _up(columns: int) -> int:
    return -(-columns // _COLUMNS) * _COLUMNS
