"""What plans over an order of draws are worth and cost: values and charges from ``Strategy.replay``.

Adaptive votes and cascades follow from whole solutions, but not from a vote over a fixed number of them. Here
the arrays of a log become records of random orders, which the strategy itself replays.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.evidence.training_data import TrainingData
from search.choice import Choice
from search.log.numbering import credit
from search.strategies.replay import Draws as Recorded
from search.strategies.replay import Record, Replayed, charged, needs_of, replay_plan

__all__ = ["OrderedValues", "ordered_values"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: draws of a pool, in as few bytes as do
Places = NDArray[np.unsignedinteger[Any]]

#: runs x draws worked on at once: bounds the memory
_CHUNK = 400_000


@dataclass(frozen=True, slots=True)
class OrderedValues:
    """Means over the runs of each problem and probe, arrays (P, probes).

    ``right`` is the expected correctness; ``tokens`` and ``flops`` are charged beyond the probe,
    ``lead_tokens`` the part of the tokens that the leading policy generated, its prompt left out.
    """

    right: Floats
    tokens: Floats
    flops: Floats
    lead_tokens: Floats


def ordered_values(
    data: TrainingData,
    choice: Choice,
    *,
    probe: Ints | None,
    paid: bool,
    probes: int,
    runs: int,
    problems: Ints | None = None,
) -> OrderedValues:
    """Replay a choice in random orders of the log's draws.

    Parameters
    ----------
    probe:
        (P, probes, k) draws that are there already and join; None: nothing joins.
    paid:
        Whether the leading policy's prompt has been paid for.
    runs:
        Random orders per problem and probe.
    problems:
        The problems (P,) that are replayed; None: all.
    """
    needs = needs_of(choice)
    longest = max([*needs.draws.values(), 1])
    pools = {policy: data.pools[policy] for policy in {*needs.draws, *needs.greedy}}
    wanted = np.arange(len(data)) if problems is None else problems
    out = np.empty((4, len(wanted), probes))
    step = max(1, _CHUNK // (probes * runs * max(longest, max(pool.draws for pool in pools.values()))))
    for begin in range(0, len(wanted), step):
        at = wanted[begin : begin + step]
        record = _record(data, choice, at, probe=probe, probes=probes, runs=runs)
        met = replay_plan(choice.plan, record)
        rows = np.repeat(at, probes * runs)
        tokens, flops = _charged(data, choice, met, rows, paid=paid)
        lead = met.tokens.get(choice.policy, np.zeros(len(rows)))
        for target, values in zip(out, (met.right.astype(np.float64), tokens, flops, lead), strict=True):
            target[begin : begin + step] = values.reshape(len(at), probes, runs).mean(axis=2)
    return OrderedValues(*out)


def _record(
    data: TrainingData, choice: Choice, at: Ints, *, probe: Ints | None, probes: int, runs: int
) -> Record:
    needs = needs_of(choice)
    wanted: dict[tuple[str, str | None], str | None] = {(choice.policy, choice.prm): choice.plan.score}
    for part in choice.plan.walk():
        wanted[part.policy, part.prm] = part.plan.score
    draws = {}
    for (policy, prm), score in wanted.items():
        pool = data.pools[policy]
        held = probe[at] if probe is not None and policy == choice.policy else None
        count = needs.draws.get(policy, 0)
        order = _orders(policy, at, pool.draws, held, probes=probes, runs=runs)[..., : max(count, 1)]
        rows = np.repeat(at, probes * runs)
        places = order.reshape(len(rows), -1)
        group = pool.codes[rows[:, None], places].astype(np.int64)
        right = np.where(group >= 0, data.right[rows[:, None], np.maximum(group, 0)], credit(group))
        scores = None
        if prm is not None and score is not None:
            scores = pool.prms[prm].score(score)[rows[:, None], places].astype(np.float64)
        greedy: dict[str, NDArray[np.generic] | None] = {}
        if pool.greedy_code is not None and pool.greedy_tokens is not None:
            greedy = {
                "greedy_group": pool.greedy_code[rows],
                "greedy_right": data.graded(pool.greedy_code)[rows],
                "greedy_tokens": pool.greedy_tokens[rows],
            }
        draws[policy, prm] = Recorded(
            group=group,
            right=right,
            tokens=pool.tokens[rows[:, None], places].astype(np.float64),
            scores=scores,
            prior=0 if held is None else min(held.shape[2], places.shape[1]),
            signals={
                name: pool.signals[name][rows[:, None], places].astype(np.float64)
                for name in choice.plan.described.signals
                if name in pool.signals
            },
            **greedy,  # type: ignore[arg-type]
        )
    return Record((choice.policy, choice.prm), draws)


def _orders(policy: str, at: Ints, size: int, held: Ints | None, *, probes: int, runs: int) -> Places:
    """(P, probes, runs, size) random orders of a pool's draws, what is held first. The same for the same
    problem, so that plans are compared on equal orders, which are made once for all of them."""
    before = None if held is None else (held.shape, np.ascontiguousarray(held, np.int64).tobytes())
    return _shuffled(policy, np.ascontiguousarray(at, np.int64).tobytes(), size, before, probes, runs)


@lru_cache(maxsize=64)  # of at most 400,000 places each
def _shuffled(
    policy: str, at: bytes, size: int, before: tuple[tuple[int, ...], bytes] | None, probes: int, runs: int
) -> Places:
    problems = np.frombuffer(at, np.int64)
    out = np.empty((len(problems), probes, runs, size), np.int64)
    seed = zlib.crc32(policy.encode())
    for place, problem in enumerate(problems.tolist()):
        out[place] = np.random.default_rng([seed, problem]).random((probes, runs, size)).argsort(axis=2)
    if before is not None:
        held = np.frombuffer(before[1], np.int64).reshape(before[0])
        k = held.shape[2]
        inside = (out[..., None] == held[:, :, None, None, :]).any(axis=-1)
        rest = np.argsort(inside, axis=3, kind="stable")[..., : size - k]
        rest = np.take_along_axis(out, rest, axis=3)
        first = np.broadcast_to(held[:, :, None, :], (len(problems), probes, runs, k))
        out = np.concatenate([first, rest], axis=3)
    found = out.astype(np.min_scalar_type(size))
    found.flags.writeable = False
    return found


def _charged(
    data: TrainingData, choice: Choice, met: Replayed, rows: Ints, *, paid: bool
) -> tuple[Floats, Floats]:
    def policies(policy: str) -> tuple[Floats | float, float]:
        prompt = 0.0 if paid and policy == choice.policy else data.pools[policy].prompt[rows]
        return prompt, data.policies[policy].flops(1.0)

    def prms(policy: str, prm: str) -> tuple[Floats, Floats, float]:
        judged = data.pools[policy].prms[prm]
        return judged.tokens.mean(axis=1)[rows], judged.prompt[rows], data.prms[prm].flops(1.0)

    return charged(met, policies, prms)
