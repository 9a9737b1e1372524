"""Learns from a campaign log and from traffic together: ``planner refit``.

The campaign says what every choice is worth on every problem. Traffic says only whether the choice that ran
was right, on questions that are really asked. A planner is fitted on the campaign; what it expects of the
choices that ran is compared with what came of them, each decision weighted by its inverse propensity
(clipped) and by the inverse of its chance of feedback; the differences, by policy, PRM, strategy, choice and
domain, move the campaign's values (``planner.traffic.effects``); then the planner is fitted again, folds,
portfolio, promises and verdict with it. How much differences are shrunk is chosen on questions that were
left out, and no difference at all is among what is tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.traffic.effects import Effects, labels_of
from planner.traffic.estimates import clip_of, effective_size
from planner.traffic.gather import Gathered, Outcomes
from planner.traffic.missing import chances
from search.errors import TooLittleDataError

__all__ = ["ENOUGH", "Learned", "learn_effects"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: outcomes, by effective size, that traffic must bring
ENOUGH = 50
#: of what is added to the diagonal, in effective outcomes; infinity learns nothing
_RIDGES = (10.0, 30.0, 100.0, 300.0, 1000.0, np.inf)
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Learned:
    """Shifts that traffic shows, from how many outcomes (effectively), and how strongly they were shrunk.

    ``gain`` is by how much they bring the mean squared error of left-out outcomes down."""

    effects: Effects
    outcomes: int
    effective: float
    ridge: float
    gain: float


def learn_effects(gathered: Gathered, found: Outcomes, rows: Bools) -> Learned:
    """Shifts of choices from the decisions that ``rows`` (N,) marks.

    Parameters
    ----------
    gathered:
        With the planner that was fitted on the campaign followed through the log.
    found:
        The outcomes that count.

    Raises TooLittleDataError for fewer than ``ENOUGH`` effective outcomes.
    """
    inverse = 1.0 / np.maximum(chances(gathered.covariates, found.known, gathered.clusters), 1e-12)
    used = rows & found.known & np.isfinite(gathered.logged)
    weight = np.minimum(1.0 / gathered.propensity, clip_of(int(rows.sum()))) * inverse
    effective = effective_size(weight[used], gathered.clusters[used]) if used.any() else 0.0
    if effective < ENOUGH:
        raise TooLittleDataError(
            f"a refit takes outcomes of an effective size of at least {ENOUGH}, got {effective:.0f} "
            f"of {int(used.sum()):,}"
        )
    problem = _Problem.of(gathered, found.values - gathered.logged, weight, used)
    losses = {ridge: problem.left_out(ridge) for ridge in _RIDGES}
    # the strongest of those that are as good as the best
    ridge = max(r for r, loss in losses.items() if loss <= min(losses.values()) * (1.0 + 1e-4))
    shifts = problem.solve(np.ones(len(problem.fold), bool), ridge)
    return Learned(
        effects=Effects(
            {n: float(np.clip(s, -1.0, 1.0)) for n, s in zip(problem.names, shifts, strict=True) if s}
        ),
        outcomes=int(used.sum()),
        effective=effective,
        ridge=float(ridge),
        gain=1.0 - losses[ridge] / losses[np.inf],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """A ridge regression of differences (n,) on the groups (n, L) that each belongs to."""

    names: tuple[str, ...]
    groups: Ints
    off: Floats
    weight: Floats
    fold: Ints

    @classmethod
    def of(cls, gathered: Gathered, off: Floats, weight: Floats, used: Bools) -> _Problem:
        known: dict[str, int] = {}
        table: dict[tuple[int, int], list[int]] = {}
        pairs = list(zip(gathered.choice[used].tolist(), gathered.domain[used].tolist(), strict=True))
        for choice, domain in dict.fromkeys(pairs):
            labels = labels_of(*gathered.choices[choice], gathered.domains[domain])
            table[choice, domain] = [known.setdefault(label, len(known)) for label in labels]
        groups = np.array([table[pair] for pair in pairs])
        own = weight[used]
        return cls(tuple(known), groups, off[used], own / own.mean(), gathered.clusters[used] % _FOLDS)

    def solve(self, rows: Bools, ridge: float) -> Floats:
        """(G,) shifts from some rows."""
        count = len(self.names)
        if not np.isfinite(ridge):
            return np.zeros(count)
        groups, weight = self.groups[rows], self.weight[rows]
        gram, right = np.zeros((count, count)), np.zeros(count)
        for one in range(groups.shape[1]):
            right += np.bincount(groups[:, one], weights=weight * self.off[rows], minlength=count)
            for other in range(groups.shape[1]):
                cells = groups[:, one] * count + groups[:, other]
                gram += np.bincount(cells, weights=weight, minlength=count**2).reshape(count, count)
        return np.asarray(np.linalg.solve(gram + ridge * np.eye(count), right))

    def left_out(self, ridge: float) -> float:
        """The weighted mean squared error on questions that were left out."""
        total = 0.0
        for fold in range(_FOLDS):
            out = self.fold == fold
            if not out.any():
                continue
            shifts = self.solve(~out, ridge)
            miss = self.off[out] - shifts[self.groups[out]].sum(axis=1)
            total += float(self.weight[out] @ miss**2)
        return total / float(self.weight.sum())
