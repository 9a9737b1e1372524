"""Shared-prefix KV cache: keys and values of prompts in flight, once for all children of a request.

A query of many children against one prompt is a matrix product, where the same keys copied to every
child would be read from memory once per child. Prefixes of like length and like number of children
stand side by side in a shelf and are attended in one call. Knows nothing of requests.

A child's bits do not depend on what else stands in its shelf: columns go by the shared prefix's own length,
and every product has at least ``LEAST_ROWS`` queries (see ``decoder``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.engines.attention import MASKED, Part, attend, padded
from search.engines.cache import Prefix
from search.engines.decoder import LEAST_ROWS, Shape

__all__ = ["SharedPrefixCache"]


@dataclass(slots=True, eq=False)
class _Place:
    """Where a shared prefix stands now: it moves when another one leaves."""

    number: int
    shelf: _Shelf
    slot: int


class SharedPrefixCache:
    """The prompts of all requests that have children in the batch. ``add`` numbers a shared prefix."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._shelves: dict[tuple[int, int], _Shelf] = {}
        self._places: list[_Place | None] = []
        self._free: list[int] = []
        self._where = np.zeros(
            (0, 2), dtype=np.int64
        )  # shelf's number and slot, by the shared prefix's number

    def add(self, prefix: Prefix | None, children: int) -> int:
        """Take in a prompt (None: an empty one) that at most so many children share."""
        length = 0 if prefix is None else prefix.length
        key = (_step(padded(max(length, 1)) // 16) * 16, _eightfold(children))
        shelf = self._shelves.get(key)
        if shelf is None:
            shelf = self._shelves[key] = _Shelf(self._shape, len(self._shelves), key[0])
        if not self._free:
            self._free.append(len(self._places))
            self._places.append(None)
            if len(self._places) > len(self._where):
                self._where = np.concatenate(
                    [self._where, np.zeros((max(64, len(self._where)), 2), np.int64)]
                )
        number = self._free.pop()
        place = _Place(number, shelf, shelf.add(prefix, number))
        self._places[number] = place
        self._where[number] = shelf.number, place.slot
        return number

    def drop(self, number: int) -> None:
        """Forget a shared prefix. Another one of its shelf may move into the gap."""
        place = self._places[number]
        assert place is not None  # a number is dropped once
        self._places[number] = None
        self._free.append(number)
        moved = place.shelf.drop(place.slot)
        if moved != number:
            other = self._places[moved]
            assert other is not None  # it stands in a shelf
            other.slot = place.slot
            self._where[moved, 1] = place.slot

    def attend(self, numbers: NDArray[np.int64]) -> Callable[[int, Tensor], Part]:
        """How rows [R], each with the number of its shared prefix, attend to their shared prefixes.

        The function takes the layer and queries [R, heads, d]; its part has R * heads queries.
        """
        s = self._shape
        group = s.heads // s.kv_heads
        shelves, slots = self._where[numbers].T
        back = np.empty((len(numbers), s.heads), dtype=np.int64)
        parts: list[tuple[_Shelf, slice, Tensor, int]] = []
        offset = 0
        heads = np.arange(s.heads).reshape(1, s.kv_heads, group, 1)
        for shelf in self._shelves.values():
            rows = np.flatnonzero(shelves == shelf.number)
            if not len(rows):
                continue
            rank, most = _ranks(slots[rows], shelf.count)
            wide = max(most, -(-LEAST_ROWS // group))
            asked = np.zeros((shelf.count, 1, 1, wide), dtype=np.int64)
            asked[slots[rows], 0, 0, rank] = rows
            index = torch.from_numpy((asked * s.heads + heads).reshape(-1))
            end = offset + shelf.count * s.heads * wide
            parts.append((shelf, slice(offset, end), index, group * wide))
            back[rows] = (
                offset + (slots[rows] * s.heads)[:, None] * wide + np.arange(s.heads) * wide + rank[:, None]
            )
            offset = end
        home = torch.from_numpy(back.reshape(-1))

        def attended(layer: int, q: Tensor) -> Part:
            flat = q.reshape(-1, s.head_size)
            found = Part.empty(offset, s.head_size)
            for shelf, rows, index, queries in parts:
                each = flat.index_select(0, index).view(-1, queries, s.head_size)
                attend(each, *shelf.layer(layer), shelf.mask, found.rows(rows))
            return found.select(home)

        return attended


class _Shelf:
    """Prefixes side by side, padded to the same number of columns; slots are kept dense."""

    def __init__(self, shape: Shape, number: int, columns: int) -> None:
        self.number = number
        self._shape = shape
        self._columns = columns
        self._room = 0
        self._numbers: list[int] = []
        self._keys = self._values = torch.zeros(0)
        self._mask = torch.zeros(0)

    @property
    def count(self) -> int:
        """Prefixes in it."""
        return len(self._numbers)

    def add(self, prefix: Prefix | None, number: int) -> int:
        """The slot of a new shared prefix."""
        slot = len(self._numbers)
        self._numbers.append(number)
        if slot == self._room:
            self._grow()
        length = 0 if prefix is None else prefix.length
        if prefix is not None:
            self._keys[:, slot, :, :length] = prefix.keys
            self._values[:, slot, :, :length] = prefix.values
        self._mask[slot, :, :length] = 0
        self._mask[slot, :, length:] = MASKED
        return slot

    def drop(self, slot: int) -> int:
        """Empty a slot; the number of the shared prefix that stands there now, or stood there as the last."""
        last = len(self._numbers) - 1
        if slot != last:
            self._keys[:, slot] = self._keys[:, last]
            self._values[:, slot] = self._values[:, last]
            self._mask[slot] = self._mask[last]
            self._numbers[slot] = self._numbers[last]
        moved = self._numbers[last]
        self._numbers.pop()
        return moved

    def layer(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys and values [slots * kv_heads, columns, d]."""
        s = self._shape
        pairs = self.count * s.kv_heads
        size = (-1, self._columns, s.head_size)
        return self._keys[layer].view(size)[:pairs], self._values[layer].view(size)[:pairs]

    @property
    def mask(self) -> Tensor:
        """[slots, 1, columns]."""
        return self._mask[: self.count]

    def _grow(self) -> None:
        s = self._shape
        room = max(4, 2 * self._room)
        # zeros, since an unset number times a weight of zero may still be no number
        size = (s.layers, room, s.kv_heads, self._columns, s.head_size)
        keys, values, mask = torch.zeros(size), torch.zeros(size), torch.zeros(room, 1, self._columns)
        if self._room:
            keys[:, : self._room] = self._keys
            values[:, : self._room] = self._values
            mask[: self._room] = self._mask
        self._keys, self._values, self._mask, self._room = keys, values, mask, room


def _ranks(slots: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], int]:
    """Which of its slot's rows each row is, in order, and the most rows of any slot."""
    order = np.argsort(slots, kind="stable")
    sizes = np.bincount(slots, minlength=count)
    rank = np.empty(len(slots), dtype=np.int64)
    rank[order] = np.arange(len(slots)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank, int(sizes.max())


def _step(n: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, 16, ...: at most half is padding."""
    power = 1 << (n - 1).bit_length()
    return power * 3 // 4 if power >= 4 and n <= power * 3 // 4 else power


def _eightfold(n: int) -> int:
    """The next of 1, 8, 64, ..."""
    size = 1
    while size < n:
        size *= 8
    return size
