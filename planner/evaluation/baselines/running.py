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
from search.voting.votes import race

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
        codes = pool.codes[at, order].reshape(-1, length)
        leads, *votes = race(codes)
        right[part] = data.graded(leads.reshape(order.shape), begin)
        for target, found in zip((first, second, alike), (*votes, _alike(codes)), strict=True):
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


def _alike(codes: Ints) -> Shorts:
    """(rows, T) draws in a row, this one the last, that gave one and the same readable answer."""
    drawn = np.ascontiguousarray(codes.T)
    places = np.arange(1, len(drawn) + 1, dtype=np.int16)[:, None]
    before = np.zeros(drawn.shape, np.int16)
    np.multiply(drawn[1:] != drawn[:-1], places[:-1], out=before[1:])
    np.maximum.accumulate(before, axis=0, out=before)
    return np.asarray(((places - before) * (drawn >= 0)).T)


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
