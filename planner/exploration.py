"""Exploration: now and then a decision that is not the best, so that there is something to learn from.

Each decision explores with a small chance, then takes any option within the request's caps alike. The chance
per decision is such that at most ``share`` of requests have explored after all stages. What was taken has
the propensity with which it was taken, the planner's own option included, so that off-policy estimates are
unbiased.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np

from planner.decision import Menu, Rule
from planner.decision_filter import DecisionFilter
from planner.stages import Stage
from search.errors import ServeError

__all__ = ["Exploration"]


class Exploration(DecisionFilter):
    """Explores in at most ``share`` of the requests of a planner with so many ``stages``."""

    def __init__(self, share: float, stages: int, rng: Random) -> None:
        if not 0.0 <= share < 1.0:
            raise ServeError(f"a share of requests that explore is in [0, 1), got {share}")
        self._chance = 1.0 - (1.0 - share) ** (1.0 / max(1, stages))
        self._rng = rng

    def pick(self, stage: Stage, menu: Menu, rule: Rule, option: int) -> tuple[int, float]:
        """One of the options that stay within the caps and, without a cap, cost no more than the best's."""
        if self._chance == 0.0:
            return option, 1.0
        options = self._options(menu, rule, option)
        taken = option
        if self._rng.random() < self._chance:
            taken = options[self._rng.randrange(len(options))]
        propensity = self._chance / len(options) + (1.0 - self._chance if taken == option else 0.0)
        return taken, propensity

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
