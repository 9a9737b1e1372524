"""Weights that make votes of a log's samples better: by one signal, by several, by a PRM.

Every weight is tried on random votes over 4, 8 and 16 samples of a policy's pool. It is kept where the vote
is right more often than the plain one by more than one standard error, families drawn whole. Weights by
several signals (``planner.evaluation.baselines.odds``) are tried from 300 problems on, on families that they
have not seen, and take the place of a weight by one signal only where they are better than that by one
standard error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baselines.odds import agreement_of_wrong, fit_odds
from planner.evaluation.intervals import clustered_error
from planner.evidence.pools import PolicyPool
from planner.evidence.training_data import TrainingData
from search.strategies.adaptive.weights import PRM, Weights, logits
from search.voting.votes import winners

__all__ = ["pick_weights"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: scales that are tried, over the spread of a signal within problems, and times slopes that were learned
_SCALES = (0.5, 1.0, 2.0)
#: votes over so many samples judge a weight
_JUDGED = (4, 8, 16)
#: random votes per problem, and problems, that judge a weight
_VOTES, _PROBLEMS = 16, 1500
#: families are left out in so many parts
_FOLDS = 3
#: from so many problems on weights are learned
_ENOUGH = 300


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """A weight, and (P,) how much more often than the plain vote the votes by it are right."""

    gained: Floats
    prm: str | None
    weights: Weights

    @property
    def kept(self) -> tuple[str | None, Weights]:
        """As ``pick_weights`` tells it."""
        return self.prm, self.weights


def pick_weights(data: TrainingData, policy: str, *, seed: int = 0) -> list[tuple[str | None, Weights]]:
    """The weights that make votes of a policy's samples better, with the PRM that each asks: without a PRM,
    by the best PRM alone, and by that and signals together. Those that do not are left away."""
    trial = _Trial(data, data.pools[policy], seed)
    if not trial.sizes:
        return []
    pool = trial.pool
    likelihood = _best(trial.tried(None, weights) for weights in _likelihoods(pool))
    free = [likelihood] if likelihood is not None and trial.is_sure(likelihood.gained) else []
    learned = _best(_learned(trial, None))
    if learned is not None and trial.is_surely_better(learned, free[0] if free else None):
        free = [learned]
    alone = _best(trial.tried(prm, Weights("prm", level=_level(pool, prm, None))) for prm in pool.prms)
    if alone is None:
        return [one.kept for one in free]
    scored = [alone] if trial.is_sure(alone.gained) else []
    both = []
    if free and scored and likelihood is not None:
        both = [trial.tried(alone.prm, _joined(pool, str(alone.prm), likelihood.weights))]
    learned = _best(_learned(trial, alone.prm))
    rival = next(iter(both or scored), None)
    if learned is not None and trial.is_surely_better(learned, rival):
        both = [learned]
    return [one.kept for one in (*free, *scored, *both)]


def _likelihoods(pool: PolicyPool) -> Iterator[Weights]:
    for name, values in _signals(pool).items():
        spread = float(np.nanmean(np.nanstd(values, axis=1)))
        if not spread > 1e-9:
            continue
        for share in _SCALES:
            weights = Weights("likelihood", name, _short(share / spread))
            yield replace(weights, level=_level(pool, None, weights))


def _joined(pool: PolicyPool, prm: str, likelihood: Weights) -> Weights:
    both = replace(likelihood, kind="prm_likelihood", level=0.0)
    return replace(both, level=_level(pool, prm, both))


def _learned(trial: _Trial, prm: str | None) -> Iterator[_Tried]:
    """Weights by several signals, each met with weights that had not seen the problem's family."""
    if len(trial.rows) < _ENOUGH:
        return
    whole = _candidates(trial, prm, np.arange(len(trial.rows)))
    parts = [
        (trial.fold == fold, _candidates(trial, prm, np.flatnonzero(trial.fold != fold)))
        for fold in trial.folds
    ]
    for name, weights in whole.items():
        if not all(name in part for _, part in parts):
            continue
        mass = np.ones(trial.codes.shape)
        for out, part in parts:
            mass[out] = trial.mass(prm, part[name])[out]
        yield _Tried(trial.accuracy(mass) - trial.plain, prm, weights)


def _candidates(trial: _Trial, prm: str | None, at: Ints) -> Mapping[str, Weights]:
    """Learned weights by name, from some of the problems of a trial; those that nothing was learned for are
    left away."""
    signals = {name: values[at] for name, values in trial.signals(prm).items()}
    right, readable = trial.right[at], trial.codes[at] >= 0
    found: dict[str, Weights] = {}
    inside = fit_odds(signals, right, readable, within=True)
    if inside is not None:
        for scale in _SCALES:
            found[f"within {scale}"] = Weights("odds", terms=inside.scaled(scale).terms)
    whole = fit_odds(signals, right, readable, within=False)
    if whole is not None:
        found["odds"] = Weights("odds", terms=whole.terms)
        # of two answers, and of as many as wrong samples spread over
        apart = float(np.log(agreement_of_wrong(trial.codes[at], right)))
        for name, bias in (("of two", whole.bias), ("of many", whole.bias - apart)):
            found[name] = Weights("log_odds", terms=whole.terms, bias=_short(bias))
    levelled = {}
    for name, weights in found.items():
        mean = float(trial.mass(prm, weights)[at].mean())
        if mean > 1e-9:
            levelled[name] = replace(weights, level=_short(float(np.log(mean))))
    return levelled


def _signals(pool: PolicyPool) -> dict[str, Floats]:
    """(P, D) each signal of a pool."""
    found = {name: values.astype(np.float64) for name, values in pool.signals.items()}
    found["length"] = -pool.tokens.astype(np.float64)
    return found


def _level(pool: PolicyPool, prm: str | None, weights: Weights | None) -> float:
    """The logarithm of the mean weight without a level."""
    mass = np.zeros(pool.codes.shape)
    if weights is not None:
        mass = weights.scale * _signals(pool)[weights.signal]
    if prm is not None:
        mass = mass + np.log(np.maximum(pool.prms[prm].score("last").astype(np.float64), 1e-9))
    known = mass[np.isfinite(mass)]
    top = float(known.max(initial=0.0))
    return _short(top + float(np.log(np.exp(known - top).mean())))


def _short(value: float) -> float:
    """Four digits: plans are read by people."""
    return float(f"{value:.4g}")


class _Trial:
    """Random votes over a policy's samples, the same for all weights."""

    def __init__(self, data: TrainingData, pool: PolicyPool, seed: int) -> None:
        rows = np.random.default_rng(seed).permutation(len(data))[:_PROBLEMS]
        rows.sort()
        self.pool = pool
        self.rows: Ints = rows
        self.sizes = [n for n in _JUDGED if n <= pool.draws] or ([pool.draws] if pool.draws > 2 else [])
        self._data = data
        self._told = {name: values[rows] for name, values in _signals(pool).items()}
        rng = np.random.default_rng([seed, 1])
        self._order = rng.random((len(rows), _VOTES, pool.draws)).argsort(axis=2)
        self._families = [data.families[row] for row in rows]
        _, own = np.unique(np.asarray(self._families), return_inverse=True)
        self.fold: Ints = rng.permutation(int(own.max()) + 1)[own] % _FOLDS
        self.codes: Ints = pool.codes[rows].astype(np.int64)
        self.right: Floats = data.graded(pool.codes)[rows].astype(np.float64)
        self.plain = self.accuracy(None) if self.sizes else np.zeros(0)

    @property
    def folds(self) -> Sequence[int]:
        """The parts into which families fall."""
        return [int(fold) for fold in np.unique(self.fold)]

    def signals(self, prm: str | None) -> dict[str, Floats]:
        """(P, D) each signal, with the logit of a PRM's score among them."""
        if prm is None:
            return self._told
        return self._told | {PRM: logits(self.pool.prms[prm].score("last")[self.rows])}

    def mass(self, prm: str | None, weights: Weights) -> Floats:
        """(P, D) what each sample weighs."""
        scores = None if prm is None else self.pool.prms[prm].score("last")[self.rows]
        return np.broadcast_to(weights.of(self.signals(None), scores), self.codes.shape)

    def tried(self, prm: str | None, weights: Weights) -> _Tried:
        """What votes by a weight gain."""
        return _Tried(self.accuracy(self.mass(prm, weights)) - self.plain, prm, weights)

    def accuracy(self, mass: Floats | None) -> Floats:
        """(P,) mean accuracy of the votes, every sample of its weight (P, D); None: all alike."""
        at = np.arange(len(self.rows))[:, None, None]
        out = np.zeros(len(self.rows))
        for n in self.sizes:
            order = self._order[:, :, :n]
            codes = self.codes[at, order]
            mine = None if mass is None else mass[at, order].reshape(-1, n)
            won = winners(codes.reshape(-1, n), mine, "majority" if mine is None else "weighted")
            whole = np.full((len(self._data), _VOTES), -1, np.int64)
            whole[self.rows] = won.reshape(codes.shape[:2])
            out += self._data.graded(whole)[self.rows].mean(axis=1)
        return out / len(self.sizes)

    def is_sure(self, gained: Floats) -> bool:
        """Whether a mean gain exceeds one standard error, families drawn whole."""
        return float(gained.mean()) > float(clustered_error(gained, self._families))

    def is_surely_better(self, learned: _Tried, rival: _Tried | None) -> bool:
        """Whether a learned weight is better than another one, or than none."""
        gained = learned.gained if rival is None else learned.gained - rival.gained
        return self.is_sure(gained)


def _best(tried: Iterable[_Tried]) -> _Tried | None:
    """The one that gains most; None of none."""
    return max(tried, key=lambda one: float(one.gained.mean()), default=None)
