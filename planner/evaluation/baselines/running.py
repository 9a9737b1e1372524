"""Votes while samples come in: a pool's draws in random orders without replacement, and after each of them
who leads. Rules that stop early (``adaptive_consistency``, ``early_stopping``) and votes over any n are
read from it.

Voting follows ``search.voting.votes``: an unreadable answer has no vote, ties go to the answer that was drawn
first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baselines.config_table import ConfigTable
from planner.evidence.labels import draw_probes
from planner.evidence.training_data import TrainingData

__all__ = ["Running", "run_votes", "stopped"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shorts = NDArray[np.int16]

#: rows x samples worked on at once: bounds the memory
_CHUNK = 8_000_000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Running:
    """What T draws show one after the other, (P, R, T) each, in R random orders of P problems.

    Parameters
    ----------
    order:
        Which draws of the pool these are.
    right:
        Whether the answer that leads after this draw is right (or its partial credit).
    first, second:
        Votes of the answer that leads, and of the next one.
    alike:
        How many draws in a row, this one the last, gave one and the same readable answer.
    tokens:
        Tokens of the policy so far, the prompt included.
    rate:
        FLOPs of one token.
    """

    policy: str
    order: Shorts
    right: NDArray[np.bool_] | NDArray[np.float32]
    first: Shorts
    second: Shorts
    alike: Shorts
    tokens: NDArray[np.float32]
    rate: float

    @property
    def draws(self) -> int:
        """T."""
        return int(self.right.shape[2])


def run_votes(data: TrainingData, policy: str, *, seed: int, orders: int) -> Running:
    """Replay a policy's pool in as many random ``orders``."""
    pool = data.pools[policy]
    problems, length = pool.codes.shape
    drawn = draw_probes(
        problems, length, held=0, probes=1, resamples=orders, seed=seed, longest=length
    ).order[:, 0]
    whole = data.graded(pool.codes).dtype == np.bool_
    right: NDArray[Any] = np.empty(drawn.shape, np.bool_ if whole else np.float32)
    first, second, alike = (np.empty(drawn.shape, np.int16) for _ in range(3))
    tokens = np.empty(drawn.shape, np.float32)
    step = max(1, _CHUNK // (orders * max(length, data.right.shape[1])))
    for begin in range(0, problems, step):
        part = slice(begin, begin + step)
        order = drawn[part].astype(np.int64)
        at = np.arange(begin, begin + len(order))[:, None, None]
        leads, *votes = _race(pool.codes[at, order].reshape(-1, length))
        right[part] = data.graded(leads.reshape(order.shape), begin)
        for target, found in zip((first, second, alike), votes, strict=True):
            target[part] = found.reshape(order.shape)
        tokens[part] = pool.prompt[part, None, None] + pool.tokens[at, order].cumsum(axis=2)
    rate = data.policies[policy].flops(1.0)
    return Running(
        policy=policy,
        order=drawn,
        right=right,
        first=first,
        second=second,
        alike=alike,
        tokens=tokens,
        rate=rate,
    )


def _race(codes: Ints) -> tuple[Shorts, Shorts, Shorts, Shorts]:
    """(rows, T) the answer that leads (below 0: none yet), its votes, the next one's, and draws alike in a
    row."""
    count, length = codes.shape
    width = int(codes.max(initial=0)) + 2  # the last slot takes the unreadable
    by_draw = np.ascontiguousarray(np.where(codes >= 0, codes, width - 1).T)
    base = np.arange(count) * width
    votes, began = np.zeros(count * width, np.int16), np.zeros(count * width, np.int16)
    lead, before = np.minimum(codes[:, 0], -1), np.full(count, -1)
    led_from, first, second, alike = np.zeros((4, count), np.int16)
    out = np.empty((4, length, count), np.int16)
    for place, code in enumerate(by_draw):
        slot = base + code
        readable = code < width - 1
        now = votes[slot] + readable
        votes[slot] = now
        fresh = slot[now == 1]
        began[fresh] = place
        alike = np.where(readable, np.where(code == before, alike + np.int16(1), np.int16(1)), np.int16(0))
        other = readable & (code != lead)
        passes = other & (now > first)
        ties = other & (now == first)
        # at a tie the earlier drawn of the two leads
        rows = np.flatnonzero(ties)
        ties[rows] = began[slot[rows]] < led_from[rows]
        second = np.where(passes, first, np.where(other, np.maximum(second, now), second))
        first = np.where(readable, np.maximum(first, now), first)
        rows = np.flatnonzero(passes | ties)
        lead[rows], led_from[rows] = code[rows], began[slot[rows]]
        before = code
        out[:, place] = lead, first, second, alike
    lead_, first_, second_, alike_ = out.transpose(0, 2, 1)
    return lead_, first_, second_, alike_


def stopped(running: Running, rules: Iterable[tuple[str, Ints]]) -> ConfigTable:
    """The config table of rules that stop: each one's name, and the index of its last draw, (P, R)."""
    names, values, tokens = [], [], []
    for name, last in rules:
        place = last[:, :, None]
        names.append(name)
        values.append(np.take_along_axis(running.right, place, axis=2)[..., 0].mean(axis=1, dtype=np.float64))
        tokens.append(
            np.take_along_axis(running.tokens, place, axis=2)[..., 0].mean(axis=1, dtype=np.float64)
        )
    spent = np.stack(tokens, axis=1)
    return ConfigTable(
        settings=tuple(names), values=np.stack(values, axis=1), tokens=spent, flops=spent * running.rate
    )
