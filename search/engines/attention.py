"""Attention over padded keys and values, in parts that are joined afterwards.

Softmax attention over two sets of columns is the mean of both attentions, weighed by the sum of
exponentials of each (Milakov and Gimelshein, arXiv 1805.02867). So a part that many rows share and a
part that each row has of its own are computed apart. Knows nothing of layers, rows and prompts.

Bits must not depend on padding and neighbours. Columns are padded to a multiple of 16 and weighed by
products of at most 192 columns, beyond which MKL cuts a product differently by its width. Functions
like the exponential run over whole vectors only: torch rounds the rest of a tensor differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["MASKED", "Part", "attend", "join", "padded", "weigh"]

Columns = TypeVar("Columns", int, NDArray[np.int64])

#: added to the scores of columns that are not there. Finite, so that a part without any has no mass
#: instead of being no number
MASKED = -1e30
#: columns are attended in multiples of this
_COLUMNS = 16
#: most columns of one weighing product
_WEIGHED = 192
#: numbers that torch computes at a time
_LANES = 32


def padded(columns: Columns) -> Columns:
    """Columns rounded up."""
    return -(-columns // _COLUMNS) * _COLUMNS


@dataclass(frozen=True, slots=True)
class Part:
    """Attention of N queries over some of their columns.

    ``out`` [N, d]; ``marks`` [2, N], N rounded up to whole vectors: the highest score of each query, and
    the weight of that score, which is one through the sum of all exp(score - highest), to the bit,
    whatever the padding.
    """

    out: Tensor
    marks: Tensor

    @classmethod
    def empty(cls, queries: int, size: int) -> Part:
        """To be filled in; the numbers behind the last query are never read into anything."""
        return cls(torch.empty(queries, size), torch.empty(2, -(-queries // _LANES) * _LANES))

    def rows(self, rows: slice) -> Part:
        """A view of some queries."""
        return Part(self.out[rows], self.marks[:, rows])

    def select(self, index: Tensor) -> Part:
        """A copy of some queries, in another order."""
        queries = index.shape[0]
        found = Part.empty(queries, self.out.shape[1])
        torch.index_select(self.out, 0, index, out=found.out)
        found.marks[:, :queries] = self.marks.index_select(1, index)
        return found


def attend(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor, part: Part) -> None:
    """Fill in a part of pairs * M queries.

    ``q`` [pairs, M, d], scaled already; ``keys``, ``values`` [pairs, columns, d]; ``mask`` [rows, 1,
    columns], where the pairs are rows times key-value heads.
    """
    pairs, queries, size = q.shape
    scores = torch.bmm(q, keys.transpose(1, 2))
    scores.view(mask.shape[0], -1, mask.shape[2]).add_(mask)
    weights = scores.softmax(-1)
    highest, top = part.marks.view(2, pairs, queries)
    torch.amax(scores, -1, out=highest)
    torch.amax(weights, -1, out=top)
    weigh(weights, values, part.out.view(pairs, queries, size))


def weigh(weights: Tensor, values: Tensor, out: Tensor) -> Tensor:
    """Fill in weights [pairs, M, columns] times values [pairs, columns, d]; returns ``out``."""
    torch.bmm(weights[:, :, :_WEIGHED], values[:, :_WEIGHED], out=out)
    for start in range(_WEIGHED, weights.shape[2], _WEIGHED):
        end = start + _WEIGHED
        out.baddbmm_(weights[:, :, start:end], values[:, start:end])
    return out


def join(one: Part, two: Part) -> Tensor:
    """Outputs [N, d] over the columns of both."""
    (one_highest, one_top), (two_highest, two_top) = one.marks, two.marks
    share = (one_highest - two_highest).sub_((one_top / two_top).log_()).sigmoid_()
    return torch.lerp(two.out, one.out, share[: one.out.shape[0], None])
