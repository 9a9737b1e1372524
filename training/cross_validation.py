"""Cross-validation over families: a planner per fold, fitted on the rest and met on the fold left out,
beside every rival, which picks on the same rest.

The primary endpoint, fixed before any run (``docs/evaluation.md``): points of the planner above the rule that
the training folds chose, averaged over the budgets that can be spent. ``planner.evaluation.folds.verdict``
reads it off what is returned here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baselines.config_table import ConfigTable
from planner.evaluation.baselines.split_half import doubts
from planner.evaluation.baselines.static_ceiling import static_ceiling
from planner.evaluation.folds.cross_validation import BudgetMet, CrossValidation, checked_budgets, log_budgets
from planner.evaluation.folds.meeting import Meeting, MeetingSpec, price_grid, with_ceiling
from planner.evaluation.intervals import ENOUGH_FAMILIES
from planner.evaluation.rivals import RULES, rules_of
from planner.evaluation.slices import calibration_rows, only, rows_of, sample_flops
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from search.errors import LogError, TooLittleDataError
from training.crossfit import folds_of
from training.study import fit_training_data

__all__ = ["Fit", "cross_validate", "room_of"]

#: of a deferral curve
_POINTS = 25

Ints = NDArray[np.int64]

#: makes a planner of the problems that a fold leaves
Fit = Callable[[TrainingData], Planner]


def cross_validate(
    data: TrainingData,
    *,
    folds: int = 5,
    trials: int = 20,
    seed: int = 0,
    threads: int = 1,
    budgets: Sequence[float] | None = None,
    unit: str | None = None,
    rules: Sequence[str] = RULES,
    fit: Fit | None = None,
    most: int | None = None,
    curves: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> CrossValidation:
    """Fit and meet, fold after fold. Equal arguments give equal figures.

    Parameters
    ----------
    data:
        The whole log.
    folds:
        At least 2; as many as there are families where those are fewer.
    trials, threads:
        Of each fit (``training.study``); 0 trials fit the default settings.
    budgets:
        Mean budgets, in samples of ``unit``. None: six, geometric from the cheapest to the dearest fixed
        choice of the log.
    unit:
        The policy whose mean sample budgets are counted in; None: the main one.
    rules:
        Names of the baselines that training folds choose among; unregistered ones are passed over.
    fit:
        Makes the planner of a fold in place of ``training.study.fit_training_data``.
    most:
        Learn, and pick, from so many problems at most in each fold, drawn over families in turn. None: all.
    curves:
        Also meet at budgets close to each other over the log's own range
        (``planner.evaluation.folds.deferral``).
    progress:
        Called with (folds done, folds).

    Raises
    ------
    TooLittleDataError
        There are fewer than two families, a fold leaves too few problems to learn from, or nothing costs
        anything.
    LogError
        ``unit`` is no policy of the log, or ``folds`` is below 2.
    BudgetError
        A budget is not above 0, two are equal, or there is none.
    """
    data, free = _charged(data)
    policy = data.main if unit is None else unit
    if policy not in data.pools:
        known = ", ".join(data.pools)
        raise LogError(f"budgets are counted in samples of a policy of the log ({known}), got {policy!r}")
    if folds < 2:
        raise LogError(f"a cross-validation needs at least 2 folds, got {folds}")
    families = len(set(data.families))
    if families < 2:
        raise TooLittleDataError(
            f"a cross-validation by family needs a log of at least 2 families, got {families}"
        )
    asked = None if budgets is None else checked_budgets(budgets)
    own = log_budgets(data, seed=seed)
    sample = sample_flops(data, policy)
    amounts = own if asked is None else tuple(budget * sample for budget in asked)
    if fit is None:

        def fit(training: TrainingData) -> Planner:
            return fit_training_data(training, trials=trials, seed=seed, threads=threads)

    fold = folds_of(data.families, folds, seed)
    between = _curve(own) if curves else ()
    spec = MeetingSpec(budgets=(*amounts, *between), prices=price_grid(own), rules=rules_of(rules), seed=seed)
    parts = []
    for left_out in range(int(fold.max()) + 1):
        parts.append(_part(data, fold == left_out, fit, spec, most))
        if progress is not None:
            progress(len(parts), int(fold.max()) + 1)
    missing: dict[str, str] = {}
    for part in parts:
        missing |= part.meeting.missing
    table = _fixed(parts)
    ceiling = static_ceiling(table, data, spec.prices)
    met = tuple(
        with_ceiling(_pooled(parts, at, budget, missing), ceiling) for at, budget in enumerate(spec.budgets)
    )
    return CrossValidation(
        problems=data.problem_ids,
        families=data.families,
        fold=fold,
        unit=sample,
        unit_policy=policy,
        budgets=met[: len(amounts)],
        curve=met[len(amounts) :],
        fixed=table,
        rules=tuple(name for name in rules_of(rules) if name not in missing),
        missing=missing,
        notes=_notes(data, free, folds),
        trials=trials,
        seed=seed,
    )


def room_of(data: TrainingData, *, folds: int = 5, seed: int = 0) -> int:
    """How many problems every fold of a cross-validation leaves to learn from."""
    return len(data) - int(np.bincount(folds_of(data.families, folds, seed)).max())


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What one fold met: the problems at ``held``."""

    held: Ints
    meeting: Meeting


def _part(
    data: TrainingData, left_out: NDArray[np.bool_], fit: Fit, spec: MeetingSpec, most: int | None
) -> _Part:
    """One fold: a planner of the other problems, its rivals, and the rule that those problems choose."""
    held = np.flatnonzero(left_out)
    training = rows_of(data, np.flatnonzero(~left_out))
    if most is not None and most < len(training):
        training = rows_of(training, calibration_rows(training, most, spec.seed))
    try:
        planner = fit(training)
    except TooLittleDataError as error:
        raise TooLittleDataError(
            f"a fold leaves {len(training)} of {len(data)} problems to learn from: {error}"
        ) from error
    return _Part(held, spec.meet(planner, rows_of(data, held), training))


def _pooled(parts: Sequence[_Part], at: int, budget: float, missing: Mapping[str, str]) -> BudgetMet:
    """The folds of one budget together; a method that one fold lacks is left out."""
    count = sum(len(part.held) for part in parts)
    methods = [name for name in parts[0].meeting.met[at] if name not in missing]
    accuracy = {name: np.zeros(count) for name in methods}
    flops = {name: np.zeros(count) for name in methods}
    for part in parts:
        for name in methods:
            accuracy[name][part.held], flops[name][part.held] = part.meeting.met[at][name]
    return BudgetMet(
        budget=budget, accuracy=accuracy, flops=flops, chosen=tuple(part.meeting.chosen[at] for part in parts)
    )


def _fixed(parts: Sequence[_Part]) -> ConfigTable:
    """Every fixed choice on all problems, in the order of the log."""
    held = np.concatenate([part.held for part in parts])
    order = np.argsort(held)
    tables = [part.meeting.fixed for part in parts]
    values, tokens, flops = (
        np.concatenate(figures)[order]
        for figures in zip(*((one.values, one.tokens, one.flops) for one in tables), strict=True)
    )
    return ConfigTable(settings=tables[0].settings, values=values, tokens=tokens, flops=flops)


def _curve(own: Sequence[float]) -> tuple[float, ...]:
    """Budgets close to each other, from the least of ``own`` to the largest."""
    return tuple(np.geomspace(own[0], own[-1], _POINTS).tolist()) if len(own) > 1 else tuple(own)


def _charged(data: TrainingData) -> tuple[TrainingData, tuple[str, ...]]:
    """The data without policies whose tokens are not counted, and their names: they cannot be charged.

    Raises TooLittleDataError where no tokens are counted at all.
    """
    free = tuple(name for name, pool in data.pools.items() if not pool.tokens.any())
    if not free:
        return data, free
    choices = [
        choice
        for choice in data.choices
        if not {choice.policy, *(part.policy for part in choice.plan.parts)} & set(free)
    ]
    if not choices:
        raise TooLittleDataError(
            f"a comparison at equal cost takes token counts, got a log without any of {', '.join(free)}"
        )
    return only(data, policies=[name for name in data.pools if name not in free], choices=choices), free


def _notes(data: TrainingData, free: Sequence[str], folds: int) -> tuple[str, ...]:
    """What limits the figures of a log."""
    families = Counter(data.families)
    single = [name for name, pool in data.pools.items() if pool.draws == 1]
    halves = tuple(f"half the pool of {name} holds" for name in single)
    notes = [doubt for doubt in doubts(data) if not (halves and doubt.startswith(halves))]
    if single:
        notes.append(
            f"one draw per question of {', '.join(single)}: there an oracle is scored on the outcome that it "
            "picks by"
        )
    notes += data.gaps
    if len(families) < folds:
        notes.append(f"{len(families)} families are too few for {folds} folds: there is one fold for each")
    if len(families) < ENOUGH_FAMILIES:
        notes.append(f"{len(families)} families are few to draw from: intervals may be too narrow")
    if free:
        notes.append(
            f"left out with all their plans, since no tokens of theirs are counted: {', '.join(free)}"
        )
    return tuple(notes)
