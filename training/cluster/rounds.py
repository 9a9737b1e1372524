"""Trials of a study several at a time, so that nothing depends on who is faster.

Trials are asked for in rounds of ``width``: each sees all trials of earlier rounds and none of its own, and
all of a round climb the fidelities together. So a study depends on its width and on nothing else: not on how
many machines judge its trials, nor in which order they answer. Rounds of one trial are the study of one
process. A study that was killed goes on with the round it was in. (A number of trials that is no multiple of
the width cuts its last round short; a study that is continued from there has seen it.)

Several processes may run one study at the same time, with the same arguments. All that they write, they
write under the study's lock (``training.cluster.storages.lock_of``). Each takes trials that nobody has taken;
where all are taken, it judges those that have no utility yet again: whoever took them may have died, and a
utility is the same whoever works it out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from training.cluster.judges import Asked, Fault, Judge
from training.cluster.storages import Lock
from training.design import Design
from training.fidelities import REDUCTION, Fidelity

__all__ = ["Sharing", "passes", "run_rounds"]

#: trials that are drawn at random before the sampler learns
_STARTUP = 8
#: attribute of a trial: the step up to which somebody has taken it
_TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class Sharing:
    """How a process takes part in a study: ``at_once`` trials are judged in one go, at most."""

    lock: Lock
    at_once: int


def run_rounds(
    study: optuna.Study,
    fidelities: Sequence[Fidelity],
    trials: int,
    *,
    width: int,
    judge: Judge,
    sharing: Sharing,
    progress: Callable[[int, int, float], None] | None,
) -> str:
    """Trials until there are so many; the last failure, "" where there was none."""
    while (done := _finished(study)) < trials:
        first = done - done % width  # where a round was broken off, some of its trials are over
        _round(study, fidelities, range(first, min(first + width, trials)), judge, sharing)
        if progress is not None and _has_value(study):
            progress(_finished(study), trials, study.best_value)
    told = [trial.user_attrs.get("failure", "") for trial in study.get_trials(deepcopy=False)]
    return next((failure for failure in reversed(told) if failure), "")


def _round(
    study: optuna.Study, fidelities: Sequence[Fidelity], numbers: range, judge: Judge, sharing: Sharing
) -> None:
    """Run the trials of these numbers that are not over."""
    with sharing.lock():
        open_ = _asked(study, fidelities[-1], numbers)
    for level, fidelity in enumerate(fidelities):
        is_last = level == len(fidelities) - 1
        while mine := _taken(study, open_, fidelity.step, is_last, sharing):
            found = judge([Asked(open_[number].params, level) for number in mine])
            told = dict(zip(mine, found, strict=True))
            with sharing.lock():
                _tell(study, open_, told, fidelity.step, is_last)
        if not is_last:
            with sharing.lock():
                _prune(study, open_, fidelity.step)


def _asked(study: optuna.Study, last: Fidelity, numbers: range) -> dict[int, optuna.Trial]:
    """The trials of these numbers that are not over, with all of their parameters.

    No trial of a round is over before all of them are there, so each sees earlier rounds only.
    """
    cache, found = last.cache, {}
    for number in numbers:
        # a sampler of its own for each trial: a continued study goes the way of an unbroken one
        study.sampler = optuna.samplers.TPESampler(seed=cache.seed + 7919 * number, n_startup_trials=_STARTUP)
        known = study.get_trials(deepcopy=False)
        if number < len(known) and known[number].state.is_finished():
            continue
        running = number < len(known) and known[number].state is TrialState.RUNNING
        trial = optuna.Trial(study, known[number]._trial_id) if running else study.ask()
        Design.suggested(trial, cache.largest, scorable=cache.scorable, greedy=cache.greedy)
        found[trial.number] = trial
    return found


def _taken(
    study: optuna.Study, open_: Mapping[int, optuna.Trial], step: int, is_last: bool, sharing: Sharing
) -> list[int]:
    """Numbers of trials to judge now; empty where all have a utility at this step."""
    with sharing.lock():
        known = study.get_trials(deepcopy=False)
        missing = [
            number
            for number in open_
            if not known[number].state.is_finished()
            and (is_last or step not in known[number].intermediate_values)
        ]
        free = [number for number in missing if known[number].user_attrs.get(_TAKEN, 0) < step]
        # who comes to trials of others begins at the other end
        mine = (free or missing[::-1])[: sharing.at_once]
        for number in mine:
            if number in free:
                open_[number].set_user_attr(_TAKEN, step)
        return sorted(mine)


def _tell(
    study: optuna.Study,
    open_: Mapping[int, optuna.Trial],
    told: Mapping[int, float | Fault],
    step: int,
    is_last: bool,
) -> None:
    """Write utilities, where nobody else has."""
    known = study.get_trials(deepcopy=False)
    for number, found in told.items():
        if known[number].state.is_finished() or (step in known[number].intermediate_values and not is_last):
            continue
        trial = open_[number]
        if isinstance(found, Fault):
            trial.set_user_attr("failure", found.message)
            study.tell(trial, state=TrialState.FAIL)
        elif is_last:
            study.tell(trial, found)
        else:
            trial.report(found, step)


def _prune(study: optuna.Study, open_: Mapping[int, optuna.Trial], step: int) -> None:
    """End those that do not climb on."""
    for number, trial in open_.items():
        known = study.get_trials(deepcopy=False)
        if not known[number].state.is_finished() and not passes(known, number, step):
            study.tell(trial, state=TrialState.PRUNED)


def passes(trials: Sequence[FrozenTrial], number: int, step: int) -> bool:
    """Whether a trial is among the best third of those up to its number that reached a step.

    Optuna's ``SuccessiveHalvingPruner``, as a function of what is in the study: so it does not matter who
    asks, or how often.
    """
    value = trials[number].intermediate_values[step]
    if math.isnan(value):
        return False
    reached = [
        one.intermediate_values[step] for one in trials[: number + 1] if step in one.intermediate_values
    ]
    ranked = sorted((one for one in reached if not math.isnan(one)), reverse=True)
    return value >= ranked[max(len(ranked) // REDUCTION - 1, 0)]


def _finished(study: optuna.Study) -> int:
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def _has_value(study: optuna.Study) -> bool:
    return bool(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
