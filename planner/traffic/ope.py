"""Off-policy evaluation: the share right and the cost of a planner that was never live, or why not.

The reward model of the doubly robust estimates is the planner's own expectation of its decision at each
logged stage, moved by two numbers (a slope and an offset of the logit; for costs one factor) that are fitted
on the decisions on other questions (five folds). The planner must not have been fitted on these very
decisions. ``planner.traffic.estimates`` has the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.predicting.calibration import Calibration
from planner.traffic.estimates import (
    Estimate,
    Staged,
    clip_of,
    doubly_robust,
    effective_size,
    mean,
    snips,
    terms,
)
from planner.traffic.gather import Gathered, Outcomes
from planner.traffic.missing import Selection, bounds, chances, one_sided, selection
from planner.traffic.sources import Kind, Sources
from search.errors import DecisionLogError

__all__ = [
    "ENOUGH",
    "Cost",
    "Heard",
    "OpeReport",
    "Value",
    "evaluate_offline",
    "heard_outcomes",
    "rows_of_cost",
    "rows_of_value",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: the least effective size from which a number is told
ENOUGH = 50
#: the mean weight is 1 where the log takes all of the planner's decisions now and then; below this share of
#: them, it does not
_SUPPORT = 0.95
_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """The share right. ``served`` is that of the planners that were live, ``difference`` the planner's doubly
    robust share less that, paired."""

    doubly_robust: Estimate
    snips: Estimate
    served: Estimate
    difference: Estimate
    effective: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Mean cost of a request in one unit, and that of the planners that were live."""

    doubly_robust: Estimate
    snips: Estimate
    served: Estimate
    effective: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeReport:
    """What a log says of a planner.

    Parameters
    ----------
    decisions, known:
        Decisions that were used, and those of which the outcome is known.
    value, tokens, flops:
        None where the log says too little; ``refused`` says why.
    mean_weight:
        1 where the log takes all of the planner's decisions now and then.
    clip, clipped:
        The largest weight, and the share of decisions whose weight was cut to it.
    bounds:
        The served share right if unknown outcomes were all wrong, or all right.
    """

    decisions: int
    known: int
    value: Value | None
    tokens: Cost | None
    flops: Cost | None
    refused: str
    mean_weight: Estimate
    clip: float
    clipped: float
    bounds: tuple[float, float]
    selection: Selection | None
    sources: Sources
    left_out: Mapping[str, int]
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        out: dict[str, Any] = {
            "decisions": self.decisions,
            "known": self.known,
            "refused": self.refused or None,
            "reward_model": "the planner's own expectation, recalibrated on other questions",
            "mean_weight": self.mean_weight.to_json(),
            "clip": self.clip,
            "clipped": self.clipped,
            "bounds_of_served": list(self.bounds),
            "selection": None if self.selection is None else self.selection.to_json(),
            "sources": self.sources.to_json(),
            "left_out": dict(self.left_out),
            "notes": list(self.notes),
        }
        for name, found in (("value", self.value), ("tokens", self.tokens), ("flops", self.flops)):
            out[name] = None if found is None else _plain(found)
        return out


def evaluate_offline(gathered: Gathered, sources: Sources) -> OpeReport:
    """Estimate a planner's share right and cost.

    Parameters
    ----------
    gathered:
        The log, with the planner followed through it.
    sources:
        Who gives feedback. A key that is not named is a user's.

    Raises DecisionLogError where no outcome is known, RecordError for a source that turns out to tell
    nothing.
    """
    sources = gathered.measured(sources)
    heard = heard_outcomes(gathered, sources)
    found, clusters = heard.outcomes, gathered.clusters
    clip = clip_of(len(gathered))
    final = gathered.weights[np.arange(len(gathered)), gathered.last]
    weight = mean(final, clusters)
    notes = [*heard.notes, *_mixed(gathered)]
    refused = heard.refused
    value = tokens = flops = None
    effective = effective_size(final, clusters)
    known = chances(gathered.covariates, found.known, clusters)
    inverse = np.where(found.known, 1.0 / np.maximum(known, 1e-12), 0.0)
    with_outcome = effective_size(final * inverse, clusters)
    apart = _no_support(weight, gathered) or _no_overlap(effective, len(gathered))
    if not apart:
        tokens, flops = (_cost(gathered, unit, clip) for unit in (0, 1))
    overlap = apart or _no_overlap(with_outcome, int(found.known.sum()))
    if not refused and not overlap:
        value = _value(gathered, found, inverse, clip)
    refused = overlap or refused
    if found.known.mean() < 1.0:
        notes.append(
            f"{found.known.mean():.0%} of the decisions have feedback; each stands for others that were as "
            "likely to get it"
        )
    return OpeReport(
        decisions=len(gathered),
        known=int(found.known.sum()),
        value=value,
        tokens=tokens,
        flops=flops,
        refused=refused,
        mean_weight=weight,
        clip=clip,
        clipped=float((final > clip).mean()),
        bounds=bounds(np.clip(found.values, 0.0, 1.0), found.known),
        selection=heard.selection,
        sources=sources,
        left_out=gathered.left_out,
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """Whose word counts: outcomes, why their share right cannot be told (empty: it can), and notes."""

    outcomes: Outcomes
    selection: Selection | None
    refused: str
    notes: tuple[str, ...]


def heard_outcomes(gathered: Gathered, sources: Sources) -> Heard:
    """The outcomes that count. Users who speak about outcomes unlike others are not heard.

    Raises DecisionLogError where no outcome is known.
    """
    found = gathered.outcomes(sources)
    if not found.known.any():
        raise DecisionLogError(
            f"an estimate needs decisions with feedback, got none in {len(gathered):,} decisions"
        )
    users = gathered.outcomes(sources, (Kind.USER,))
    sample = gathered.outcomes(sources, (Kind.PROGRAM, Kind.JUDGE))
    compared = selection(gathered.covariates, found.values, users.known, sample.known)
    if compared is not None and compared.biased:
        note = (
            "users' feedback is left aside: where they speak "
            f"{compared.users:.0%} are right, in the sample of programs and judges {compared.sampled:.0%}"
        )
        return Heard(sample, compared, "", (note,))
    side = one_sided(users.values[users.known])
    if side is not None and not sample.known.any():
        refused = (
            f"feedback must not depend on the outcome, got {int(users.known.sum()):,} words that all say "
            f"{side}: have a sample judged by a program or a judge (--source)"
        )
        return Heard(found, compared, refused, ())
    notes = []
    if not sample.known.any():
        notes.append(_unchecked(gathered, found))
    return Heard(found, compared, "", tuple(notes))


def _unchecked(gathered: Gathered, found: Outcomes) -> str:
    """That only users spoke, and what the planners that served had promised of those decisions."""
    at = found.known & np.isfinite(gathered.promised)
    note = "all feedback is users': whether they report wrong answers more often cannot be seen"
    if not at.any():
        return note
    return (
        f"{note} (of decisions with feedback {found.values[at].mean():.0%} are right, "
        f"{gathered.promised[at].mean():.0%} were expected)"
    )


def _mixed(gathered: Gathered) -> list[str]:
    """That several planners served; each decision has the propensity of its own, so they count together."""
    if len(gathered.planners) < 2:
        return []
    told = ", ".join(f"{name[:12]} ({count:,})" for name, count in gathered.planners.items())
    return [f"the decisions are of {len(gathered.planners)} planners: {told}"]


def _no_overlap(effective: float, count: int) -> str:
    if effective >= ENOUGH:
        return ""
    return f"not enough overlap: effective size {effective:.0f} of {count:,}, at least {ENOUGH} needed"


def _no_support(weight: Estimate, gathered: Gathered) -> str:
    if weight.high >= _SUPPORT:
        return ""
    why = "" if (gathered.propensity < 1.0).any() else "; it was served without exploration"
    return (
        f"not enough overlap: the mean weight is {weight.value:.2f} ({weight.low:.2f} to {weight.high:.2f}) "
        f"where 1 is expected, so the log never takes some of the planner's decisions{why}"
    )


def rows_of_value(gathered: Gathered, found: Outcomes, inverse: Floats) -> Staged:
    """Rows of the share right; ``inverse`` (N,) is 1 over the chance of a known outcome, 0 where not."""
    rewards = np.zeros(gathered.weights.shape)
    rewards[np.arange(len(gathered)), gathered.last] = np.where(found.known, found.values, 0.0)
    rows = Staged(
        weights=gathered.weights,
        expected=gathered.expected[0].astype(np.float64),
        rewards=rewards,
        last=gathered.last,
        clusters=gathered.clusters,
        known=inverse,
    )
    return replace(rows, expected=_recalibrated(rows, found))


def _recalibrated(rows: Staged, found: Outcomes) -> Floats:
    """(N, T) expected accuracies, moved as decisions on other questions suggest."""
    place = np.arange(len(rows.last))
    said = rows.expected[place, rows.last]
    weight = np.minimum(rows.final, clip_of(len(place)))
    outcome = rows.rewards.sum(axis=1)
    fold = rows.clusters % _FOLDS
    there = np.arange(rows.expected.shape[1])[None] <= rows.last[:, None]
    out = np.zeros(rows.expected.shape)
    for one in range(_FOLDS):
        inside = fold == one
        used = ~inside & (weight > 0.0) & found.known
        held = rows.expected[inside]
        if used.any():
            held = Calibration.fit(said[used], outcome[used], weight[used]).apply(held)
        out[inside] = held
    return np.where(there, out, 0.0)


def _value(gathered: Gathered, found: Outcomes, inverse: Floats, clip: float) -> Value:
    rows = rows_of_value(gathered, found, inverse)
    each = terms(rows, clip)
    effective = effective_size(rows.final, rows.clusters)
    served = _served(rows.rewards.sum(axis=1), inverse)
    return Value(
        doubly_robust=doubly_robust(rows, clip).within(0.0, 1.0),
        snips=snips(rows, clip).within(0.0, 1.0),
        served=mean(served, rows.clusters).within(0.0, 1.0),
        difference=mean(each - served, rows.clusters, effective - 1.0, rows.final),
        effective=effective,
    )


def _served(outcome: Floats, inverse: Floats) -> Floats:
    """(N,) numbers whose mean and spread are those of the served share right, known outcomes weighted."""
    share = float(inverse.mean())
    at = float((inverse * outcome).mean()) / share
    return at + inverse * (outcome - at) / share


def rows_of_cost(gathered: Gathered, unit: int) -> Staged:
    """Rows of the cost in tokens (0) or in FLOPs (1)."""
    rows = Staged(
        weights=gathered.weights,
        expected=gathered.expected[1 + unit].astype(np.float64),
        rewards=gathered.spent[unit].astype(np.float64),
        last=gathered.last,
        clusters=gathered.clusters,
    )
    return replace(rows, expected=_rescaled(rows))


def _cost(gathered: Gathered, unit: int, clip: float) -> Cost:
    rows = rows_of_cost(gathered, unit)
    most = math.inf
    return Cost(
        doubly_robust=doubly_robust(rows, clip).within(0.0, most),
        snips=snips(rows, clip).within(0.0, most),
        served=mean(rows.rewards.sum(axis=1), rows.clusters).within(0.0, most),
        effective=effective_size(rows.final, rows.clusters),
    )


def _rescaled(rows: Staged) -> Floats:
    """(N, T) expected costs, multiplied as decisions on other questions suggest."""
    place = np.arange(len(rows.last))
    weight = np.minimum(rows.final, clip_of(len(place)))
    said, spent = rows.expected[place, rows.last], rows.rewards[place, rows.last]
    fold = rows.clusters % _FOLDS
    out = rows.expected.copy()
    for one in range(_FOLDS):
        inside = fold == one
        used = ~inside & (weight > 0.0)
        expected = float(weight[used] @ said[used])
        if expected > 0.0:
            out[inside] *= float(weight[used] @ spent[used]) / expected
    return out


def _plain(found: Value | Cost) -> dict[str, Any]:
    names: Sequence[str] = ("doubly_robust", "snips", "served")
    out: dict[str, Any] = {name: getattr(found, name).to_json() for name in names}
    if isinstance(found, Value):
        out["difference"] = found.difference.to_json()
    return {**out, "effective_size": found.effective}
