"""What the thoughts of a probe tell: how long they are, and how many of them a budget ended.

A log may not know, and trees know no missing values: where the thoughts of a probe are not known all its
columns are ``MISSING``, which no thought is. As in ``planner.features.probe``, samples are added up strictly
one after the other, and the same function serves training and requests.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.result import Candidate

__all__ = ["MISSING", "THOUGHTS", "thoughts", "thoughts_of"]

Floats = NDArray[np.float64]

#: names of what ``thoughts`` returns
THOUGHTS = ("thought_share", "log_mean_thought", "thought_spread", "thought_cut_share")
#: stands for what is not known
MISSING = -1.0


def thoughts(tokens: Floats, thought: Floats, cut: Floats) -> Floats:
    """(probes, len(THOUGHTS)).

    Parameters
    ----------
    tokens, thought, cut:
        (probes, k) generated tokens, how many of them are thought, and 1 where a budget or a limit ended it;
        NaN in ``thought``: not known.
    """
    known: NDArray[np.bool_] = np.asarray(~np.isnan(thought).any(axis=1))
    held = np.where(known[:, None], thought, 0.0)
    k = thought.shape[1]
    mean = _total(held) / k
    spread = np.sqrt(_total((held - mean[:, None]) ** 2) / k)
    columns = [
        _total(held / np.maximum(tokens, 1.0)) / k,
        np.log1p(mean),
        spread / np.maximum(mean, 1.0),
        _total(cut) / k,
    ]
    return np.where(known[:, None], np.stack(columns, axis=-1), MISSING)


def thoughts_of(candidates: Sequence[Candidate]) -> tuple[Floats, Floats]:
    """(1, k) tokens of thought, and which were cut, of live candidates; as a log holds them."""
    told = [[candidate.thought_tokens for candidate in candidates]]
    cut = [[float(candidate.thought_cut) for candidate in candidates]]
    return np.array(told, np.float64), np.array(cut, np.float64)


def _total(values: Floats) -> Floats:
    """Sums over the last axis, strictly from left to right."""
    return np.asarray(np.add.accumulate(values, axis=-1)[..., -1] + 0.0)
