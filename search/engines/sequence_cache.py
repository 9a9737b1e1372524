"""Per-sequence KV cache: keys and values of what each child of a batch has been fed since its prompt.

Each row has its own, in columns from 0 on. Rows stand in blocks, each as wide as its longest row
needs. Rows that begin together share a block and so are equally long; others join it only where the
columns that this pads cost less than one more block. Knows nothing of requests; the prompt is
elsewhere (``shared_prefix_cache``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.engines.attention import MASKED, Part, attend, padded
from search.engines.decoder import Shape

__all__ = ["SequenceCache"]

#: most rows of one block: what is read of it in one layer should fit the processor's cache
_ROWS = 128
#: columns of a new block
_FIRST = 32
#: padding, in columns over all rows of a block, that costs as much as one more block (measured)
_WORTH = 512

_Fill = Callable[[int, Tensor, Tensor, Tensor, Part], None]


class SequenceCache:
    """Rows 0, 1, 2, ...: ``append`` adds them at the end, ``drop`` tells the order of those that stay.

    ``rows`` is the most there will be at a time.
    """

    def __init__(self, shape: Shape, rows: int) -> None:
        self._shape = shape
        self._rows = min(rows, _ROWS)
        self._blocks: list[_Block] = []
        self._spare: list[_Block] = []

    def append(self, rows: int) -> None:
        """Add rows that begin together, at the end."""
        while rows:
            last = self._blocks[-1] if self._blocks else None
            if last is None or not last.takes(min(rows, self._rows - last.count)):
                last = self._spare.pop() if self._spare else _Block(self._shape, self._rows)
                self._blocks.append(last)
            added = min(rows, self._rows - last.count)
            last.count += added
            rows -= added

    def drop(self, rows: Sequence[int]) -> NDArray[np.int64]:
        """Forget rows; the old places of those that stay, in their new order."""
        gone = np.zeros(sum(block.count for block in self._blocks), dtype=bool)
        gone[list(rows)] = True
        order: list[NDArray[np.int64]] = []
        start = 0
        for block in self._blocks:
            leaving = gone[start : start + block.count]
            order.append(start + block.drop(leaving))
            start += len(leaving)
        self._tidy()
        return np.concatenate(order)

    def take(self, row: int, length: int) -> tuple[Tensor, Tensor]:
        """Keys and values [layers, kv_heads, length, d] of a row; to be copied before the next step."""
        for block in self._blocks:
            if row < block.count:
                return block.take(row, length)
            row -= block.count
        raise IndexError("a row must be one of those in use, got one beyond the last")

    def attend(self, lengths: NDArray[np.int64]) -> Callable[[int, Tensor, Tensor, Tensor], Part]:
        """How the next tokens of all rows [R], which hold ``lengths`` columns, are stored and attend.

        The function takes the layer, queries [R, heads, d], keys and values [R, kv_heads, d]; its part
        has R * heads queries.
        """
        s = self._shape
        parts: list[tuple[slice, slice, _Fill]] = []
        start = 0
        for block in self._blocks:
            end = start + block.count
            queries = slice(start * s.heads, end * s.heads)
            parts.append((slice(start, end), queries, block.attend(lengths[start:end])))
            start = end

        def attended(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Part:
            found = Part.empty(start * s.heads, s.head_size)
            for rows, queries, fill in parts:
                fill(layer, q[rows], k[rows], v[rows], found.rows(queries))
            return found

        return attended

    def _tidy(self) -> None:
        """Set empty blocks aside and join neighbours."""
        kept: list[_Block] = []
        for block in self._blocks:
            if block.count and kept and kept[-1].joins(block):
                kept[-1].join(block)
            if block.count:
                kept.append(block)
            else:
                self._spare.append(block)
        self._blocks = kept
        if not kept:  # idle: one small block is enough to begin with
            self._spare = [block for block in self._spare if block.is_small][:1]


class _Block:
    """Up to ``rows`` rows. Keys and values: [layers, 2, rows, kv_heads, columns, d], columns as needed."""

    def __init__(self, shape: Shape, rows: int) -> None:
        self._shape = shape
        self._rows = rows
        self._columns = min(_FIRST, padded(shape.context))  # there are
        self._used = padded(1)  # are attended
        self._waste = 0  # of those, over all rows, beyond what each row needs
        self.count = 0
        # zeros, since an unset number times a weight of zero may still be no number
        self._held = torch.zeros(shape.layers, 2, rows, shape.kv_heads, self._columns, shape.head_size)

    @property
    def is_small(self) -> bool:
        """Whether it has not grown much."""
        return self._columns <= 2 * _FIRST

    def takes(self, rows: int) -> bool:
        """Whether there is room for new rows, and padding them pays."""
        return rows > 0 and self._waste + rows * (self._used - padded(1)) <= _WORTH

    def joins(self, other: _Block) -> bool:
        """Whether there is room for all rows of another block, and padding pays."""
        count, used = self.count + other.count, max(self._used, other._used)
        waste = count * used - self.count * self._used - other.count * other._used
        return count <= self._rows and self._waste + other._waste + waste <= _WORTH

    def join(self, other: _Block) -> None:
        """Take over all rows of another block, behind its own."""
        rows, used = slice(self.count, self.count + other.count), other._used
        self._grow(used)
        self._held[:, :, rows, :, :used] = other._held[:, :, : other.count, :, :used]
        self._used = max(self._used, used)
        self.count, other.count = rows.stop, 0

    def drop(self, leaving: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Forget rows and close the gaps; the old places of those that stay, in their new order."""
        order = np.arange(self.count)
        self.count -= int(leaving.sum())
        gaps = np.flatnonzero(leaving[: self.count])
        if len(gaps):
            fillers = self.count + np.flatnonzero(~leaving[self.count :])
            order[gaps] = fillers
            into, source = torch.from_numpy(gaps), torch.from_numpy(fillers)
            self._held[:, :, into, :, : self._used] = self._held[:, :, source, :, : self._used]
        return order[: self.count]

    def take(self, row: int, length: int) -> tuple[Tensor, Tensor]:
        """Views of the first columns of a row."""
        return self._held[:, 0, row, :, :length], self._held[:, 1, row, :, :length]

    def attend(self, lengths: NDArray[np.int64]) -> _Fill:
        """How one token more of each row fills in its part."""
        s = self._shape
        pairs, size = self.count * s.kv_heads, s.head_size
        self._used = columns = padded(int(lengths.max()) + 1)
        self._waste = self.count * columns - int(padded(lengths + 1).sum())
        self._grow(columns)
        wide = self._columns
        firsts = np.arange(pairs).reshape(self.count, s.kv_heads) * wide + lengths[:, None]
        write = torch.from_numpy(np.stack([firsts, firsts + self._rows * s.kv_heads * wide]).ravel())
        hidden = np.arange(columns) > lengths[:, None]
        mask = torch.from_numpy(np.where(hidden, np.float32(MASKED), np.float32(0)))[:, None]

        def fill(layer: int, q: Tensor, k: Tensor, v: Tensor, part: Part) -> None:
            self._held[layer].view(-1, size).index_copy_(0, write, torch.stack((k, v)).view(-1, size))
            keys, values = self._held[layer].view(2, -1, wide, size)[:, :pairs, :columns]
            attend(q.reshape(pairs, -1, size), keys, values, mask, part)

        return fill

    def _grow(self, columns: int) -> None:
        if columns <= self._columns:
            return
        wider = min(max(columns, 2 * self._columns), padded(self._shape.context))
        held = self._held.new_zeros(*self._held.shape[:4], wider, self._shape.head_size)
        held[:, :, : self.count, :, : self._columns] = self._held[:, :, : self.count]
        self._held = held
        self._columns = wider
