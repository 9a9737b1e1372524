"""A campaign as it would be were a PRM to say less than it did: part of its scores are those of other samples.

So a log tells what every choice that asks a PRM would be worth, and what its looks would show, where the PRM
went bad, without a new campaign. The distribution of scores stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.evidence.effects import Effects
from planner.evidence.training_data import PolicyPool, PrmPool, TrainingData, TreeRuns

__all__ = ["changed", "with_noise"]


def changed(data: TrainingData, effects: Effects, *, seed: int = 0) -> TrainingData:
    """A campaign as traffic shows it: PRMs say less, and shifts move values when matrices are built."""
    return replace(with_noise(data, effects.worn, seed=seed), effects=replace(effects, worn={}))


def with_noise(data: TrainingData, shares: Mapping[str, float], *, seed: int = 0) -> TrainingData:
    """The data where a share (in [0, 1]) of a PRM's scores are those of other samples of any problem.

    Runs that a PRM steered cannot be steered again: of that share the answer is that of a sample of the
    policy. PRMs that are not named keep their scores.
    """
    worn = {prm: share for prm, share in sorted(shares.items()) if share > 0.0}
    if not worn:
        return data
    rng = np.random.default_rng([seed, 7])
    pools = {name: _pool(pool, worn, rng) for name, pool in data.pools.items()}
    trees = {
        choice: runs
        if choice.prm not in worn
        else _runs(runs, data.pools.get(choice.policy), worn[choice.prm], rng)
        for choice, runs in data.trees.items()
    }
    return replace(data, pools=pools, trees=trees)


def _pool(pool: PolicyPool, worn: Mapping[str, float], rng: np.random.Generator) -> PolicyPool:
    prms = {
        prm: held if prm not in worn else _scores(held, worn[prm], rng) for prm, held in pool.prms.items()
    }
    greedy = None if pool.greedy is None else _pool(pool.greedy, worn, rng)
    return replace(pool, prms=prms, greedy=greedy)


def _scores(held: PrmPool, share: float, rng: np.random.Generator) -> PrmPool:
    problems, draws, width = held.summary.shape
    flat = held.summary.reshape(-1, width)
    mixed = np.where(rng.random((len(flat), 1)) < share, rng.permutation(flat), flat)
    return replace(held, summary=mixed.reshape(problems, draws, width))


def _runs(runs: TreeRuns, pool: PolicyPool | None, share: float, rng: np.random.Generator) -> TreeRuns:
    if pool is None:
        return runs
    picked: NDArray[np.signedinteger[Any]] = np.take_along_axis(
        pool.codes, rng.integers(0, pool.codes.shape[1], runs.code.shape), axis=1
    )
    return replace(runs, code=np.where(rng.random(runs.code.shape) < share, picked, runs.code))
