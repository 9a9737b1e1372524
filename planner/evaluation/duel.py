"""A planner beside one rival at equal mean FLOPs: what the trials of safety and transfer look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baselines import BASELINES
from planner.evaluation.evaluate import contest_of, planner_track, point
from planner.evaluation.intervals import Resampler
from planner.evaluation.slices import sample_flops
from planner.experience import Experience
from planner.planner import Planner

__all__ = ["Bout", "Duel", "Reached", "duel", "judge", "meet"]

Floats = NDArray[np.float64]

#: accuracy, tokens and FLOPs per problem, (P,) each
Reached = tuple[Floats, Floats, Floats]


@dataclass(frozen=True, slots=True)
class Bout:
    """How a duel is held: mean ``budgets`` in samples of the held-out log's main policy, continuations of
    each probe, resamples of the bootstrap, and the seed of all."""

    budgets: tuple[float, ...]
    seed: int = 0
    resamples: int = 16
    bootstrap: int = 2000


@dataclass(frozen=True, slots=True)
class Duel:
    """At one budget: accuracies of planner and rival, how far the planner is above, and its 95% interval."""

    samples: float
    planner: float
    rival: float
    above: float
    low: float
    high: float


def duel(
    planner: Planner, experience: Experience, training: Experience, bout: Bout, *, rival: str = "majority"
) -> tuple[Duel, ...]:
    """Replay both on held-out problems; the rival (a name of ``BASELINES``) picks on ``training``.

    Nothing comes back where the log has nothing for the rival to work with.
    """
    met = meet(planner, experience, training, bout, (rival,), sample_flops(experience))
    return judge(met["planner"], met[rival], experience.families, bout) if rival in met else ()


def meet(
    planner: Planner,
    experience: Experience,
    training: Experience,
    bout: Bout,
    rivals: Sequence[str],
    unit: float,
) -> dict[str, list[Reached]]:
    """What the planner and each rival reach, per budget; ``unit``: FLOPs of a sample-equivalent."""
    contest = contest_of(planner, experience, training, seed=bout.seed, resamples=bout.resamples)
    tracks = {"planner": planner_track(planner, contest)}
    for rival in rivals:
        made = BASELINES[rival](contest)
        if made is not None:
            tracks[rival] = made
    return {name: [track.at(budget * unit) for budget in bout.budgets] for name, track in tracks.items()}


def judge(
    ours: Sequence[Reached], theirs: Sequence[Reached], families: Sequence[str], bout: Bout
) -> tuple[Duel, ...]:
    """The differences per budget, paired by problem, families clustered where there are enough of them."""
    resampler = Resampler.of_families(families, resamples=bout.bootstrap, seed=bout.seed)
    out = []
    for budget, (mine, _, _), reached in zip(bout.budgets, ours, theirs, strict=True):
        found = point(reached, mine, resampler)
        accuracy = float(mine.mean())
        out.append(
            Duel(budget, accuracy, found.accuracy, found.planner_above, found.above_low, found.above_high)
        )
    return tuple(out)
