"""Who tells the utility of a trial: this process, or actors of a Ray cluster.

A utility is a pure function of the data, the seed and the trial's parameters, so it does not matter who
computes it, or how often: an actor that died is restarted by Ray and asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import lightgbm
import optuna

from training.design import Design
from training.fidelities import Fidelity

__all__ = ["FAILURES", "Asked", "Fault", "Judge", "RayJudge", "StudyWorker", "judged_here", "utility"]

#: what a design may make of the arithmetic; anything else is an error of ours and ends the study
FAILURES = (ArithmeticError, ValueError, lightgbm.basic.LightGBMError)


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a trial, and the place of the fidelity that it is judged on."""

    parameters: Mapping[str, Any]
    level: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a trial has no utility."""

    message: str


class Judge(Protocol):
    """Utilities of trials, in the order they are asked for."""

    def __call__(self, asked: Sequence[Asked]) -> list[float | Fault]:
        """One for each."""


def utility(fidelities: Sequence[Fidelity], asked: Asked) -> float | Fault:
    """What a trial's decisions meet on one fidelity."""
    last, cache = fidelities[-1].cache, fidelities[asked.level].cache
    trial = optuna.trial.FixedTrial(dict(asked.parameters))
    design = Design.suggested(trial, last.largest, scorable=last.scorable, greedy=last.greedy)
    try:
        return cache.utility(cache.chain(design, tuning=True))
    except FAILURES as error:
        return Fault(f"{type(error).__name__}: {error}"[:500])


def judged_here(fidelities: Sequence[Fidelity]) -> Judge:
    """One after the other, in this process."""

    def judge(asked: Sequence[Asked]) -> list[float | Fault]:
        return [utility(fidelities, one) for one in asked]

    return judge


class StudyWorker:
    """What runs in an actor: the fidelities of one study, made once."""

    def __init__(self, make: Callable[[], Sequence[Fidelity]]) -> None:
        self._fidelities = make()

    def utility(self, asked: Asked) -> float | Fault:
        """``training.cluster.judges.utility``."""
        return utility(self._fidelities, asked)


class RayJudge:
    """So many actors, asked in turn. ``close`` ends them.

    Parameters
    ----------
    ray:
        The package, connected.
    make:
        Makes the fidelities in an actor; to be pickled, once for all of them.
    actors:
        How many.
    cpus:
        Of each.
    """

    def __init__(self, ray: Any, make: Callable[[], Sequence[Fidelity]], actors: int, cpus: float) -> None:
        self._ray = ray
        shared = ray.put(make)
        made = ray.remote(StudyWorker).options(
            num_cpus=cpus, max_restarts=-1, max_task_retries=-1, scheduling_strategy="SPREAD"
        )
        self._actors = [made.remote(shared) for _ in range(actors)]

    def __call__(self, asked: Sequence[Asked]) -> list[float | Fault]:
        answers = [
            self._actors[place % len(self._actors)].utility.remote(one) for place, one in enumerate(asked)
        ]
        found: list[float | Fault] = self._ray.get(answers)
        return found

    def close(self) -> None:
        """End the actors."""
        for actor in self._actors:
            self._ray.kill(actor)
