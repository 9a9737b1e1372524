"""Deadline filter: excludes what would take longer than the time left."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Menu
from planner.deciding.decision_filter import DecisionFilter
from planner.deciding.stages import Stage
from planner.solving.latency import Latency, Seconds, Work

__all__ = ["DeadlineFilter"]


class DeadlineFilter(DecisionFilter):
    """A deadline in the terms of a menu.

    What is unknown counts as too slow: a policy that has hardly run begins with its cheapest choice, and
    what follows is judged by that. The fastest choice always stays: at the deadline the best answer so far
    is returned, whatever was chosen.

    Parameters
    ----------
    left:
        Seconds left when asked.
    load:
        Requests being worked on when asked.
    """

    def __init__(
        self,
        latency: Latency,
        left: Callable[[], float],
        load: Callable[[], int],
        then: DecisionFilter | None = None,
    ) -> None:
        super().__init__(then)
        self._latency = latency
        self._left = left
        self._load = load

    def menu(self, stage: Stage, menu: Menu) -> Menu:
        """The menu with costs of what takes too long that fit no cap (NaN)."""
        left, load = self._left(), self._load()
        drawn = stage.probe.samples
        seconds = [
            self._latency.predict(Work.of(choice, drawn), float(menu.costs.tokens[0, i]), load)
            for i, choice in enumerate(stage.choices)
        ]
        slow = np.array([found is None or found.p90 > left for found in seconds])
        tokens = menu.costs.tokens_p90[0]
        there = np.flatnonzero(np.isfinite(tokens))  # the others are excluded already
        if slow[there].all() and len(there):
            slow[min(there, key=lambda i: (_p90(seconds[i]), tokens[i]))] = False
        menu = replace(menu, costs=replace(menu.costs, tokens_p90=_excluded(menu.costs.tokens_p90, slow)))
        probe, after = stage.actions.next_probe, menu.probe
        if probe is not None and after is not None:
            work = Work(policy=probe.policy, prm=probe.prm, n=max(1, probe.samples - drawn), is_tree=False)
            found = self._latency.predict(work, float(after.tokens[0, 0]), load)
            if found is None or found.p90 > left:
                late = np.array([True])
                menu = replace(menu, probe=replace(after, tokens_p90=_excluded(after.tokens_p90, late)))
        return super().menu(stage, menu)


def _excluded(p90: NDArray[np.float64], slow: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(slow, np.nan, p90)


def _p90(found: Seconds | None) -> float:
    return math.inf if found is None else found.p90
