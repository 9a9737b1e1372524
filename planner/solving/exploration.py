"""Exploration: now and then a decision that is not the best, so that there is something to learn from.

Each decision explores with a small chance, then takes any option within the request's caps alike. The chance
per decision is such that at most ``share`` of requests have explored after all stages. What was taken has
the propensity with which it was taken, the planner's own option included, so that off-policy estimates are
unbiased.

What a decision explores among is drawn either alike (epsilon), or by Thompson's rule (``Resampled``): as
often as an option is the best under resampled values. A fitted planner holds one model of each stage and no
members of an ensemble, so the values are resampled from what it does hold: as many of the problems that it
remembers as its neighbours are (at least 20), with weights drawn at random (Bayesian bootstrap, Rubin 1981),
move the predicted advantages by as much as their mean moves, all choices together. A planner that remembers
no problems resamples each accuracy within its calibrated interval. The propensity is exact: the members vote
first, then the option is drawn from their votes.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
from numpy.typing import NDArray

from planner.deciding.cost import Costs
from planner.deciding.decision import Menu, Rule, decide
from planner.deciding.decision_filter import DecisionFilter
from planner.deciding.stages import Stage
from search.errors import ServeError

__all__ = ["Exploration", "Resampled"]

Floats = NDArray[np.float64]

#: members that vote, and the share of a draw that goes to all options alike, so that each has a chance
_MEMBERS, _ALIKE = 64, 0.1


class Exploration(DecisionFilter):
    """Explores in at most ``share`` of the requests of a planner with so many ``stages``."""

    def __init__(self, share: float, stages: int, rng: Random) -> None:
        if not 0.0 <= share < 1.0:
            raise ServeError(f"a share of requests that explore is in [0, 1), got {share}")
        self._chance: float = 1.0 - (1.0 - share) ** (1.0 / max(1, stages))
        self._rng = rng

    def pick(self, stage: Stage, menu: Menu, rule: Rule, option: int) -> tuple[int, float]:
        """One of the options that stay within the caps and, without a cap, cost no more than the best's."""
        if self._chance == 0.0:
            return option, 1.0
        options = self._options(menu, rule, option)
        taken = option
        if self._rng.random() < self._chance:
            taken = self._drawn(stage, menu, rule, options)
        tried = self._tried(stage, menu, rule, options, taken)
        return taken, tried + (1.0 - self._chance if taken == option else 0.0)

    def _drawn(self, stage: Stage, menu: Menu, rule: Rule, options: list[int]) -> int:
        """One of the options to try."""
        return options[self._rng.randrange(len(options))]

    def _tried(self, stage: Stage, menu: Menu, rule: Rule, options: list[int], taken: int) -> float:
        """With which chance that one is tried."""
        return self._chance / len(options)

    @staticmethod
    def _options(menu: Menu, rule: Rule, option: int) -> list[int]:
        count = menu.advantage.shape[1]
        tokens, flops = menu.costs.tokens_p90[0], menu.costs.flops_p90[0]
        if rule.is_uncapped:
            # an option to probe further has no cost of its own: what the cheapest plan costs bounds it
            most = float(flops[option]) if option < count else float(flops.min())
            rule = replace(rule, flops_left=most)
        fits = np.isfinite(tokens) & rule.fits(menu.costs)[0]
        options = {int(i) for i in np.flatnonzero(fits)} | {option}
        probe = menu.probe
        if (
            probe is not None
            and np.isfinite(probe.tokens_p90[0, 0])
            and bool(rule.fits(probe)[0, 0])
            and menu.allows is not None
            and bool((fits & menu.allows).any())
        ):
            options.add(count)
        return sorted(options)


class Resampled(Exploration):
    """Thompson's rule: tries an option as often as it is the best under resampled values.

    Members vote for the best of the options within the caps; the option is drawn from nine tenths of their
    votes and one tenth that goes to all options alike.
    """

    def __init__(self, share: float, stages: int, rng: Random, members: int = _MEMBERS) -> None:
        super().__init__(share, stages, rng)
        if members < 1:
            raise ServeError(f"at least 1 member votes, got {members}")
        self._members = members
        self._votes: tuple[tuple[int, ...], Floats] | None = None

    def pick(self, stage: Stage, menu: Menu, rule: Rule, option: int) -> tuple[int, float]:
        """One of the options that the members vote for; its propensity is that of this vote."""
        self._votes = None
        return super().pick(stage, menu, rule, option)

    def _drawn(self, stage: Stage, menu: Menu, rule: Rule, options: list[int]) -> int:
        shares = self._shares(stage, menu, rule, options)
        return self._rng.choices(options, shares.tolist())[0]

    def _tried(self, stage: Stage, menu: Menu, rule: Rule, options: list[int], taken: int) -> float:
        return self._chance * float(self._shares(stage, menu, rule, options)[options.index(taken)])

    def _shares(self, stage: Stage, menu: Menu, rule: Rule, options: list[int]) -> Floats:
        """(O,) the chance of each option."""
        if self._votes is None or self._votes[0] != tuple(options):
            rng = np.random.default_rng(self._rng.getrandbits(64))
            chosen = decide(_resampled(stage, menu, self._members, rng), rule)
            votes = np.array([float((chosen == option).sum()) for option in options])
            cast = votes.sum()
            alike = np.full(len(options), 1.0 / len(options))
            shares = alike if cast == 0.0 else (1.0 - _ALIKE) * votes / cast + _ALIKE * alike
            self._votes = tuple(options), shares
        return self._votes[1]


def _resampled(stage: Stage, menu: Menu, members: int, rng: np.random.Generator) -> Menu:
    """The menu (one row) as each member has it: a row of each."""
    count = menu.advantage.shape[1]
    near = stage.neighbours
    moved = np.zeros((members, count))
    if near is not None:
        values = near.values
        size = min(len(values), max(near.count, 20))
        rows = values[rng.choice(len(values), size, replace=False)]
        weights = rng.dirichlet(np.ones(size), members)
        known = weights @ rows - rows.mean(axis=0)
        moved[:, : known.shape[1]] = known - known[:, [stage.actions.reference]]
    else:
        said = stage.accuracy(menu)[0]
        half = [0.5 * (high - low) for low, high in map(stage.reliability.interval, said.tolist())]
        moved = rng.normal(size=(members, count)) * np.array(half) / 1.96
    return replace(
        menu,
        advantage=menu.advantage + moved,
        level=np.repeat(menu.level, members),
        costs=_repeated(menu.costs, members),
        advance_net=np.repeat(menu.advance_net, members, axis=0),
        advance_cost=np.repeat(menu.advance_cost, members, axis=0),
        probe=None if menu.probe is None else _repeated(menu.probe, members),
        average=None,
        near=None,
        trust=None,
    )


def _repeated(costs: Costs, times: int) -> Costs:
    return Costs(
        tokens=np.repeat(costs.tokens, times, axis=0),
        flops=np.repeat(costs.flops, times, axis=0),
        tokens_p90=np.repeat(costs.tokens_p90, times, axis=0),
        flops_p90=np.repeat(costs.flops_p90, times, axis=0),
    )
