"""Rules: the choices that anybody could write down, made for a search log.

Each rule is a plan like any other: a vote that stops when it is sure (Adaptive-Consistency, Aggarwal et al.,
arXiv 2305.11860), the same with weighted votes, and a cascade from a cheaper to a dearer policy (Yue et al.,
arXiv 2310.03094). A planner picks among them as among the plans of the log, and falls back on the best of
them where it has learned nothing better. Weights are picked on the log, and only where they make votes of it
better by more than one standard error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.intervals import clustered_error
from planner.training_data import PolicyPool, TrainingData, replayable
from search.choice import Choice
from search.plan import Plan
from search.strategies.weights import Weights
from search.winners import winners

__all__ = ["STOPS", "largest", "pick_weights", "rule_choices", "with_rules"]

Floats = NDArray[np.float64]

#: at which certainty a vote stops, and how many samples that all agree reach it. One is the first that can
#: be read
STOPS = {0.7: 1, 0.8: 2, 0.9: 3, 0.96: 4, 0.99: 6}
#: scales that are tried, over the spread of a signal within problems
_SCALES = (0.5, 1.0, 2.0)
#: votes over so many samples judge a weight
_JUDGED = (4, 8, 16)
#: random votes per problem, and problems, that judge a weight
_VOTES, _PROBLEMS = 16, 1500
#: policies between which cascades are made, the cheapest first
_POLICIES = 6


def with_rules(data: TrainingData, *, seed: int = 0) -> TrainingData:
    """The same data, whose choices include the rules that it can replay."""
    return replace(data, choices=tuple(sorted({*data.choices, *rule_choices(data, seed=seed)}, key=str)))


def rule_choices(data: TrainingData, *, seed: int = 0) -> tuple[Choice, ...]:
    """Adaptive votes of every policy with at least two draws, plain and weighted, and cascades."""
    found = [choice for policy in data.pools for choice in _votes(data, policy, seed)]
    found += _cascades(data)
    return tuple(choice for choice in found if replayable(choice, data.pools, data.trees))


def largest(data: TrainingData, policy: str) -> int:
    """The most samples that a logged plan of a policy draws, of those in its pool."""
    drawn = [
        c.plan.n for c in data.choices if c.policy == policy and not c.plan.must_run and not c.plan.parts
    ]
    return min(max(drawn, default=1), data.pools[policy].draws)


def _votes(data: TrainingData, policy: str, seed: int) -> Iterator[Choice]:
    most = largest(data, policy)
    if most < 2:
        return
    weighed = [(None, None), *pick_weights(data, policy, seed=seed)]
    for n in _caps(most):
        for stop, alike in STOPS.items():
            if alike < n:
                for prm, weights in weighed:
                    spelled = {} if weights is None else _spelled(weights)
                    yield Choice(policy, prm, Plan.of("adaptive_vote", n=n, stop=stop, ahead=1, **spelled))


def _caps(most: int) -> list[int]:
    """2, 4, 8, 16, ... and ``most``, the last four of them."""
    powers = [2**power for power in range(1, most.bit_length()) if 2**power <= most]
    return sorted({*powers, most})[-4:]


def _spelled(weights: Weights) -> Mapping[str, object]:
    spelled = {"weight": weights.kind, "level": weights.level}
    return spelled | ({"signal": weights.signal, "scale": weights.scale} if weights.asks_signal else {})


def _cascades(data: TrainingData) -> list[Choice]:
    """From each policy to each dearer one: the cheaper vote stands where it is unanimous, or nearly."""
    price = {
        name: data.policies[name].flops(float(pool.tokens.mean() + pool.prompt.mean()))
        for name, pool in data.pools.items()
    }
    ordered = sorted(price, key=lambda name: (price[name], name))[:_POLICIES]
    found = []
    for cheap, dear in combinations(ordered, 2):
        n = min(largest(data, cheap), 4)
        if n < 2:
            continue
        firsts = [(Plan.of("majority", n=2), 1.0)]
        if n > 2:
            firsts.append((Plan.of("adaptive_vote", n=n, stop=0.8, ahead=1), 0.74))
        for first, tau in firsts:
            for then in _answers(data, dear):
                plan = Plan.of("cascade", first=Choice(cheap, None, first), tau=tau, then=then)
                found.append(Choice(cheap, None, plan))
    return found


def _answers(data: TrainingData, policy: str) -> Iterator[Choice]:
    """One answer of a policy, and its best vote."""
    pool, n = data.pools[policy], largest(data, policy)
    if pool.greedy_code is not None:
        yield Choice(policy, None, Plan.of("cot"))
    else:
        yield Choice(policy, None, Plan.of("majority", n=1))
    if n > 2:
        yield Choice(policy, None, Plan.of("adaptive_vote", n=n, stop=0.9, ahead=1))


def pick_weights(data: TrainingData, policy: str, *, seed: int = 0) -> list[tuple[str | None, Weights]]:
    """The weights that make votes of a policy's samples better: by likelihood, by its best PRM, by both.

    Every signal and scale is tried on random votes over 4, 8 and 16 samples; the best of a kind is kept where
    its accuracy exceeds the plain vote's by one standard error, families drawn whole.
    """
    pool = data.pools[policy]
    rows = np.random.default_rng(seed).permutation(len(data))[:_PROBLEMS]
    rows.sort()
    trial = _Trial(data, pool, rows, seed)
    if not trial.sizes:
        return []
    free = _best(trial, [(None, weights) for weights in _likelihoods(pool)])
    judged = [(prm, Weights("prm", level=_level(pool, prm, None))) for prm in pool.prms]
    scored = _best(trial, judged)
    found = [*free, *scored]
    if free and scored:
        prm, likelihood = scored[0][0], free[0][1]
        found.append((prm, _joined(pool, str(prm), likelihood)))
    return found


def _likelihoods(pool: PolicyPool) -> Iterator[Weights]:
    signals: dict[str, NDArray[np.floating]] = {**pool.signals}
    signals["length"] = -pool.tokens.astype(np.float64)
    for name, values in signals.items():
        spread = float(np.nanmean(np.nanstd(values.astype(np.float64), axis=1)))
        if not spread > 1e-9:
            continue
        for share in _SCALES:
            weights = Weights("likelihood", name, _short(share / spread))
            yield replace(weights, level=_level(pool, None, weights))


def _joined(pool: PolicyPool, prm: str, likelihood: Weights) -> Weights:
    both = replace(likelihood, kind="prm_likelihood", level=0.0)
    return replace(both, level=_level(pool, prm, both))


def _level(pool: PolicyPool, prm: str | None, weights: Weights | None) -> float:
    """The logarithm of the mean weight without a level."""
    mass = np.zeros(pool.codes.shape)
    if weights is not None:
        values = -pool.tokens if weights.signal == "length" else pool.signals[weights.signal]
        mass = weights.scale * values.astype(np.float64)
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

    def __init__(self, data: TrainingData, pool: PolicyPool, rows: NDArray[np.int64], seed: int) -> None:
        self.sizes = [n for n in _JUDGED if n <= pool.draws] or ([pool.draws] if pool.draws > 2 else [])
        self._data, self._pool, self._rows = data, pool, rows
        rng = np.random.default_rng([seed, 1])
        self._order = rng.random((len(rows), _VOTES, pool.draws)).argsort(axis=2)
        self._families = [data.families[row] for row in rows]
        self.plain = self.accuracy(None, None) if self.sizes else np.zeros(0)

    def accuracy(self, prm: str | None, weights: Weights | None) -> Floats:
        """(P,) mean accuracy of the votes."""
        at, pool = self._rows[:, None, None], self._pool
        out = np.zeros(len(self._rows))
        for n in self.sizes:
            order = self._order[:, :, :n]
            codes = pool.codes[at, order].astype(np.int64)
            mine = None
            if weights is not None:
                drawn = -pool.tokens if weights.signal == "length" else pool.signals.get(weights.signal)
                signals = {} if drawn is None else {weights.signal: drawn[at, order]}
                scores = None if prm is None else pool.prms[prm].score("last")[at, order]
                mine = np.broadcast_to(weights.of(signals, scores), codes.shape).reshape(-1, n)
            won = winners(codes.reshape(-1, n), mine, "majority" if mine is None else "weighted")
            whole = np.full((len(self._data), _VOTES), -1, np.int64)
            whole[self._rows] = won.reshape(codes.shape[:2])
            out += self._data.graded(whole)[self._rows].mean(axis=1)
        return out / len(self.sizes)

    def is_sure(self, gained: Floats) -> bool:
        """Whether a mean gain exceeds one standard error, families drawn whole."""
        return float(gained.mean()) > float(clustered_error(gained, self._families))


def _best(trial: _Trial, tried: Iterable[tuple[str | None, Weights]]) -> list[tuple[str | None, Weights]]:
    """The best of some weights, in a list; nothing where none is surely better than the plain vote."""
    gains = [(trial.accuracy(prm, weights) - trial.plain, prm, weights) for prm, weights in tried]
    if not gains:
        return []
    gained, prm, weights = max(gains, key=lambda gain: float(gain[0].mean()))
    return [(prm, weights)] if trial.is_sure(gained) else []
