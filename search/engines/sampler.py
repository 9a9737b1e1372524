"""The sampler: logits in, one token per row out.

One uniform number per row and step is a hash of (the row's key, the token's index), so a draw does
not depend on what else is in the batch; the token is where the cumulative distribution passes it.
Temperature comes first, then ``top_k``, then ``top_p`` (Holtzman et al., arXiv 1904.09751), as in
vLLM. Tokens that tie with the last one kept are kept too.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

__all__ = ["draw", "uniforms"]

#: tokens of a group
_GROUP = 16


def uniforms(keys: NDArray[np.uint64], indices: NDArray[np.int64]) -> NDArray[np.float64]:
    """Numbers in [0, 1 - 2**-52], one per row: SplitMix64 (Steele et al. 2014) jumped to ``index``.

    >>> keys = np.array([7, 7, 8], dtype=np.uint64)
    >>> uniforms(keys, np.array([0, 1, 0])).round(3).tolist()
    [0.39, 0.017, 0.619]
    """
    z = keys + (indices.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    numbers: NDArray[np.float64] = (z >> np.uint64(12)).astype(np.float64) * 2.0**-52
    return numbers


def draw(
    logits: Tensor,
    temperature: NDArray[np.float32],
    top_p: NDArray[np.float64],
    top_k: NDArray[np.int64],
    uniform: NDArray[np.float64],
) -> Tensor:
    """One token per row [B] from logits [B, vocabulary]; temperature 0 takes the likeliest."""
    greedy = temperature == 0
    if greedy.all():
        return logits.argmax(-1)
    tempered = logits
    if (temperature != 1).any():
        tempered = logits / torch.from_numpy(np.where(greedy, np.float32(1), temperature))[:, None]
    probabilities = tempered.softmax(-1)
    limited = np.flatnonzero(~greedy & ((top_p < 1) | (top_k > 0)))
    if len(limited):
        rows = torch.from_numpy(limited)
        cut = _truncated(probabilities[rows].numpy(), top_p[limited], top_k[limited])
        probabilities[rows] = torch.from_numpy(cut)
    drawn = _find(probabilities, torch.from_numpy(uniform)[:, None])
    if greedy.any():
        drawn = torch.where(torch.from_numpy(greedy), logits.argmax(-1), drawn)
    return drawn


def _find(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """The token at which the cumulative distribution passes ``uniform`` [B, 1]: its group of tokens
    first, then the token in the group, since running sums over all tokens take far longer."""
    rest = -probabilities.shape[1] % _GROUP
    groups = functional.pad(probabilities, (0, rest)).view(len(probabilities), -1, _GROUP)
    mass = groups.sum(-1, dtype=torch.float64).cumsum(-1)
    aim = uniform * mass[:, -1:]
    group = torch.searchsorted(mass, aim, right=True)
    before = functional.pad(mass, (1, 0)).gather(1, group)
    inner = groups.take_along_dim(group[:, :, None], 1)[:, 0].double().cumsum(-1)
    place = torch.searchsorted(inner, aim - before, right=True)
    # should rounding have passed the group's end
    last = torch.searchsorted(inner, inner[:, -1:].contiguous())
    return (group * _GROUP + torch.minimum(place, last))[:, 0]


def _truncated(
    probabilities: NDArray[np.float32], top_p: NDArray[np.float64], top_k: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Probabilities [B, vocabulary] with all but the kept tokens set to zero."""
    ranked = -np.sort(-probabilities, axis=-1)
    size = ranked.shape[1]
    most = np.where(top_k > 0, np.minimum(top_k, size), size)
    ranked[np.arange(size)[None] >= most[:, None]] = 0
    mass = ranked.cumsum(-1, dtype=np.float64)
    last = np.minimum((mass < top_p[:, None] * mass[:, -1:]).sum(-1), most - 1)
    least = np.take_along_axis(ranked, last[:, None], -1)
    return np.where(probabilities >= least, probabilities, np.float32(0))
