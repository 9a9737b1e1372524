"""PRMs that are no good, put in the place of real ones without a word.

``random`` rewards are noise. ``length`` likes long solutions, right or wrong. ``critical`` calls every
third step wrong whatever it is (over-criticism, arXiv 2502.06703), so that long solutions and unlucky ones
fall.

Samples and what scoring them costs stay as they are. Tree searches cannot be run again: a replaced one
keeps what it cost, and its candidates are the best n / width of n pool samples by the new rewards, as if
steering had been no worse than choosing at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from planner.evidence.pools import PolicyPool, PrmPool, TreeRuns
from planner.evidence.training_data import TrainingData
from planner.features.probe import SUMMARY, summarise_padded
from search.choice import Choice
from search.scores import SCORES
from search.voting.votes import winners

__all__ = ["SABOTAGES", "sabotaged"]

Floats = NDArray[np.float64]

#: problems worked on at once: bounds the memory
_CHUNK = 256

#: how often an over-critical PRM calls a step wrong, and the reward it gives then
_STRUCK, _CONTEMPT = 1.0 / 3.0, 0.02

#: (pool, its real rewards' summary, steps of the longest, rng) -> step rewards (P, D, steps)
_Rewards = Callable[[PolicyPool, NDArray[np.float32], int, np.random.Generator], Floats]


def _random(pool: PolicyPool, summary: NDArray[np.float32], most: int, rng: np.random.Generator) -> Floats:
    return rng.random((*pool.codes.shape, most))


def _length(pool: PolicyPool, summary: NDArray[np.float32], most: int, rng: np.random.Generator) -> Floats:
    logs = np.log1p(pool.tokens)
    # an unusual length for any question: a PRM sees one solution at a time
    centre, scale = 4.0, 0.5
    liked = 1.0 / (1.0 + np.exp(-(logs - centre) / scale))
    return np.repeat(liked[:, :, None], most, axis=2)


def _critical(pool: PolicyPool, summary: NDArray[np.float32], most: int, rng: np.random.Generator) -> Floats:
    fair = np.repeat(summary[:, :, SUMMARY.index("mean")].astype(np.float64)[:, :, None], most, axis=2)
    return np.where(rng.random(fair.shape) < _STRUCK, _CONTEMPT, fair)


#: name -> what it rewards
SABOTAGES: Mapping[str, _Rewards] = MappingProxyType(
    {"random": _random, "length": _length, "critical": _critical}
)


def sabotaged(data: TrainingData, kind: str, *, seed: int = 0) -> TrainingData:
    """The same log with every PRM replaced by one of ``SABOTAGES``. Equal seeds give equal rewards."""
    rewards = SABOTAGES[kind]
    pools = {}
    for name, pool in data.pools.items():
        prms = {
            prm: replace(held, summary=_summaries(pool, held, rewards, np.random.default_rng([seed, at])))
            for at, (prm, held) in enumerate(pool.prms.items())
        }
        pools[name] = replace(pool, prms=prms)
    trees = {
        choice: _steered(pools[choice.policy], choice, runs, np.random.default_rng([seed, 77, at]))
        for at, (choice, runs) in enumerate(data.trees.items())
    }
    return replace(data, pools=pools, trees=trees)


def _summaries(
    pool: PolicyPool, held: PrmPool, rewards: _Rewards, rng: np.random.Generator
) -> NDArray[np.float32]:
    out = np.empty(held.summary.shape, np.float32)
    for begin in range(0, len(out), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        part = replace(pool, codes=pool.codes[rows], tokens=pool.tokens[rows], steps=pool.steps[rows])
        lengths = np.maximum(part.steps.astype(np.int64), 1)
        made = rewards(part, held.summary[rows], int(lengths.max()), rng).astype(np.float32)
        flat = summarise_padded(made.reshape(-1, made.shape[2]), lengths.ravel())
        out[rows] = flat.reshape(*lengths.shape, len(SUMMARY))
    return out


def _steered(pool: PolicyPool, choice: Choice, runs: TreeRuns, rng: np.random.Generator) -> TreeRuns:
    plan = choice.plan
    problems, count, _ = runs.codes.shape
    drawn = min(plan.n, pool.draws)
    keep = max(1, drawn // plan.width)
    summary = pool.prms[str(choice.prm)].summary
    order = rng.random((problems, count, pool.draws)).argsort(axis=2)[:, :, :drawn]
    at = np.arange(problems)[:, None, None]
    decision_filter = summary[at, order, SCORES.index(str(plan.prune))]
    best = np.sort(np.argsort(-decision_filter, axis=2, kind="stable")[:, :, :keep], axis=2)
    taken = np.take_along_axis(order, best, axis=2)
    codes, scores = pool.codes[at, taken], summary[at, taken, SCORES.index(str(plan.score))]
    won = winners(codes.reshape(-1, keep), scores.reshape(-1, keep), str(plan.vote)).reshape(problems, count)
    return replace(runs, code=won, codes=codes, scores=scores)
