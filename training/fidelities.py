"""The fidelities of a study: nested samples of the problems, each three times the one before.

A trial climbs as long as it is among the best third of those that reached a fidelity before it (successive
halving: Jamieson and Talwalkar 2016, in the asynchronous form of Li et al. 2018, arXiv 1810.05934). The last
fidelity is all problems of a small log and a sample of a large one, which is enough to tell designs apart;
the chosen design is fitted on all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from planner.evaluation.slices import calibration_rows, rows_of
from planner.evidence.training_data import TrainingData
from training.study_cache import FoldsBy, StudyCache

__all__ = ["LARGEST", "REDUCTION", "SMALLEST", "Fidelity", "fidelities_of", "sizes"]

#: problems of the last fidelity at most, and of any fidelity at least
LARGEST = 2048
SMALLEST = 200
#: problems grow, and trials shrink, by this from fidelity to fidelity
REDUCTION = 3


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What a trial is judged on, and its ``step`` in the words of Optuna's pruners: 1, 3, 9, ..."""

    step: int
    cache: StudyCache


def sizes(problems: int) -> list[int]:
    """Problems of each fidelity, ascending.

    >>> sizes(150), sizes(1024), sizes(100_000)
    ([150], [341, 1024], [227, 682, 2048])
    """
    out = [min(problems, LARGEST)]
    while out[0] // REDUCTION >= SMALLEST:
        out.insert(0, out[0] // REDUCTION)
    return out


def fidelities_of(
    data: TrainingData,
    *,
    seed: int,
    threads: int,
    folds: FoldsBy,
    reliability: Mapping[str, float] = MappingProxyType({}),
) -> tuple[Fidelity, ...]:
    """The fidelities of a study on a log; ``reliability`` as ``StudyCache`` takes it.

    Families are drawn in turn, so that few problems still cover them.
    """
    out = []
    for place, size in enumerate(sizes(len(data))):
        part = data
        if size < len(data):
            part = rows_of(data, calibration_rows(data, size, seed))
        out.append(
            Fidelity(
                REDUCTION**place,
                StudyCache(data=part, seed=seed, threads=threads, folds_by=folds, reliability=reliability),
            )
        )
    return tuple(out)
