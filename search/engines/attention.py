"""Attention over padded keys and values, in parts that are joined by their masses.

Softmax attention over two sets of columns is the mean of both attentions, weighed by the sum of
exponentials of each (Milakov and Gimelshein, arXiv 1805.02867). So a part that many rows share and a
part that each row has of its own are computed apart. Knows nothing of layers, rows and prompts.

Columns are padded to a multiple of 16 and weighed by products of at most 192 columns: beyond that
MKL cuts a product differently by its width, and a row's bits would depend on what it is padded to.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["MASKED", "attend", "join", "padded", "weigh"]

#: added to the scores of columns that are not there. Finite, so that a part without columns is no number
#: wrongly, but has no mass
MASKED = -1e30
#: columns are attended in multiples of this
_COLUMNS = 16
#: most columns of one weighing product
_WEIGHED = 192


def padded(columns: int) -> int:
    """Columns rounded up."""
    return -(-columns // _COLUMNS) * _COLUMNS


def attend(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs [pairs, M, d] and the logarithms of their masses [pairs, M].

    ``q`` [pairs, M, d], scaled already; ``keys``, ``values`` [pairs, columns, d]; ``mask`` [rows, 1,
    columns], where the pairs are rows times key-value heads.
    """
    scores = torch.bmm(q, keys.transpose(1, 2))
    scores.view(len(mask), -1, mask.shape[2]).add_(mask)
    highest = scores.amax(-1)
    weights = scores.softmax(-1)
    # the highest score has the weight 1 / sum(exp(score - highest)): exact, whatever the padding
    mass = highest.sub_(weights.amax(-1).log_())
    return weigh(weights, values), mass


def weigh(weights: Tensor, values: Tensor) -> Tensor:
    """Weights [pairs, M, columns] times values [pairs, columns, d]."""
    columns = weights.shape[2]
    found = torch.bmm(weights[:, :, :_WEIGHED], values[:, :_WEIGHED])
    for start in range(_WEIGHED, columns, _WEIGHED):
        end = start + _WEIGHED
        found = torch.baddbmm(found, weights[:, :, start:end], values[:, start:end])
    return found


def join(one: Tensor, one_mass: Tensor, two: Tensor, two_mass: Tensor) -> Tensor:
    """Outputs [..., d] over the columns of both parts; masses [...] are logarithms."""
    return torch.lerp(two, one, one_mass.sub(two_mass).sigmoid_().unsqueeze(-1))
