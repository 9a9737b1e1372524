"""Votes over many subsets of one pool at once: who wins, and is the winner right.

The same rules as ``search.voting.votes.pick`` (ties: higher single score, then earlier draw), on arrays.
Samples of a pool are exchangeable, so a subset is taken in random order and the last tie-break,
"the earlier draw", becomes an expectation: among tied groups the first drawn sample belongs to
each with a probability in proportion to its count. Members of a group count as right with the
group's share of right samples (1 or 0 wherever equal answers are graded equally).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Ballots", "VoteOutcomes"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: sums of weights closer than this share of the largest are one weight: sums are not exact here
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class VoteOutcomes:
    """For each of B subsets: the expected correctness of its answer (where none can be read, that of a
    sample by its own verdict), and the score of the candidate that speaks (NaN where unreadable or no
    scores were given)."""

    correct: Floats
    reward: Floats


class Ballots:
    """The readable samples of one pool, sorted by group, ready to be counted.

    Parameters
    ----------
    group, correct:
        (N,) as in ``Pool``.
    fixed:
        The first ``fixed`` samples (a probe) are in every subset and were drawn before all others,
        in this order; their ties are broken by place, not by expectation.
    """

    def __init__(self, group: Ints, correct: Bools | Floats, fixed: int = 0) -> None:
        readable = np.flatnonzero(group >= 0)
        self._columns = readable[np.argsort(group[readable], kind="stable")]
        sorted_groups = group[self._columns]
        self._starts = (
            np.flatnonzero(np.r_[True, sorted_groups[1:] != sorted_groups[:-1]])
            if len(readable)
            else readable
        )
        sizes = np.diff(np.r_[self._starts, len(self._columns)])
        self._right = (
            np.add.reduceat(correct[self._columns].astype(np.float64), self._starts) / sizes
            if len(sizes)
            else sizes
        )
        # the stable sort keeps draw order inside a group, so its first column is its first member
        first = self._columns[self._starts] if len(sizes) else readable
        self._place = np.where(first < fixed, first, np.iinfo(np.int64).max)
        # where nothing can be read the first sample is the answer, as its own record judged it
        unread = correct[group < 0]
        self._unread = float(unread.mean()) if len(unread) else 0.0
        self.groups = len(sizes)

    def members(self, membership: Bools) -> tuple[Bools, Floats]:
        """(B, R) membership of the readable samples in group order, and (B, G) counts.

        Shared by every count over the same subsets: pass it on.
        """
        inside = membership[:, self._columns]
        counts = (
            np.add.reduceat(inside, self._starts, axis=1, dtype=np.float64) if self.groups else inside[:, :0]
        )
        return inside, counts.astype(np.float64, copy=False)

    def count_votes(
        self, inside: Bools, counts: Floats, scores: Floats | None, *, weighted: bool
    ) -> VoteOutcomes:
        """Count the votes of B subsets.

        Parameters
        ----------
        inside, counts:
            As ``members`` returned them.
        scores:
            (N,) scores, or None where no PRM was asked.
        weighted:
            Whether a vote weighs its score (needs scores) or one.
        """
        rows = len(inside)
        if not self.groups:
            return VoteOutcomes(np.full(rows, self._unread), np.full(rows, np.nan))
        values = None if scores is None else scores[self._columns]
        if weighted:
            if values is None:
                raise ValueError("a weighted vote needs scores, got none")
            votes = np.add.reduceat(inside * values, self._starts, axis=1)
            votes[counts == 0] = -np.inf
            top = votes.max(axis=1)
            leads = votes >= (top - _ROUNDING * np.abs(top))[:, None]
            leads &= counts > 0
        else:
            top = counts.max(axis=1)
            leads = (counts == top[:, None]) & (counts > 0)
        speakers = None
        if values is not None:
            speakers = np.maximum.reduceat(np.where(inside, values, -np.inf), self._starts, axis=1)
        winner = leads.argmax(axis=1)
        any_vote = leads.any(axis=1)
        correct = np.where(any_vote, self._right[winner], self._unread)
        tied = np.flatnonzero(leads.sum(axis=1) > 1)
        if len(tied):
            still = leads[tied]
            if speakers is not None:
                best = np.where(still, speakers[tied], -np.inf)
                still = best == best.max(axis=1, keepdims=True)
            share = self._shares(still, counts[tied])
            correct[tied] = share @ self._right
            winner[tied] = share.argmax(axis=1)
        if speakers is None:
            return VoteOutcomes(correct, np.full(rows, np.nan))
        reward = np.where(any_vote, speakers[np.arange(rows), winner], np.nan)
        return VoteOutcomes(correct, reward)

    def _shares(self, still: Bools, counts: Floats) -> Floats:
        """(T, G) probability that each tied group holds the earliest draw."""
        share = np.where(still, counts, 0.0)
        places = np.where(still, self._place, np.iinfo(np.int64).max)
        earliest = places.argmin(axis=1)
        rows = np.flatnonzero(places.min(axis=1) < np.iinfo(np.int64).max)
        share[rows] = 0.0
        share[rows, earliest[rows]] = 1.0
        shares: Floats = share / share.sum(axis=1, keepdims=True)
        return shares
