"""The headline figures of specialists: for every policy and PRM a planner that was learned for the two alone.

A planner for many models probes with one of them, so confined to another it decides without a probe. Who
serves one policy with one PRM learns a planner for these; that is what arXiv 2502.06703 compares, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.evaluate import context_of
from planner.evaluation.headline import Headline, geometric_mean, headlines
from planner.evaluation.intervals import Resampler
from planner.evaluation.slices import only
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from search.errors import TooLittleDataError

__all__ = ["Specialists", "specialists"]


@dataclass(frozen=True, slots=True)
class Specialists:
    """``cells``: the figures of each policy x PRM; ``mean``: ``value``, ``low`` and ``high`` of the geometric
    mean of their multiples over majority."""

    cells: tuple[Headline, ...]
    mean: Mapping[str, float]


def specialists(
    learned: TrainingData,
    held_out: TrainingData,
    fit: Callable[[TrainingData], Planner],
    *,
    seed: int = 0,
    bootstrap: int = 2000,
) -> Specialists:
    """Learn a planner for every policy x PRM of both logs, and compare it with the votes of its policy.

    Intervals are by bootstrap over families, the same resamples in every cell. Raises TooLittleDataError
    where the logs share no pair.
    """
    resampler = Resampler(len(held_out), clusters=held_out.families, resamples=bootstrap, seed=seed)
    cells: list[Headline] = []
    drawn: list[NDArray[np.float64]] = []
    for policy, prm in _pairs(learned, held_out):
        mine, theirs = (only(log, policies=(policy,), prms=(prm,)) for log in (learned, held_out))
        planner = fit(mine)
        found = headlines(planner, context_of(planner, theirs, mine, seed=seed), resampler)
        cells += found[0]
        drawn += found[1]
    if not cells:
        raise TooLittleDataError(
            "a specialist is learned for a policy and a PRM of both logs, got no such pair"
        )
    return Specialists(tuple(cells), asdict(geometric_mean(tuple(cells), tuple(drawn))))


def _pairs(learned: TrainingData, held_out: TrainingData) -> list[tuple[str, str]]:
    return [
        (policy, prm)
        for policy, pool in held_out.pools.items()
        for prm in pool.prms
        if policy in learned.pools and prm in learned.pools[policy].prms
    ]
