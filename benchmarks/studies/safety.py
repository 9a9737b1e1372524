"""Does a planner do harm when its PRM has gone bad and nobody said so?

The PRMs of the held-out log are replaced (``studies.sabotage``). The planner is told nothing but
what probes show, or may be made anew from at most a hundred problems of the new PRM. It must not fall
measurably below majority voting at equal mean FLOPs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from planner.evaluation.slices import calibration_rows, rows_of
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from studies.paired_comparison import ComparisonSpec, PairedComparison, paired_comparison
from studies.sabotage import SABOTAGES, sabotaged

__all__ = ["CALIBRATION", "HARM", "Trial", "safety"]

#: calibration problems that a planner may be told of at most
CALIBRATION = 100

#: accuracy below majority from which a fall counts as harm: the interval must end above it
HARM = -0.01


@dataclass(frozen=True, slots=True)
class Trial:
    """One replaced PRM. ``told``: ``probe`` (nothing else) or ``calibration``."""

    prm: str
    told: str
    duels: tuple[PairedComparison, ...]

    @property
    def safe(self) -> bool:
        """Whether no budget shows more than a point of harm at the lower end of its interval."""
        return all(one.low > HARM for one in self.duels)


def safety(
    planner: Planner,
    data: TrainingData,
    training: TrainingData,
    spec: ComparisonSpec,
    *,
    refit: Callable[[TrainingData], Planner] | None = None,
) -> tuple[Trial, ...]:
    """Every sabotage, told nothing and, with ``refit``, told by calibration problems of the training log.

    ``refit`` makes a planner from a log of at most ``CALIBRATION`` problems whose PRMs are the replaced ones.
    """
    known = rows_of(training, calibration_rows(training, CALIBRATION, spec.seed))
    out = []
    for kind in SABOTAGES:
        broken = sabotaged(data, kind, seed=spec.seed)
        told = {"probe": planner}
        if refit is not None:
            told["calibration"] = refit(sabotaged(known, kind, seed=spec.seed + 1))
        for how, decider in told.items():
            out.append(Trial(kind, how, paired_comparison(decider, broken, training, spec)))
    return tuple(out)
