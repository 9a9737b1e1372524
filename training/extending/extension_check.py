"""What decides in an extended planner at each price, judged on the log that it was extended with.

Three are followed on every problem, the new choices learned without its fold: what was learned, new choices
among it; the rule, which is the choice that is best on average, new ones among them; and the planner as it
was. At a price what was learned decides where it is surely better than the rule, as in a fit; and where the
fit had found so, unless the log speaks against it by one standard error.

What the log does not hold of the known models stands as the planner expects it. That proves nothing: then
what was learned decides at no price at which it did not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Menu, Rule, Trust, decide
from planner.deciding.replay import ReplayOutcome, aligned, follow, replay
from planner.deciding.stages import Stage
from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Resampler, clustered_error
from planner.evidence.matrix import Matrices, Matrix
from planner.evidence.training_data import TrainingData, replayable
from planner.planner import Planner
from planner.predicting.frontier import Frontier
from training.extending.growing import Growth, shown
from training.portfolio import Followed, errors_of, sure_prices
from training.study_cache import price_grid
from training.verdict import verdict

__all__ = ["Judged", "check"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: from so many problems on, one standard error is enough
_MANY = 300
#: prices that are added below and above those of a planner, at most
_MOST_STEPS = 16


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Judged:
    """What a check comes to.

    Parameters
    ----------
    stages:
        Of the extended planner: the new choices learned from all problems, and what is trusted.
    frontier:
        Of the extended planner.
    verdict:
        As ``training.verdict`` tells it.
    measured:
        Whether the log holds everything that the planner decides between.
    """

    stages: tuple[Stage, ...]
    frontier: Frontier
    verdict: dict[str, Any]
    measured: bool


def check(planner: Planner, growth: Growth, folds: Ints, *, seed: int) -> Judged:
    """Judge an extension. ``folds`` (P,) are left out one after the other."""
    whole, families = growth.stages_of(), growth.data.families
    prices = _widened(planner.frontier.prices, whole[0], growth)
    trust = planner.stages[0].trust
    assert trust is not None
    table, measured = _table(planner, whole[0], growth.matrices)
    later = all(_is_held(growth.data, stage) for stage in whole[1:])
    measured = measured and later
    shape = (3, len(growth.data), len(prices))
    learned, rule = np.empty(shape), np.empty(shape)
    everyone = np.ones(len(growth.data), np.bool_)
    before = _met(planner.stages, table, everyone, growth.matrices if later else None, planner, prices)
    for fold in np.unique(folds):
        held, rest = folds == fold, folds != fold
        stages = growth.stages_of(rest if rest.any() else held)
        free = (replace(stages[0], trust=None), *stages[1:])
        learned[:, held] = _met(free, table, held, growth.matrices if later else None, planner, prices)
        part = table.at(held)
        rule[:, held] = _parts(follow(part, _by_rule(stages[0], part, prices), None))
    net = [one[0] - prices * one[2] for one in (learned, rule, before)]
    gained = net[0] - net[1]
    # what is only expected favours what was learned, which expects it: it proves nothing
    proven = sure_prices(gained, families, errors_of(len(families))) & measured
    against = gained if measured else net[0] - net[2]
    refuted = against.mean(axis=0) < -clustered_error(against, families)
    chosen = proven | (trust.learned[_nearest(trust.prices, prices)] & ~refuted)
    met = ReplayOutcome(*np.where(chosen, learned, rule))
    near = trust.near[_nearest(trust.prices, prices)] & ~chosen
    safe = Followed(Trust(prices, chosen, near), ReplayOutcome(*rule), met)
    old, at = planner.frontier, _nearest(planner.frontier.prices, prices)
    moved = [
        part.mean(axis=0) - was.mean(axis=0)
        for part, was in zip((met.accuracy, met.tokens, met.flops), before, strict=True)
    ]
    frontier = Frontier(
        prices=prices,
        accuracy=np.clip(old.accuracy[at] + moved[0], 0.0, 1.0),
        tokens=np.maximum(old.tokens[at] + moved[1], 0.0),
        flops=np.maximum(old.flops[at] + moved[2], 1e-9 * old.flops.max()),
    )
    told = verdict(safe, fixed=table, folds=folds, families=families, seed=seed)
    told |= _against_before(told, met, ReplayOutcome(*before), families, seed)
    if not measured:
        told = _unproven(told)
    return Judged(
        stages=(replace(whole[0], trust=safe.trust), *whole[1:]),
        frontier=frontier,
        verdict=told,
        measured=measured,
    )


def _against_before(
    told: dict[str, Any], met: ReplayOutcome, before: ReplayOutcome, families: Sequence[str], seed: int
) -> dict[str, Any]:
    """How far the extended planner is above the planner as it was, at the budgets of a verdict."""
    tracks = [Track("", one.accuracy, one.tokens, one.flops) for one in (met, before)]
    resampler = Resampler.of_families(families, seed=seed)
    gains = [tracks[0].at(row["flops"])[0] - tracks[1].at(row["flops"])[0] for row in told["budgets"]]
    above = resampler.interval(np.mean(gains, axis=0))
    side, low, high = (
        ("above", above.low, above.high) if above.value >= 0 else ("below", -above.high, -above.low)
    )
    sentence = (
        f"{told['sentence']} {100 * abs(above.value):.1f} points {side} the planner as it was "
        f"({100 * low + 0.0:.1f} to {100 * high + 0.0:.1f})."
    )
    return {
        "above_before": {"value": above.value, "low": above.low, "high": above.high},
        "sentence": sentence,
    }


def _unproven(told: dict[str, Any]) -> dict[str, Any]:
    """A verdict where known models stand as they were expected: nothing is said against the rules."""
    before = told["sentence"].rsplit("prices. ", 1)[1]
    sentence = (
        "Not compared with the rules, since the log does not hold everything that the planner decides "
        "between: the known models stand as it expects them; what was learned decides at "
        f"{told['learned']:.0%} of the prices. {before}"
    )
    return {name: value for name, value in told.items() if name != "above_rule"} | {"sentence": sentence}


def _table(planner: Planner, stage: Stage, matrices: Matrices) -> tuple[Matrix, bool]:
    """Every choice of the extended first stage on the log's problems; what the log cannot replay stands as
    the planner expects it. And whether it replays everything."""
    data = matrices.data
    held = [choice for choice in stage.choices if replayable(choice, data.pools, data.trees)]
    probe = shown(data, stage.probe)
    assert probe is not None
    measured = matrices.at(probe, held, thoughts=stage.thoughts)
    menu = stage.menu(measured.features, measured.characters)
    parts = {"values": stage.accuracy(menu), "tokens": menu.costs.tokens, "flops": menu.costs.flops}
    for at, choice in enumerate(stage.choices):
        if choice in held:
            place = measured.choices.index(choice)
            for name, values in parts.items():
                values[:, at] = getattr(measured, name)[:, place]
    table = replace(
        measured,
        choices=stage.choices,
        values=parts["values"],
        tokens=parts["tokens"],
        flops=parts["flops"],
    )
    return table, len(held) == len(stage.choices)


def _is_held(data: TrainingData, stage: Stage) -> bool:
    """Whether a log can replay everything that follows a probe."""
    known = all(replayable(choice, data.pools, data.trees) for choice in stage.choices)
    return known and shown(data, stage.probe) is not None


def _by_rule(stage: Stage, table: Matrix, prices: Floats) -> list[Ints]:
    """At each price what is best on average, for every problem."""
    menu = stage.menu(table.features, table.characters)
    means = np.broadcast_to(stage.average, menu.advantage.shape)
    alone = replace(menu, advantage=means, probe=None, trust=None, average=None, near=None)
    return [decide(alone, Rule(price=float(price))) for price in prices]


def _met(
    stages: Sequence[Stage],
    table: Matrix,
    held: Bools,
    matrices: Matrices | None,
    planner: Planner,
    prices: Floats,
) -> Floats:
    """(3, held, J) accuracy, tokens and FLOPs that stages meet; without ``matrices`` what follows a probe is
    as they expect it."""
    rules = [Rule(price=float(price)) for price in prices]
    part = table.at(held)
    menu = stages[0].menu(part.features, part.characters)
    after = None
    if menu.probe is not None and matrices is not None:
        done = replay(stages[1:], matrices, rules)
        met = aligned(done.met, table, done.matrices[0])
        after = ReplayOutcome(met.accuracy[held], met.tokens[held], met.flops[held])
    elif menu.probe is not None:
        after = _expected(stages[0], menu, planner, prices)
    seen = part.only(part.choices[: len(stages[0].choices)])
    return _parts(follow(seen, [decide(menu, rule) for rule in rules], after))


def _parts(met: ReplayOutcome) -> Floats:
    return np.stack([met.accuracy, met.tokens, met.flops])


def _expected(stage: Stage, menu: Menu, planner: Planner, prices: Floats) -> ReplayOutcome:
    """What probing further is expected to meet."""
    flops = menu.advance_cost
    accuracy = np.clip(menu.level[:, None] + menu.advance_net + menu.prices * flops, 0.0, 1.0)
    per_token = (
        planner.policies[stage.actions.next_probe.policy].flops(1.0) if stage.actions.next_probe else 1.0
    )
    at = _nearest(menu.prices, prices)
    return ReplayOutcome(accuracy[:, at], flops[:, at] / per_token, flops[:, at])


def _widened(prices: Floats, stage: Stage, growth: Growth) -> Floats:
    """The prices of a planner and, in the same steps, those beyond them at which a new choice comes in.

    One that is better and dearer than all that was known is worth it at lower prices only.
    """
    first = growth.stages[0].matrix
    if first is None or len(prices) < 2:
        return prices
    menu = stage.menu(first.features, first.characters)
    grid, _ = price_grid(stage.average, menu.costs.flops.mean(axis=0))
    step = float(prices[1] / prices[0])
    below, above = np.log(prices[0] / grid[0]) / np.log(step), np.log(grid[-1] / prices[-1]) / np.log(step)
    lower, higher = (int(np.clip(np.ceil(count), 0, _MOST_STEPS)) for count in (below, above))
    return np.concatenate(
        [
            prices[0] * step ** -np.arange(lower, 0, -1, dtype=np.float64),
            prices,
            prices[-1] * step ** np.arange(1, higher + 1, dtype=np.float64),
        ]
    )


def _nearest(known: Floats, prices: Floats) -> Ints:
    """(J,) for each of some prices the place of the nearest known one, in the logarithm."""
    return np.asarray(np.abs(np.log(known)[None] - np.log(prices)[:, None]).argmin(axis=1))
