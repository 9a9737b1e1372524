"""Batches: worked examples as padded token rows, sorted by length into a few micro-batches.

Rows of one length class share a micro-batch, so that little is computed on padding. Lengths are
rounded up to multiples of 16, so that a compiled model meets few shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["IGNORE", "Row", "micro_batches"]

#: label of a position that has none
IGNORE = -100

#: one example: token ids, and a label for each position (what the model should say there)
Row = tuple[Sequence[int], Sequence[float]]


def micro_batches(
    rows: Sequence[Row], *, parts: int, pad: int, longest: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Split rows by length into ``parts`` padded batches.

    Yields
    ------
    tokens (rows, length) int64 and labels (rows, length) float32, ``IGNORE`` where there is none.
    Rows longer than ``longest`` tokens are left out.
    """
    kept = sorted((row for row in rows if len(row[0]) <= longest), key=lambda row: len(row[0]))
    size = -(-len(kept) // parts)
    for start in range(0, len(kept), size):
        chunk = kept[start : start + size]
        length = -(-len(chunk[-1][0]) // 16) * 16
        tokens: NDArray[np.int64] = np.full((len(chunk), length), pad, np.int64)
        labels: NDArray[np.float32] = np.full((len(chunk), length), IGNORE, np.float32)
        for place, (ids, marks) in enumerate(chunk):
            tokens[place, : len(ids)] = ids
            labels[place, : len(marks)] = marks
        yield torch.from_numpy(tokens), torch.from_numpy(labels)
