"""A planner restricted to one policy, and one PRM or none: what it advises where nothing else is available.

Its stages are the fitted ones; choices and probes of other models are struck from every menu.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Menu
from planner.deciding.stages import Stage
from planner.evidence.probe import Probe
from search.choice import Choice

__all__ = ["RestrictedStage", "restricted"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RestrictedStage:
    """A stage whose menus offer the ``allowed`` choices (C,) alone, and no probe after the ``last`` stage."""

    stage: Stage
    allowed: NDArray[np.bool_]
    last: bool

    @property
    def probe(self) -> Probe:
        """What has been seen."""
        return self.stage.probe

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The stage's choices, those that are struck among them."""
        return self.stage.choices

    @property
    def thoughts(self) -> bool:
        """Whether features of thoughts are seen."""
        return self.stage.thoughts

    @property
    def promises(self) -> None:
        """What the stage's own decisions met says nothing of these."""
        return None

    def menu(self, features: Floats, characters: Floats) -> Menu:
        """The stage's menu with what is not allowed out of reach."""
        menu = self.stage.menu(features, characters)
        advantage = np.where(self.allowed, menu.advantage, -np.inf)
        return replace(menu, advantage=advantage, probe=None if self.last else menu.probe)

    def accuracy(self, menu: Menu) -> Floats:
        """(rows, C) calibrated accuracy of every choice."""
        return self.stage.accuracy(menu)


def restricted(stages: Sequence[Stage], policy: str, prm: str | None) -> tuple[RestrictedStage, ...]:
    """The stages of a planner that may use ``policy`` and ``prm`` alone; () where that leaves it nothing."""
    kept: list[tuple[Stage, NDArray[np.bool_]]] = []
    for stage in stages:
        probe = stage.probe
        if probe.samples and (probe.policy != policy or probe.prm not in (None, prm)):
            break
        kept.append((stage, np.array([c.policy == policy and c.prm in (None, prm) for c in stage.choices])))
    # where nothing may be committed to there is no stopping
    while kept and not kept[-1][1].any():
        kept.pop()
    return tuple(
        RestrictedStage(stage, allowed, place == len(kept) - 1) for place, (stage, allowed) in enumerate(kept)
    )
