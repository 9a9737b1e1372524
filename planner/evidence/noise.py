"""A campaign as it would be were a model to say less than it did.

Part of a PRM's scores are those of other samples, whose distribution stays as it was; part of a policy's
answers cannot be read. So a log tells what every choice would be worth, and what its looks would show,
where a model went bad, without a new campaign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.evidence.effects import Effects
from planner.evidence.pools import PolicyPool, PrmPool, TreeRuns
from planner.evidence.training_data import TrainingData
from search.choice import Choice

__all__ = ["changed", "with_noise"]

#: the number of an answer that cannot be read
_UNREAD = -1


def changed(data: TrainingData, effects: Effects, *, seed: int = 0) -> TrainingData:
    """A campaign as traffic shows it: models say less, and shifts move values when matrices are built."""
    return replace(with_noise(data, effects.lost, seed=seed), effects=replace(effects, lost={}))


def with_noise(data: TrainingData, shares: Mapping[str, float], *, seed: int = 0) -> TrainingData:
    """The data where a share (in [0, 1]) of what each named model says is lost.

    Of a PRM's scores these are scores of other samples of any problem; of a policy's answers they cannot be
    read. Runs that a PRM steered cannot be steered again: of its share the answer is that of a sample of
    the policy. Models that are not named stay as they are."""
    lost = {name: share for name, share in sorted(shares.items()) if share > 0.0}
    if not lost:
        return data
    rng = np.random.default_rng([seed, 7])
    pools = {name: _pool(pool, name, lost, rng) for name, pool in data.pools.items()}
    trees = {
        choice: _runs(runs, choice, pools.get(choice.policy), lost, rng)
        for choice, runs in data.trees.items()
    }
    return replace(data, pools=pools, trees=trees)


def _pool(pool: PolicyPool, name: str, lost: Mapping[str, float], rng: np.random.Generator) -> PolicyPool:
    prms = {
        prm: held if prm not in lost else _scores(held, lost[prm], rng) for prm, held in pool.prms.items()
    }
    greedy = None if pool.greedy is None else _pool(pool.greedy, name, lost, rng)
    pool = replace(pool, prms=prms, greedy=greedy)
    if name not in lost:
        return pool
    codes = _without(pool.codes, lost[name], rng)
    # a greedy answer is lost wherever the pool keeps it
    greedy_codes = codes if pool.is_greedy else None if greedy is None else greedy.codes
    return replace(pool, codes=codes, greedy_code=None if greedy_codes is None else greedy_codes[:, 0])


def _scores(held: PrmPool, share: float, rng: np.random.Generator) -> PrmPool:
    problems, draws, width = held.summary.shape
    flat = held.summary.reshape(-1, width)
    mixed = np.where(rng.random((len(flat), 1)) < share, rng.permutation(flat), flat)
    return replace(held, summary=mixed.reshape(problems, draws, width))


def _without(codes: NDArray[Any], share: float, rng: np.random.Generator) -> NDArray[Any]:
    return np.where(rng.random(codes.shape) < share, codes.dtype.type(_UNREAD), codes)


def _runs(
    runs: TreeRuns,
    choice: Choice,
    pool: PolicyPool | None,
    lost: Mapping[str, float],
    rng: np.random.Generator,
) -> TreeRuns:
    code, codes, scores = runs.code, runs.codes, runs.scores
    if choice.prm is not None and choice.prm in lost and pool is not None:
        picked = np.take_along_axis(pool.codes, rng.integers(0, pool.codes.shape[1], code.shape), axis=1)
        astray = rng.random(code.shape) < lost[choice.prm]
        code = np.where(astray, picked.astype(code.dtype), code)
        # what joins a probe's vote is that sample too, with a score of another run
        alone = np.full_like(codes, _UNREAD)
        alone[:, :, 0] = picked
        others = rng.permutation(scores.reshape(-1, scores.shape[2])).reshape(scores.shape)
        codes = np.where(astray[:, :, None], alone, codes)
        scores = np.where(astray[:, :, None], others, scores)
    if choice.policy in lost:
        code = _without(code, lost[choice.policy], rng)
        unread = (code == _UNREAD)[:, :, None]
        codes = np.where(unread, codes.dtype.type(_UNREAD), codes)
    return replace(runs, code=code, codes=codes, scores=scores)
