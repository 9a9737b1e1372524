"""Paired comparison of a planner and one rival at equal mean FLOPs, for the trials of safety and transfer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baseline import track_of
from planner.evaluation.evaluate import context_of, planner_track, point
from planner.evaluation.intervals import Resampler
from planner.evaluation.slices import sample_flops
from planner.evidence.training_data import TrainingData
from planner.planner import Planner

__all__ = ["ComparisonSpec", "PairedComparison", "Reached", "compare", "paired_comparison", "replay_all"]

Floats = NDArray[np.float64]

#: accuracy, tokens and FLOPs per problem, (P,) each
Reached = tuple[Floats, Floats, Floats]


@dataclass(frozen=True, slots=True)
class ComparisonSpec:
    """How a comparison is made: mean ``budgets`` in samples of the held-out log's main policy, continuations
    of each probe, resamples of the bootstrap, and the seed of all."""

    budgets: tuple[float, ...]
    seed: int = 0
    resamples: int = 16
    bootstrap: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """At one budget: accuracies of planner and rival, how far the planner is above, and its 95% interval."""

    samples: float
    planner: float
    rival: float
    above: float
    low: float
    high: float


def paired_comparison(
    planner: Planner,
    data: TrainingData,
    training: TrainingData,
    spec: ComparisonSpec,
    *,
    rival: str = "majority",
) -> tuple[PairedComparison, ...]:
    """Replay both on held-out problems; the rival (a name of ``BASELINES``) picks on ``training``.

    Nothing comes back where the log has nothing for the rival to work with.
    """
    met = replay_all(planner, data, training, spec, (rival,), sample_flops(data))
    return compare(met["planner"], met[rival], data.families, spec) if rival in met else ()


def replay_all(
    planner: Planner,
    data: TrainingData,
    training: TrainingData,
    spec: ComparisonSpec,
    rivals: Sequence[str],
    unit: float,
) -> dict[str, list[Reached]]:
    """What the planner and each rival reach, per budget; ``unit``: FLOPs of a sample-equivalent."""
    context = context_of(planner, data, training, seed=spec.seed, resamples=spec.resamples)
    tracks = {"planner": planner_track(planner, context)}
    for rival in rivals:
        made = track_of(rival, context)
        if made is not None:
            tracks[rival] = made
    return {name: [track.at(budget * unit) for budget in spec.budgets] for name, track in tracks.items()}


def compare(
    ours: Sequence[Reached], theirs: Sequence[Reached], families: Sequence[str], spec: ComparisonSpec
) -> tuple[PairedComparison, ...]:
    """The differences per budget, paired by problem, families clustered where there are enough of them."""
    resampler = Resampler.of_families(families, resamples=spec.bootstrap, seed=spec.seed)
    out = []
    for budget, (mine, _, _), reached in zip(spec.budgets, ours, theirs, strict=True):
        found = point(reached, mine, resampler)
        accuracy = float(mine.mean())
        out.append(
            PairedComparison(
                samples=budget,
                planner=accuracy,
                rival=found.accuracy,
                above=found.planner_above,
                low=found.above_low,
                high=found.above_high,
            )
        )
    return tuple(out)
