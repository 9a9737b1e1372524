"""Learns from a campaign log and from traffic together: ``planner refit``.

The campaign says what every choice is worth on every problem. Traffic says only whether the choice that ran
was right, on questions that are really asked. A planner is fitted on the campaign; what it expects of the
choices that ran is compared with what came of them, each decision weighted by its inverse propensity, at
most four, and by the inverse of its chance of feedback; the differences, by policy, PRM, strategy, choice and
domain, move the campaign's values (``planner.evidence.effects``); then the planner is fitted again, folds,
portfolio, promises and verdict with it. How much differences are shrunk is chosen on questions that were
left out, and no difference at all is among what is tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evaluation.baselines.rules import with_rules
from planner.evidence.effects import Effects, labels_of
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from planner.traffic.comparison import Comparison, compare_on_traffic
from planner.traffic.estimates import effective_size
from planner.traffic.gather import Gathered, Outcomes
from planner.traffic.missing import chances
from planner.traffic.ope import heard_outcomes
from planner.traffic.sources import Sources
from search.errors import LogError, TooLittleDataError

__all__ = ["ENOUGH", "Learned", "Refit", "Traffic", "learn_effects", "refit"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: outcomes, by effective size, that traffic must bring
ENOUGH = 50
#: of what is added to the diagonal, in effective outcomes; infinity learns nothing
_RIDGES = (10.0, 30.0, 100.0, 300.0, 1000.0, np.inf)
_FOLDS = 5
#: of so many questions one is not learned from
_JUDGED = 3
#: an inverse propensity counts so much at most. What is learned is a difference for each group of choices and
#: domains, given what was expected of the question, so weights are needed for what groups do not tell only,
#: and a few explored decisions of weight 1,000 would leave nothing of all others (Cole and Hernan 2008,
#: doi.org/10.1093/aje/kwn164). The comparison of planners keeps the weights whole.
_MOST = 4.0


@dataclass(frozen=True, slots=True)
class Learned:
    """Shifts that traffic shows, from how many outcomes (effectively), and how strongly they were shrunk.

    ``gain`` is by how much they bring the mean squared error of left-out outcomes down."""

    effects: Effects
    outcomes: int
    effective: float
    ridge: float
    gain: float


def learn_effects(gathered: Gathered, found: Outcomes, rows: Bools) -> Learned:
    """Shifts of choices from the decisions that ``rows`` (N,) marks.

    Parameters
    ----------
    gathered:
        With the planner that was fitted on the campaign followed through the log.
    found:
        The outcomes that count.

    Raises TooLittleDataError for fewer than ``ENOUGH`` effective outcomes.
    """
    inverse = 1.0 / np.maximum(chances(gathered.covariates, found.known, gathered.clusters), 1e-12)
    used = rows & found.known & np.isfinite(gathered.logged)
    weight = np.minimum(1.0 / gathered.propensity, _MOST) * inverse
    effective = effective_size(weight[used], gathered.clusters[used]) if used.any() else 0.0
    if effective < ENOUGH:
        raise TooLittleDataError(
            f"a refit takes outcomes of an effective size of at least {ENOUGH}, got {effective:.0f} "
            f"of {int(used.sum()):,}"
        )
    problem = _Problem.of(gathered, found.values - gathered.logged, weight, used)
    losses = {ridge: problem.left_out(ridge) for ridge in _RIDGES}
    # the strongest of those that are as good as the best
    ridge = max(r for r, loss in losses.items() if loss <= min(losses.values()) * (1.0 + 1e-4))
    shifts = problem.solve(np.ones(len(problem.fold), bool), ridge)
    return Learned(
        effects=Effects(
            {n: float(np.clip(s, -1.0, 1.0)) for n, s in zip(problem.names, shifts, strict=True) if s}
        ),
        outcomes=int(used.sum()),
        effective=effective,
        ridge=float(ridge),
        gain=1.0 - losses[ridge] / losses[np.inf],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """A ridge regression of differences (n,) on the groups (n, L) that each belongs to."""

    names: tuple[str, ...]
    groups: Ints
    off: Floats
    weight: Floats
    fold: Ints

    @classmethod
    def of(cls, gathered: Gathered, off: Floats, weight: Floats, used: Bools) -> _Problem:
        known: dict[str, int] = {}
        table: dict[tuple[int, int], list[int]] = {}
        pairs = list(zip(gathered.choice[used].tolist(), gathered.domain[used].tolist(), strict=True))
        for choice, domain in dict.fromkeys(pairs):
            policy, prm, plan = gathered.choices[choice]
            labels = labels_of(policy, prm, plan, gathered.domains[domain])
            table[choice, domain] = [known.setdefault(label, len(known)) for label in labels]
        groups = np.array([table[pair] for pair in pairs])
        own = weight[used]
        return cls(tuple(known), groups, off[used], own / own.mean(), gathered.clusters[used] % _FOLDS)

    def solve(self, rows: Bools, ridge: float) -> Floats:
        """(G,) shifts from some rows."""
        count = len(self.names)
        if not np.isfinite(ridge):
            return np.zeros(count)
        groups, weight = self.groups[rows], self.weight[rows]
        gram, right = np.zeros((count, count)), np.zeros(count)
        for one in range(groups.shape[1]):
            right += np.bincount(groups[:, one], weights=weight * self.off[rows], minlength=count)
            for other in range(groups.shape[1]):
                cells = groups[:, one] * count + groups[:, other]
                gram += np.bincount(cells, weights=weight, minlength=count**2).reshape(count, count)
        return np.asarray(np.linalg.solve(gram + ridge * np.eye(count), right))

    def left_out(self, ridge: float) -> float:
        """The weighted mean squared error on questions that were left out."""
        total = 0.0
        for fold in range(_FOLDS):
            out = self.fold == fold
            if not out.any():
                continue
            shifts = self.solve(~out, ridge)
            miss = self.off[out] - shifts[self.groups[out]].sum(axis=1)
            total += float(self.weight[out] @ miss**2)
        return total / float(self.weight.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """A planner that was fitted on a campaign and on traffic, and what it was made of."""

    planner: Planner
    learned: Learned
    comparison: Comparison | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """A decision log, whose decisions any planner can be followed through.

    ``follow`` takes a planner and the fingerprint that decisions would name it by.
    """

    follow: Callable[[Planner, str], Gathered]
    sources: Sources


def refit(
    fit: Callable[[Effects | None], Planner],
    data: TrainingData,
    traffic: Traffic,
    *,
    old: tuple[Planner, str] | None = None,
    seed: int = 0,
) -> Refit:
    """Fit a planner on a campaign and on traffic; compare it with the one that it would replace.

    Parameters
    ----------
    fit:
        Fits a planner on the campaign, with effects or without.
    data:
        The campaign.
    old:
        The planner that would be replaced, and its fingerprint.

    Two thirds of the questions of the traffic are learned from; the comparison is on the others. Raises
    TooLittleDataError where feedback is of one kind only, or too little.
    """
    base = fit(None)
    gathered = traffic.follow(base, "")
    sources = gathered.measured(traffic.sources)
    heard = heard_outcomes(gathered, sources)
    if heard.refused:
        raise TooLittleDataError(heard.refused)
    judged = gathered.clusters % _JUDGED == 0
    learned = learn_effects(gathered, heard.outcomes, ~judged)
    made = fit(learned.effects) if learned.effects.shifts else base
    comparison = None
    if old is not None:
        value, flops, why = compare_on_traffic(
            traffic.follow(made, "").part(judged), traffic.follow(*old).part(judged), sources
        )
        log = _on_log(made, old[0], replace(data, effects=learned.effects), seed)
        comparison = Comparison(value=value, flops=flops, why=why, log=log)
    told = {
        "decisions": len(gathered),
        "outcomes": learned.outcomes,
        "effective_size": learned.effective,
        "shrunk_by": learned.ridge if np.isfinite(learned.ridge) else None,
        "left_out_gain": learned.gain,
        "shifts": learned.effects.to_json(),
        "sources": sources.to_json(),
        "comparison": None if comparison is None else comparison.to_json(),
    }
    made = replace(made, card={**made.card, "refit": told})
    return Refit(planner=made, learned=learned, comparison=comparison, notes=heard.notes)


def _on_log(made: Planner, old: Planner, data: TrainingData, seed: int) -> float | None:
    """The mean utility over the new planner's prices, less that of the old one; None for an old planner that
    the log cannot follow."""
    prices = made.frontier.prices
    try:
        matrices = Matrices(with_rules(data, seed=seed), old.encoder, seed=seed)
        met = replay(old.stages, matrices, [Rule(price=float(price)) for price in prices]).met
    except LogError:
        return None
    before = (met.accuracy - prices * met.flops).mean(axis=0)
    return float((made.frontier.accuracy - prices * made.frontier.flops - before).mean())
