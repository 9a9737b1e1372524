"""A planner beside one rival at equal mean FLOPs: what the trials of safety and transfer look at."""

from __future__ import annotations

from dataclasses import dataclass

from planner.evaluation.baselines import BASELINES
from planner.evaluation.evaluate import contest_of, planner_track, point
from planner.evaluation.intervals import Resampler
from planner.evaluation.slices import sample_flops
from planner.experience import Experience
from planner.planner import Planner

__all__ = ["Bout", "Duel", "duel"]


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
    contest = contest_of(planner, experience, training, seed=bout.seed, resamples=bout.resamples)
    theirs = BASELINES[rival](contest)
    if theirs is None:
        return ()
    ours = planner_track(planner, contest)
    resampler = Resampler(len(experience), resamples=bout.bootstrap, seed=bout.seed)
    unit = sample_flops(experience)
    out = []
    for budget in bout.budgets:
        mine = ours.at(budget * unit)[0]
        found = point(theirs.at(budget * unit), mine, resampler)
        accuracy = float(mine.mean())
        out.append(
            Duel(budget, accuracy, found.accuracy, found.planner_above, found.above_low, found.above_high)
        )
    return tuple(out)
