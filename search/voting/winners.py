"""Votes over many rows at once: who wins each of them. The rules are those of ``search.voting.votes.pick``.

A row holds the answers of one run in draw order, as numbers: equal answers share one, -1 is unreadable.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ballots", "winners"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: rows x samples worked on at once: bounds the memory
_CHUNK = 500_000


def winners(codes: Ints, scores: NDArray[np.floating] | None, rule: str) -> Ints:
    """The winning answer of each row of (rows, n) codes in draw order; the first code where none is readable.

    ``rule``: ``majority`` (scores may be None), ``max`` or ``weighted``. Equal to
    ``search.voting.votes.pick`` row by row, up to the rounding of weighted sums.
    """
    out = np.empty(len(codes), np.int64)
    step = max(1, _CHUNK // max(codes.shape[1], int(codes.max(initial=0)) + 2))
    for begin in range(0, len(codes), step):
        mine = None if scores is None else scores[begin : begin + step]
        out[begin : begin + step] = Ballots(codes[begin : begin + step]).winners(mine, rule)
    return out


class Ballots:
    """Rows of codes (rows, n) in draw order, counted once for every rule that is asked of them."""

    def __init__(self, codes: Ints) -> None:
        self._codes = codes
        self._width = int(codes.max(initial=0)) + 2

    @cached_property
    def _slots(self) -> Ints:
        # one column more than there are answers: the first counts what is unreadable
        return (
            np.maximum(self._codes, -1) + (1 + np.arange(len(self._codes)) * self._width)[:, None]
        ).ravel()

    @cached_property
    def _counts(self) -> Ints:
        return np.bincount(self._slots, minlength=len(self._codes) * self._width)

    def winners(self, scores: NDArray[np.floating] | None, rule: str) -> Ints:
        """As ``winners`` of this module has it."""
        codes = self._codes
        if codes.shape[1] == 1:
            return codes[:, 0]
        if rule == "max":
            assert scores is not None
            first = np.where(codes >= 0, scores, -np.inf).argmax(axis=1)
            # where nothing is readable all are -inf, and the first is as unreadable as any
            return np.asarray(codes[np.arange(len(codes)), first])
        votes = self._counts
        if rule == "weighted" and scores is not None:
            votes = np.bincount(self._slots, scores.ravel().astype(np.float64), minlength=len(votes))
        table = votes.reshape(-1, self._width)[:, 1:]
        leader = table.argmax(axis=1)
        top = table[np.arange(len(table)), leader]
        # one answer ahead of all others has won, whatever the tie-breaks are
        sure = (top > 0) & ((table >= (top - 1e-12 * np.abs(top))[:, None]).sum(axis=1) == 1)
        out = np.where(sure, leader, codes[:, 0])
        open_rows = np.flatnonzero(~sure)
        if len(open_rows):
            held = np.take_along_axis(table[open_rows], np.maximum(codes[open_rows], 0), axis=1)
            mine = None if scores is None else scores[open_rows]
            out[open_rows] = _tied(codes[open_rows], held, mine, self._width)
        return out


def _tied(
    codes: Ints, held: NDArray[np.integer] | Floats, scores: NDArray[np.floating] | None, width: int
) -> Ints:
    """``Ballots.winners`` of rows whose vote needs a tie-break; ``held`` (rows, n): votes of each answer."""
    rows = np.arange(len(codes))
    readable = codes >= 0
    held = np.where(readable, held, -1.0)
    top = held.max(axis=1, keepdims=True)
    leads = readable & (held >= top - 1e-12 * np.abs(top))
    if scores is not None:
        value = np.where(leads, scores, -np.inf)
        leads = leads & (value >= value.max(axis=1, keepdims=True))
    chosen = codes[rows, leads.argmax(axis=1)]
    # the last tie-break asks for the earliest member of each answer, whoever speaks for it
    tied = np.flatnonzero((leads & (codes != chosen[:, None])).any(axis=1)) if scores is not None else ()
    if len(tied):
        n = codes.shape[1]
        first = np.empty((len(tied), width), np.int64)
        inside = np.where(readable[tied], codes[tied], width - 1)
        at = np.arange(len(tied))
        for place in range(n - 1, -1, -1):
            first[at, inside[:, place]] = place
        places = np.where(leads[tied], first[at[:, None], inside], n)
        chosen[tied] = codes[tied, places.argmin(axis=1)]
    return np.where(readable.any(axis=1), chosen, codes[:, 0])
