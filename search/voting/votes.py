"""Votes: which answer wins, for one list of candidates and for many rows at once. The one place of the rules.

    >>> pick("majority", [0, 1, 1, -1], [0.9, 0.2, 0.3, 1.0])
    2
    >>> pick("max", [0, 1, 1, -1], [0.9, 0.2, 0.3, 1.0])
    0
    >>> pick("weighted", [0, 1, 1, -1], [0.4, 0.2, 0.3, 1.0])
    2

``group`` turns answers into numbers by the domain's equality once; all else works on those numbers alone, so
that a campaign can resample a pool thousands of times without comparing answers again. A row holds the
numbers of one run in draw order; -1 and less are unreadable and have no vote.

- ``majority``: the answer with the most draws; ``weighted``: with the largest sum of scores; ``max``: that of
  the draw with the highest score;
- ties go to the answer with the higher single score, then to the one that was drawn first (``max``: to the
  earlier draw).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.grading.protocol import Domain
from search.problem import Problem

__all__ = ["VOTES", "Ballots", "Equal", "group", "pick", "race", "winners"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: how an answer is picked among candidates
VOTES = ("max", "majority", "weighted")

#: whether two answers to a problem count as one vote
Equal = Callable[[Problem, str, str], bool]

#: rows x samples worked on at once: bounds the memory
_CHUNK = 500_000

#: rows that race at once: what is counted of them stays in a processor's cache
_RACING = 8192

#: sums of weights closer than this share of the largest are one weight: sums of rows are not exact
_ROUNDING = 1e-12


def group(
    problem: Problem,
    domain: Domain,
    answers: Sequence[str | None],
    known: Sequence[str] = (),
    *,
    equal: Equal | None = None,
) -> list[int]:
    """Group numbers, one per answer, in the order of first appearance; -1 for an unreadable one.

    Equal texts share a group without asking. Another answer joins the first group whose earliest
    answer the domain finds equal to it: an equality with a tolerance is not transitive, so the
    earliest answer stands for its group. ``known``: the earliest answers of groups 0, 1, ... that there
    are already. ``equal``: in place of the domain's equality.
    """
    same = domain.equal if equal is None else equal
    numbered = {answer: number for number, answer in enumerate(known)}
    representatives = list(known)
    numbers: list[int] = []
    for answer in answers:
        if answer is None:
            numbers.append(-1)
            continue
        number = numbered.get(answer)
        if number is None:
            others = () if domain.exact else representatives
            number = next(
                (i for i, other in enumerate(others) if same(problem, other, answer)),
                len(representatives),
            )
            if number == len(representatives):
                representatives.append(answer)
            numbered[answer] = number
        numbers.append(number)
    return numbers


def pick(vote: str, groups: Sequence[int], scores: Sequence[float]) -> int | None:
    """The index of the candidate that gives the answer; None when all answers are unreadable.

    ``groups`` as ``group`` returns them; ``scores``: one finite number per candidate, all 0.0 where no PRM
    was asked. Within the winning group the candidate with the highest score speaks, the earliest of equals.
    Sums are exact (``math.fsum``), so the order of candidates cannot tip a tie.

    Raises ValueError for another vote, for lengths that differ, and for a score that is not finite: a PRM
    that returns NaN is broken, and no rule about it would be right.
    """
    if vote not in VOTES:
        raise ValueError(f"vote must be one of {', '.join(VOTES)}, got {vote!r}")
    if len(groups) != len(scores):
        raise ValueError(f"every candidate needs a score, got {len(groups)} candidates, {len(scores)} scores")
    members: dict[int, list[int]] = {}
    for index, (number, value) in enumerate(zip(groups, scores, strict=True)):
        if not math.isfinite(value):
            raise ValueError(f"a score must be a finite number, got {value} for candidate {index}")
        if number >= 0:
            members.setdefault(number, []).append(index)
    if not members:
        return None
    best: tuple[float, float, int] | None = None
    for indices in members.values():
        speaker = max(indices, key=lambda index: (scores[index], -index))
        if vote == "majority":
            weight = float(len(indices))
        elif vote == "weighted":
            weight = math.fsum(scores[index] for index in indices)
        else:
            weight = scores[speaker]
        # best-of-n compares candidates; votes compare groups, which were drawn when their first member was
        earliest = speaker if vote == "max" else indices[0]
        entry = (weight, scores[speaker], -earliest)
        if best is None or entry > best:
            best, chosen = entry, speaker
    return chosen


def winners(codes: Ints, scores: NDArray[np.floating] | None, rule: str) -> Ints:
    """The winning answer of each row of (rows, n) codes in draw order; the first code where none is readable.

    ``rule``: ``majority`` (scores may be None), ``max`` or ``weighted``. Equal to ``pick`` row by row, up
    to the rounding of weighted sums.
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
    def counts(self) -> Ints:
        """(rows, answers) draws of each answer."""
        found = np.bincount(self._slots, minlength=len(self._codes) * self._width)
        return np.asarray(found.reshape(-1, self._width)[:, 1:])

    def given(self, among: Bools) -> Bools:
        """(rows, answers) whether one of these draws (rows, n) gave the answer."""
        found = np.bincount(self._slots, among.ravel(), minlength=len(self._codes) * self._width)
        return np.asarray(found.reshape(-1, self._width)[:, 1:] > 0)

    def _votes(self, scores: NDArray[np.floating] | None, rule: str) -> Ints | Floats:
        """(rows, answers) votes of each answer."""
        if rule != "weighted" or scores is None:
            return self.counts
        size = len(self._codes) * self._width
        found = np.bincount(self._slots, scores.ravel().astype(np.float64), minlength=size)
        return np.asarray(found.reshape(-1, self._width)[:, 1:])

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
        table = self._votes(scores, rule)
        leader, sure = _leaders(table)
        out = np.where(sure, leader, codes[:, 0])
        rows = np.flatnonzero(~sure)
        if len(rows):
            mine = None if scores is None else scores[rows]
            speaking = _speaking(codes[rows], table[rows], mine)
            out[rows] = codes[rows, speaking.argmax(axis=1)]  # nobody where none is readable: the first
            if mine is not None:
                out[rows] = _first_drawn(codes[rows], speaking, out[rows], self._width)
        return out

    def leaders(self, scores: NDArray[np.floating] | None, rule: str) -> tuple[Ints, Bools]:
        """(rows,) an answer with most votes, and whether it is ahead of all others: it has won then, whatever
        the tie-breaks are. ``rule``: ``majority`` or ``weighted``."""
        return _leaders(self._votes(scores, rule))

    def speaking(self, scores: NDArray[np.floating] | None, rule: str) -> Bools:
        """(rows, n) the draws that may speak for the winner: of the answers with most votes those with the
        highest single score. Several answers speak where only the order of draws decides."""
        if rule == "max":
            assert scores is not None
            return _highest(self._codes >= 0, scores)
        return _speaking(self._codes, self._votes(scores, rule), scores)


def _about(top: Ints | Floats) -> Floats:
    """The least votes that count as many as ``top``."""
    return np.asarray(top - _ROUNDING * np.abs(top))


def _leaders(table: Ints | Floats) -> tuple[Ints, Bools]:
    """As ``Ballots.leaders``, from the votes (rows, answers) of each answer."""
    leader = table.argmax(axis=1)
    top = table[np.arange(len(table)), leader]
    return leader, (top > 0) & ((table >= _about(top)[:, None]).sum(axis=1) == 1)


def _speaking(codes: Ints, table: Ints | Floats, scores: NDArray[np.floating] | None) -> Bools:
    """As ``Ballots.speaking``, from the votes (rows, answers) of each answer."""
    readable = codes >= 0
    held = np.where(readable, np.take_along_axis(table, np.maximum(codes, 0), axis=1), -np.inf)
    leads = readable & (held >= _about(held.max(axis=1, initial=-np.inf, keepdims=True)))
    return leads if scores is None else _highest(leads, scores)


def _highest(among: Bools, scores: NDArray[np.floating]) -> Bools:
    """(rows, n) those that have their row's highest score."""
    value = np.where(among, scores, -np.inf)
    return np.asarray(among & (value >= value.max(axis=1, initial=-np.inf, keepdims=True)))


def _first_drawn(codes: Ints, speaking: Bools, chosen: Ints, width: int) -> Ints:
    """Of the answers that speak the one whose earliest draw came first, whether or not that draw speaks.

    ``chosen``: that of the first draw that speaks, which is the right one unless another answer speaks too.
    """
    rows = np.flatnonzero((speaking & (codes != chosen[:, None])).any(axis=1))
    if len(rows):
        at, n = np.arange(len(rows)), codes.shape[1]
        first = np.empty((len(rows), width), np.int64)
        inside = np.where(codes[rows] >= 0, codes[rows], width - 1)
        for place in range(n - 1, -1, -1):
            first[at, inside[:, place]] = place
        places = np.where(speaking[rows], first[at[:, None], inside], n)
        chosen[rows] = codes[rows, places.argmin(axis=1)]
    return chosen


def race(codes: Ints, weights: Floats | None = None) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """After each draw of (rows, n) codes: the answer that leads (below 0: none yet), its votes, and the next
    one's; at a tie the one that had votes first leads.

    ``weights``: (rows, n) of each draw, at least 0; None: 1. Counts are 16 bits wide.
    """
    count, length = codes.shape
    leads = np.empty((length, count), np.int16)
    votes = np.empty((2, length, count), np.int16 if weights is None else np.float64)
    for begin in range(0, count, _RACING):
        rows = slice(begin, begin + _RACING)
        mine = None if weights is None else weights[rows]
        _race(codes[rows], mine, leads[:, rows], votes[:, :, rows])
    return leads.T, votes[0].T, votes[1].T


def _race(codes: Ints, weights: Floats | None, leads: NDArray[Any], out: NDArray[Any]) -> None:
    """``race`` of some rows, into ``leads`` (n, rows) and ``out`` (2, n, rows): votes of the first two."""
    count = len(codes)
    readable = codes >= 0
    width = int(codes.max(initial=0)) + 2  # the last slot takes the unreadable
    by_draw = np.where(readable, codes, width - 1).T.astype(np.int64, order="C")
    gained = (readable if weights is None else np.where(readable, weights, 0.0)).T.astype(
        out.dtype, order="C"
    )
    base = np.arange(count) * width
    votes, began = np.zeros(count * width, out.dtype), np.zeros(count * width, np.int16)
    lead, led_from = np.minimum(codes[:, 0], -1), np.zeros(count, np.int16)
    first, second = np.zeros((2, count), out.dtype)
    for place, code in enumerate(by_draw):
        slot = base + code
        held = votes.take(slot)
        began[slot[np.flatnonzero(held == 0)]] = place
        now = held + gained[place]
        votes[slot] = now
        other = code != lead
        rows = np.flatnonzero(other & (now >= first))  # what cannot be read has no votes, and passes nobody
        since = began[slot[rows]]
        ahead = (now[rows] > first[rows]) | (since < led_from[rows])
        lead[rows[ahead]], led_from[rows[ahead]] = code[rows[ahead]], since[ahead]
        # an answer that passes the first makes it the second; one that does not may pass the second
        np.copyto(second, np.minimum(first, np.maximum(second, now)), where=other)
        np.maximum(first, now, out=first)
        leads[place], out[0, place], out[1, place] = lead, first, second
