"""Branches: keys and values of what each child of a batch has been fed since its prompt.

Each row has its own, in columns from 0 on. Rows stand in blocks, each as wide as its longest row
needs, so that one long child does not widen all. Knows nothing of requests; the prompt is elsewhere
(``trunks``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.engines.attention import MASKED, attend, padded
from search.engines.decoder import Shape

__all__ = ["Branches"]

#: rows of one block. More rows mean fewer calls, fewer rows less padding to the longest; measured
_ROWS = 128
#: columns of a new block
_FIRST = 32

#: (layer, queries [R, heads, d], keys, values [R, kv_heads, d]) -> outputs and logarithms of masses
_Attended = Callable[[int, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class Branches:
    """Rows 0 to ``rows`` - 1, taken into use from the first on."""

    def __init__(self, shape: Shape, rows: int) -> None:
        self._shape = shape
        self._rows = rows
        self._blocks: list[_Block] = []

    def take(self, row: int, length: int) -> tuple[Tensor, Tensor]:
        """Keys and values [layers, kv_heads, length, d] of a row; to be copied before the next step."""
        return self._blocks[row // _ROWS].view(row % _ROWS, length)

    def move(self, row: int, source: int, length: int) -> None:
        """Copy the first columns of a row over another row."""
        block, other = self._blocks[row // _ROWS], self._blocks[source // _ROWS]
        block.write(row % _ROWS, other.view(source % _ROWS, length))

    def clear(self) -> None:
        """Free all memory."""
        self._blocks.clear()

    def attend(self, lengths: NDArray[np.int64]) -> _Attended:
        """How the next token of rows [R] is stored in column ``lengths`` of its row, and attends."""
        s = self._shape
        count = len(lengths)
        parts = []
        for i, start in enumerate(range(0, count, _ROWS)):
            if i == len(self._blocks):
                self._blocks.append(_Block(s, min(_ROWS, self._rows - start)))
            parts.append(
                (slice(start, start + _ROWS), self._blocks[i].attend(lengths[start : start + _ROWS]))
            )

        def attended(layer: int, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            if len(parts) == 1:
                return parts[0][1](layer, q, k, v)
            found = [one(layer, q[rows], k[rows], v[rows]) for rows, one in parts]
            return torch.cat([out for out, _ in found]), torch.cat([mass for _, mass in found])

        return attended


class _Block:
    """Tensors are [layers, rows, kv_heads, columns, d]; columns grow as they are needed."""

    def __init__(self, shape: Shape, rows: int) -> None:
        self._shape = shape
        self._columns = min(_FIRST, padded(shape.context))
        # zeros, since an unset number times a weight of zero may still be no number
        size = (shape.layers, rows, shape.kv_heads, self._columns, shape.head_size)
        self._keys, self._values = torch.zeros(size), torch.zeros(size)

    def view(self, row: int, length: int) -> tuple[Tensor, Tensor]:
        return self._keys[:, row, :, :length], self._values[:, row, :, :length]

    def write(self, row: int, found: tuple[Tensor, Tensor]) -> None:
        length = found[0].shape[2]
        self._grow(length)
        self._keys[:, row, :, :length], self._values[:, row, :, :length] = found

    def attend(self, lengths: NDArray[np.int64]) -> _Attended:
        s = self._shape
        count, pairs = len(lengths), len(lengths) * s.kv_heads
        columns = padded(int(lengths.max()) + 1)
        self._grow(columns)
        firsts = np.arange(pairs).reshape(count, s.kv_heads) * self._columns
        write = torch.from_numpy((firsts + lengths[:, None]).reshape(-1))
        hidden = np.arange(columns) > lengths[:, None]
        mask = torch.from_numpy(np.where(hidden, np.float32(MASKED), np.float32(0)))[:, None]
        wide, size = (-1, self._columns, s.head_size), s.head_size

        def attended(layer: int, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            keys, values = self._keys[layer], self._values[layer]
            keys.view(-1, size).index_copy_(0, write, k.reshape(-1, size))
            values.view(-1, size).index_copy_(0, write, v.reshape(-1, size))
            keys, values = keys.view(wide)[:pairs, :columns], values.view(wide)[:pairs, :columns]
            out, mass = attend(q.reshape(pairs, -1, size), keys, values, mask)
            return out.view(count, s.heads, size), mass.view(count, s.heads)

        return attended

    def _grow(self, columns: int) -> None:
        if columns <= self._columns:
            return
        wider = min(max(padded(columns), padded(self._columns * 3 // 2)), padded(self._shape.context))
        for name in ("_keys", "_values"):
            old: Tensor = getattr(self, name)
            new = old.new_zeros(*old.shape[:3], wider, old.shape[4])
            new[:, :, :, : self._columns] = old
            setattr(self, name, new)
        self._columns = wider
