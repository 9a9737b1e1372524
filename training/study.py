"""The planner study: from a search log to a planner, tuned by the utility of its decisions.

Optuna varies how advantages are modelled, which features and looks are used and how many choices are
decided between. A trial is judged by what its decisions meet on families that its models have not seen:
accuracy less the price of compute, averaged over prices (the area under accuracy against compute, seen from
above). The fit of the values is never judged. Everything is seeded and trials run in a fixed order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import optuna

from planner.experience import Experience, Tables, read_experience
from planner.planner import Planner
from search.cards import ModelCard
from search.errors import TooLittleDataError
from training.design import Design, plain
from training.workshop import FoldsBy, Workshop, digest

__all__ = ["ENOUGH_FAMILIES", "ENOUGH_PROBLEMS", "fit", "fit_experience"]

#: fewer than this say nothing about families that were left out
ENOUGH_PROBLEMS = 60
ENOUGH_FAMILIES = 3


def fit(
    tables: Tables,
    policies: Mapping[str, ModelCard],
    prms: Mapping[str, ModelCard],
    *,
    trials: int = 20,
    seed: int = 0,
    threads: int = 1,
    storage: Any = None,
    name: str = "planner",
    date: str = "",
    folds: FoldsBy = "family",
    progress: Callable[[int, int, float], None] | None = None,
) -> Planner:
    """Learn a planner from a search log.

    Parameters
    ----------
    tables, policies, prms:
        The log and the cards of its models (``log``, ``log.manifest.policies``, ``log.manifest.prms``).
    trials:
        Optuna trials; 0 fits the default settings. With ``storage`` (an Optuna storage or its URL) those that
        study ``name`` already holds count, and the study is continued.
    threads:
        Of LightGBM. Results depend on it in the last bits only where LightGBM says so.
    folds:
        What predictions, shrinkage and calibration are made without: the whole family of a problem, for
        requests of kinds that the log does not hold; or the problem alone, for requests of the logged
        kinds. The second trusts what the question says more.
    date:
        For the card; nothing reads the clock.
    progress:
        Called after each trial with (trials done, trials, best utility).

    Raises TooLittleDataError, saying how many problems would do.
    """
    experience = read_experience(tables, policies, prms)
    return fit_experience(
        experience,
        trials=trials,
        seed=seed,
        threads=threads,
        storage=storage,
        name=name,
        date=date,
        folds=folds,
        progress=progress,
    )


def fit_experience(
    experience: Experience,
    *,
    trials: int = 20,
    seed: int = 0,
    threads: int = 1,
    storage: Any = None,
    name: str = "planner",
    date: str = "",
    folds: FoldsBy = "family",
    progress: Callable[[int, int, float], None] | None = None,
) -> Planner:
    """``fit`` on a log that has been read already."""
    families = len(set(experience.families))
    if len(experience) < ENOUGH_PROBLEMS or families < ENOUGH_FAMILIES:
        raise TooLittleDataError(
            f"a planner is learned from at least {ENOUGH_PROBLEMS} complete problems "
            f"of {ENOUGH_FAMILIES} families, "
            f"got {len(experience)} of {families}; a thousand would do well"
        )
    workshop = Workshop(experience, seed, threads, folds)
    found, tried = plain(workshop.main, workshop.largest), 0
    if trials:
        found, tried = _tune(workshop, trials, seed, storage, name, progress)
    best = _design(optuna.trial.FixedTrial(found), workshop)
    return workshop.finished(best, tried, date)


def _tune(
    workshop: Workshop,
    trials: int,
    seed: int,
    storage: Any,
    name: str,
    progress: Callable[[int, int, float], None] | None,
) -> tuple[dict[str, Any], int]:
    """The best trial's parameters, and how many trials there were."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        study_name=name,
        storage=storage,
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8),
    )
    identity = digest([*workshop.experience.questions, *map(str, workshop.experience.choices)])
    if study.user_attrs.get("log", identity) != identity:
        raise TooLittleDataError(
            f"a study is continued on the log it began with, got another log for study {name!r}"
        )
    study.set_user_attr("log", identity)
    if not study.trials:
        study.enqueue_trial(plain(workshop.main, workshop.largest))

    def objective(trial: optuna.Trial) -> float:
        return workshop.utility(workshop.chain(_design(trial, workshop), tuning=True))

    finished = optuna.trial.TrialState.COMPLETE
    done = sum(trial.state == finished for trial in study.trials)
    while done < trials:
        # one trial at a time with a sampler of its own: a continued study goes the way of an unbroken one
        study.sampler = optuna.samplers.TPESampler(seed=seed + 7919 * done, n_startup_trials=8)
        study.optimize(objective, n_trials=1, n_jobs=1)
        done = sum(trial.state == finished for trial in study.trials)
        if progress is not None:
            progress(done, trials, study.best_value)
    return study.best_params, done


def _design(trial: Any, workshop: Workshop) -> Design:
    return Design.suggested(
        trial, list(workshop.experience.pools), workshop.largest, scorable=workshop.scorable
    )
