"""A handful of choices worth deciding between: those that training groups would pick at some price.

Every candidate that is kept is one more noisy estimate whose luck may win (the winner's curse), so a
choice must earn its place: greedily, the one that adds most to what a coarse lookup would gain, summed
over prices. Groups are domains crossed with the agreement of the probe, so large that their means
are sure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from planner.evidence.matrix import Matrix
from search.choice import Choice

__all__ = ["shortlist"]

Floats = NDArray[np.float64]

_SMALLEST_GROUP = 40


def shortlist(
    matrix: Matrix,
    domains: Sequence[str],
    signal: Floats,
    prices: Floats,
    most: int,
    *,
    always: Sequence[Choice] = (),
) -> tuple[Choice, ...]:
    """At most ``most`` choices of a matrix, ``always`` among them.

    ``signal`` (N,) coarsely orders rows by what was seen (the probe's agreement, say).
    """
    groups = _groups(matrix, domains, signal)
    count = groups.max() + 1
    share = np.bincount(groups, minlength=count) / len(groups)

    def means(values: Floats) -> Floats:
        total = np.stack(
            [np.bincount(groups, values[:, c], minlength=count) for c in range(values.shape[1])], axis=1
        )
        return np.asarray(total / np.maximum(np.bincount(groups, minlength=count), 1)[:, None])

    # (prices, groups, choices) what each would gain
    net = means(matrix.values)[None] - prices[:, None, None] * means(matrix.flops)[None]
    # and under hard caps: the best that fits, so that every budget finds something
    mean = matrix.flops.mean(axis=0)
    caps = np.geomspace(max(mean.min(), 1e-9), max(mean.max(), 1e-9), 8)
    fitting = np.where(mean[None, None] <= caps[:, None, None] * (1 + 1e-9), means(matrix.values)[None], -1.0)
    net = np.concatenate([net, fitting]) * share[None, :, None]
    taken = [matrix.choices.index(choice) for choice in always]
    best = net[:, :, taken].max(axis=2) if taken else np.full(net.shape[:2], -1e9)
    while len(taken) < min(most, len(matrix.choices)):
        gains = np.maximum(net - best[:, :, None], 0.0).sum(axis=(0, 1))
        gains[taken] = -1.0
        winner = int(gains.argmax())
        if gains[winner] <= 1e-6 * len(net):
            break
        taken.append(winner)
        best = np.maximum(best, net[:, :, winner])
    return tuple(matrix.choices[c] for c in sorted(taken))


def _groups(matrix: Matrix, domains: Sequence[str], signal: Floats) -> NDArray[np.int64]:
    _, domain = np.unique(np.asarray(domains)[matrix.problem], return_inverse=True)
    edges = np.unique(np.quantile(signal, [0.25, 0.5, 0.75]))
    mixed = domain * (len(edges) + 1) + np.searchsorted(edges, signal, side="left")
    _, groups, sizes = np.unique(mixed, return_inverse=True, return_counts=True)
    # rows of a group too small to be sure of fall together
    small = sizes[groups] < _SMALLEST_GROUP
    return np.unique(np.where(small, -1, groups), return_inverse=True)[1]
