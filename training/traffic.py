"""Learns from a campaign log and from traffic together: ``planner refit``.

The campaign says what every choice is worth on every problem. Traffic says only whether the choice that ran
was right, on questions that are really asked. A planner is fitted on the campaign; what it expects of the
choices that ran is compared with what came of them, each decision weighted by its inverse propensity, at
most four, and by the inverse of its chance of feedback. What that shows (``training.shifts``) changes the
campaign: models that say less, choices whose means moved. Then the planner is fitted again, folds, portfolio,
promises and verdict with it. Two thirds of the questions of the traffic are learned from. The others judge:
on them both planners are compared, and they say anew what changed, for a comparison on the campaign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evaluation.baselines.rules import with_rules
from planner.evidence.effects import Effects
from planner.evidence.matrix import Matrices
from planner.evidence.noise import changed
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from planner.traffic.comparison import Comparison, OnLog, compare_on_traffic
from planner.traffic.gather import Gathered
from planner.traffic.ope import heard_outcomes
from planner.traffic.sources import Sources
from search.errors import LogError, TooLittleDataError
from training.shifts import Evidence, Learned, learn_effects, losses_of

__all__ = ["Refit", "Traffic", "refit"]

Floats = NDArray[np.float64]

#: of so many questions one is not learned from
_JUDGED = 3


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
        The planner that would be replaced, and its fingerprint. What it was fitted with is learned again only
        where something else is more probable.

    Raises TooLittleDataError where feedback is of one kind only, or too little.
    """
    base = fit(None)
    gathered = traffic.follow(base, "")
    sources = gathered.measured(traffic.sources)
    heard = heard_outcomes(gathered, sources)
    if heard.refused:
        raise TooLittleDataError(heard.refused)
    judged = gathered.clusters % _JUDGED == 0
    losses = losses_of(data, gathered.choices, seed=seed)
    served = None if old is None else traffic.follow(*old)
    kept = None if old is None else _effects_of(old[0])
    also = None if served is None else served.logged
    learned = learn_effects(gathered, heard.outcomes, ~judged, losses=losses, kept=kept, also=also)
    made = fit(learned.effects) if learned.effects else base
    comparison = None
    if old is not None and served is not None:
        value, flops, why = compare_on_traffic(
            traffic.follow(made, "").part(judged), served.part(judged), sources
        )
        again = Evidence.of(gathered, heard.outcomes, judged, losses=losses, kept=kept, also=also)
        log = _on_log(made, old[0], data, again.learned(learned.model, sure=0.0).effects, seed)
        comparison = Comparison(
            value=value, flops=flops, why=why, log=None if log is None else log.weighted(_mix(gathered))
        )
    told = {
        "decisions": len(gathered),
        "outcomes": learned.outcomes,
        "effective_size": learned.effective,
        "stretched_by": learned.model.scale,
        "since_part": learned.model.begin,
        "kept": learned.model.kept,
        "left_out_gain": learned.gain,
        "shifts": learned.effects.to_json(),
        "lost": dict(learned.effects.lost),
        "effects": {"shifts": dict(learned.effects.shifts), "lost": dict(learned.effects.lost)},
        "sources": sources.to_json(),
        "comparison": None if comparison is None else comparison.to_json(),
    }
    made = replace(made, card={**made.card, "refit": told})
    return Refit(planner=made, learned=learned, comparison=comparison, notes=heard.notes)


def _effects_of(planner: Planner) -> Effects:
    """What a planner was fitted with, by its card."""
    told: Any = planner.card.get("refit") or {}
    said = told.get("effects") or {}
    return Effects(dict(said.get("shifts", {})), dict(said.get("lost", {})))


def _mix(gathered: Gathered) -> Mapping[str, float]:
    """Shares of domains of the decisions."""
    counts = np.bincount(gathered.domain, minlength=len(gathered.domains))
    return {name: float(count) / len(gathered) for name, count in zip(gathered.domains, counts, strict=True)}


def _on_log(made: Planner, old: Planner, data: TrainingData, effects: Effects, seed: int) -> OnLog | None:
    """By domain the mean utility over the new planner's prices, less that of the old one, on the campaign as
    ``effects`` change it; None for an old planner that the log cannot follow.

    Both are judged on the problems that they may have learned from. Where the old one learned from others,
    what the new one gains by that is taken off."""
    if made.stages is old.stages:
        return _apart(np.zeros(len(data)), data)
    seen = with_rules(changed(data, effects, seed=seed), seed=seed)
    prices = made.frontier.prices
    shared = _alike(made, old, data)
    matrices = Matrices(seen, old.encoder, seed=seed)
    try:
        before = _utilities(old, matrices, prices)
    except LogError:
        return None
    after = _utilities(made, matrices if shared else Matrices(seen, made.encoder, seed=seed), prices)
    apart = after - before
    if not shared:
        left_out = float((made.frontier.accuracy - prices * made.frontier.flops).mean())
        apart = apart - max(0.0, float(after.mean()) - left_out)
    return _apart(apart, data)


def _apart(values: Floats, data: TrainingData) -> OnLog:
    homes = np.asarray(data.domains)
    return OnLog(
        {domain: float(values[homes == domain].mean()) for domain in dict.fromkeys(data.domains)},
        {domain: float((homes == domain).mean()) for domain in dict.fromkeys(data.domains)},
    )


def _utilities(planner: Planner, matrices: Matrices, prices: Floats) -> Floats:
    """(P,) accuracy less the price of FLOPs, over prices, that a planner meets on each problem."""
    met = replay(planner.stages, matrices, [Rule(price=float(price)) for price in prices]).met
    return np.asarray((met.accuracy - prices * met.flops).mean(axis=1))


def _alike(one: Planner, other: Planner, data: TrainingData) -> bool:
    """Whether two planners see questions alike, as those do that learned from the same ones."""
    return all(np.array_equal(one.encoder.encode(q), other.encoder.encode(q)) for q in data.questions[:16])
