"""Trials of a study several at a time, so that nothing depends on who is faster.

Trials are asked for in rounds of ``width``: each sees all trials of earlier rounds and none of its own, and
all of a round climb the fidelities together. So a study depends on its width and on nothing else: not on how
many machines judge its trials, nor in which order they answer. Rounds of one trial are the study of one
process. A study that was killed goes on with the round it was in. (A number of trials that is no multiple of
the width cuts its last round short; a study that is continued from there has seen it.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import optuna
from optuna.trial import TrialState

from training.cluster.judges import Asked, Fault, Judge
from training.design import Design
from training.fidelities import Fidelity

__all__ = ["run_rounds"]

#: trials that are drawn at random before the sampler learns
_STARTUP = 8


def run_rounds(
    study: optuna.Study,
    fidelities: Sequence[Fidelity],
    trials: int,
    *,
    width: int,
    judge: Judge,
    progress: Callable[[int, int, float], None] | None,
) -> str:
    """Trials until there are so many; the last failure, "" where there was none."""
    failure = ""
    while (done := _finished(study)) < trials:
        first = done - done % width  # where a round was broken off, some of its trials are over
        numbers = range(first, min(first + width, trials))
        for found in _round(study, fidelities, numbers, judge):
            failure = found or failure
        if progress is not None and _has_value(study):
            progress(_finished(study), trials, study.best_value)
    return failure


def _round(study: optuna.Study, fidelities: Sequence[Fidelity], numbers: range, judge: Judge) -> list[str]:
    """Run the trials of these numbers that are not over; their failures."""
    last = fidelities[-1].cache
    open_: dict[int, optuna.Trial] = {}
    for number in numbers:
        # a sampler of its own for each trial: a continued study goes the way of an unbroken one
        study.sampler = optuna.samplers.TPESampler(seed=last.seed + 7919 * number, n_startup_trials=_STARTUP)
        known = study.get_trials(deepcopy=False)
        if number < len(known) and known[number].state.is_finished():
            continue
        running = number < len(known) and known[number].state is TrialState.RUNNING
        trial = optuna.Trial(study, known[number]._trial_id) if running else study.ask()
        Design.suggested(trial, last.largest, scorable=last.scorable, greedy=last.greedy)
        open_[trial.number] = trial
    failures = []
    for level, fidelity in enumerate(fidelities):
        is_last = level == len(fidelities) - 1
        held = study.get_trials(deepcopy=False)
        asked = [
            trial
            for trial in open_.values()
            if is_last or fidelity.step not in held[trial.number].intermediate_values
        ]
        for trial, found in zip(asked, judge([Asked(trial.params, level) for trial in asked]), strict=True):
            if isinstance(found, Fault):
                failures.append(found.message)
                trial.set_user_attr("failure", found.message)
                study.tell(trial, state=TrialState.FAIL)
                del open_[trial.number]
            elif is_last:
                study.tell(trial, found)
            else:
                trial.report(found, fidelity.step)
        for trial in [] if is_last else list(open_.values()):
            if trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                del open_[trial.number]
    return failures


def _finished(study: optuna.Study) -> int:
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def _has_value(study: optuna.Study) -> bool:
    return bool(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
