"""The planner study: from a search log to a planner, tuned by the utility of its decisions.

Optuna varies how advantages are modelled, which features and probes are used and how many choices are
decided between. A trial is judged by what its decisions meet on families that its models have not seen:
accuracy less the price of compute, averaged over prices (the area under accuracy against compute, seen from
above). The fit of the values is never judged. A trial climbs fidelities of ever more problems
(``training.fidelities``) and is pruned where others did better on as many.

Everything is seeded and trials run in a fixed order, so that a study which was killed and is continued goes
the way of an unbroken one: the trial that was running is taken up, with the fidelities it had climbed.
Several processes may run one study together (``training.cluster.rounds``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import optuna
from optuna.trial import TrialState

from planner.evaluation.baselines.rules import consistency_choices, with_rules
from planner.evidence.effects import Effects
from planner.evidence.noise import changed
from planner.evidence.training_data import Tables, TrainingData, read_training_data
from planner.planner import Planner
from search.cards import ModelCard
from search.drawing import Drawing
from search.errors import LogError, StudyError, TooLittleDataError
from search.prompts import Prompting
from search.strategies.words import words_of
from training.cluster.judges import Judge, judged_here
from training.cluster.rounds import Sharing, run_rounds
from training.cluster.storages import lock_of
from training.design import ENOUGH_PROBLEMS, Design, plain, starts, without_looks
from training.domains import fit_domains
from training.fidelities import Fidelity, fidelities_of
from training.study_cache import FoldsBy, StudyCache, digest

__all__ = ["ENOUGH_FAMILIES", "ENOUGH_PROBLEMS", "FEWEST_PROBLEMS", "fit", "fit_training_data"]

#: fewer than this say nothing about families that were left out
ENOUGH_FAMILIES = 3
#: fewer than this do not say which rule is best
FEWEST_PROBLEMS = 10

#: makes a judge of what makes the fidelities of a study
MakeJudge = Callable[[Callable[[], Sequence[Fidelity]]], Judge]


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
    reliability: Mapping[str, float] = MappingProxyType({}),
    promptings: Mapping[str, Prompting] = MappingProxyType({}),
    drawings: Mapping[str, Drawing] = MappingProxyType({}),
    words: Mapping[str, str] = MappingProxyType({}),
    effects: Effects | None = None,
    width: int = 1,
    judges: MakeJudge | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Planner:
    """Learn a planner from a search log.

    From fewer than ``ENOUGH_PROBLEMS`` problems nothing is learned of questions: the planner is
    Adaptive-Consistency, with the caps, thresholds and policy that were best on average at each price.

    Parameters
    ----------
    tables, policies, prms:
        The log and the cards of its models (``log``, ``log.manifest.policies``, ``log.manifest.prms``).
    trials:
        Optuna trials; 0 fits the default settings. With ``storage`` (an Optuna storage or its URL) those that
        study ``name`` already holds count, and the study is continued. Pruned and failed trials count.
    threads:
        How many folds are fitted at the same time. Results do not depend on it.
    folds:
        What predictions, shrinkage and calibration are made without: the whole family of a problem, for
        requests of kinds that the log does not hold; or the problem alone, for requests of the logged
        kinds. The second trusts what the question says more.
    reliability:
        PRM -> the chance that it ranks a right solution above a wrong one of the same problem
        (``planner prm-eval`` measures it), for PRMs that the log cannot judge because no problem of it has
        both.
    promptings:
        How policies of the log were asked, where not plainly (``log.manifest.promptings``).
    drawings:
        How they were drawn, where the log says so (``log.manifest.drawings``): a planner solves like that.
    words:
        How strategies asked about earlier answers (``log.manifest.words``).
    effects:
        What traffic shows of choices beyond the log (``training.traffic``).
    width:
        Trials at a time (``training.cluster.rounds``); the planner depends on it.
    judges:
        Makes who judges trials, of what makes the fidelities; None: this process. The planner is the same.
    date:
        For the card; nothing reads the clock.
    progress:
        Called after each trial with (trials done, trials, best utility).

    Raises TooLittleDataError, saying how many problems would do; LogError where the main policy's tokens are
    not counted; StudyError for a study that began with
    another log, seed or folds, and where every trial failed.
    """
    data = replace(read_training_data(tables, policies, prms), effects=effects)
    planner = fit_training_data(
        data,
        trials=trials,
        seed=seed,
        threads=threads,
        storage=storage,
        name=name,
        date=date,
        folds=folds,
        reliability=reliability,
        width=width,
        judges=judges,
        progress=progress,
    )
    asked = {name: prompting for name, prompting in promptings.items() if name in planner.policies}
    model = fit_domains(data.questions, data.domains, data.families, seed=seed)
    drawn = {name: drawing for name, drawing in drawings.items() if name in planner.policies}
    said = words_of((choice.plan for choice in data.choices), words)
    return replace(planner, promptings=asked, domain_model=model, drawings=drawn, words=said)


def fit_training_data(
    data: TrainingData,
    *,
    trials: int = 20,
    seed: int = 0,
    threads: int = 1,
    storage: Any = None,
    name: str = "planner",
    date: str = "",
    folds: FoldsBy = "family",
    reliability: Mapping[str, float] = MappingProxyType({}),
    width: int = 1,
    judges: MakeJudge | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Planner:
    """``fit`` on a log that has been read already."""
    if data.effects is not None and data.effects.lost:
        data = changed(data, data.effects, seed=seed)
    families = len(set(data.families))
    if len(data) < FEWEST_PROBLEMS:
        raise TooLittleDataError(
            f"a rule is picked on at least {FEWEST_PROBLEMS} complete problems, a planner is learned from at "
            f"least {ENOUGH_PROBLEMS}, got {len(data)}; a thousand would do well"
        )
    few = len(data) < ENOUGH_PROBLEMS
    if few and families < ENOUGH_FAMILIES:
        folds = "problem"
    if families < ENOUGH_FAMILIES and folds == "family":
        raise TooLittleDataError(
            f"a planner for other families is learned from at least {ENOUGH_FAMILIES} families, "
            f"got {len(data)} problems of {families}; --folds problem fits for requests of these kinds"
        )
    if not data.pools[data.main].tokens.any():
        raise LogError(
            f"a planner is learned from samples whose tokens are counted, got none for {data.main!r}: "
            "planner import --tokens N tells what an answer takes"
        )
    if width < 1:
        raise StudyError(f"a study runs at least 1 trial at a time, got {width}")
    if few:
        alone = replace(data, choices=consistency_choices(data))
        cache = StudyCache(data=alone, seed=seed, threads=threads, folds_by=folds)
        return cache.finished(without_looks(cache.main), {"trials": 0, "pruned": 0, "failed": 0}, date)
    data = with_rules(data, seed=seed)
    make = partial(
        fidelities_of, data, seed=seed, threads=threads, folds=folds, reliability=dict(reliability)
    )
    fidelities = make()
    last = fidelities[-1].cache
    found, told = (
        plain(last.main, last.largest[last.main], len(last.data)),
        {"trials": 0, "pruned": 0, "failed": 0},
    )
    if trials:
        sharing = Sharing(lock_of(storage), 1 if judges is None else width)
        with sharing.lock():
            study = _study(fidelities, data, storage, name, width)
        judge = judged_here(fidelities) if judges is None else judges(make)
        failure = run_rounds(
            study, fidelities, trials, width=width, judge=judge, sharing=sharing, progress=progress
        )
        if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            raise StudyError(
                f"a study needs one trial that comes to an end, got none of {trials}, the last: {failure}"
            )
        found, told = study.best_params, _counts(study)
    cache = last
    if len(last.data) < len(data):
        cache = StudyCache(data=data, seed=seed, threads=threads, folds_by=folds, chosen_by=last)
    return cache.finished(_design(optuna.trial.FixedTrial(found), last), told, date)


def _study(
    fidelities: tuple[Fidelity, ...], data: TrainingData, storage: Any, name: str, width: int
) -> optuna.Study:
    """A new study, or the one in ``storage`` where it began with the same."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize",
        study_name=name,
        storage=storage,
        load_if_exists=True,
        # training.cluster.rounds prunes; a pruned trial's value is that of the fidelity it reached
        pruner=optuna.pruners.NopPruner(),
    )
    last = fidelities[-1].cache
    began = {
        "log": digest([*data.questions, *map(str, data.choices)]),
        "seed": last.seed,
        "folds": last.folds_by,
        "reliability": dict(sorted(last.reliability.items())),
        "rungs": [len(fidelity.cache.data) for fidelity in fidelities],
        "width": width,
    }
    for what, value in began.items():
        known = study.user_attrs.get(what, value)
        if known != value:
            raise StudyError(
                f"a study is continued with the {what} it began with"
                + ("" if what == "log" else f", {known}")
                + f", got {'another' if what == 'log' else value} for study {name!r}"
            )
        study.set_user_attr(what, value)
    if not study.trials:
        for start in starts(
            last.main, last.largest, len(last.data), scorable=last.scorable, greedy=last.greedy
        ):
            study.enqueue_trial(start)
    return study


def _counts(study: optuna.Study) -> dict[str, int]:
    """Trials that are over, and how many of them were pruned and failed."""
    states = [trial.state for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    return {
        "trials": len(states),
        "pruned": states.count(TrialState.PRUNED),
        "failed": states.count(TrialState.FAIL),
    }


def _design(trial: Any, cache: StudyCache) -> Design:
    return Design.suggested(trial, cache.largest, scorable=cache.scorable, greedy=cache.greedy)
