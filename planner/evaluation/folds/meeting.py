"""A planner and its rivals meet at mean budgets on problems that none of them has seen; so does the rule that
the problems which they learned from choose.

``training.cross_validation`` does this fold after fold; ``held_out`` once, where two logs are there. This
module fits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.config_table import ConfigTable
from planner.evaluation.baselines.fixed import best_fixed
from planner.evaluation.baselines.split_half import doubts
from planner.evaluation.baselines.static_ceiling import STATIC_CEILING, static_ceiling
from planner.evaluation.evaluate import planner_track
from planner.evaluation.folds.cross_validation import (
    BEST_FIXED,
    CHOSEN,
    PLANNER,
    BudgetMet,
    CrossValidation,
    checked_budgets,
    log_budgets,
)
from planner.evaluation.frontier import Track
from planner.evaluation.intervals import ENOUGH_FAMILIES
from planner.evaluation.rivals import RULES, chosen_rule, rivals, rules_of
from planner.evaluation.slices import sample_flops
from planner.evidence.training_data import TrainingData
from planner.planner import Planner

__all__ = ["Meeting", "MeetingSpec", "held_out", "price_grid", "with_ceiling"]

Floats = NDArray[np.float64]

#: prices at which everything that has settings picks one
_PRICES = 80


@dataclass(frozen=True, slots=True, eq=False)
class Meeting:
    """What was met on P problems.

    Parameters
    ----------
    met:
        Per budget, method -> (accuracy, FLOPs), (P,) each.
    chosen:
        Per budget, the rule that the training problems chose.
    missing:
        Method -> why the log does not support it.
    fixed:
        Every fixed choice on these problems.
    """

    met: tuple[Mapping[str, tuple[Floats, Floats]], ...]
    chosen: tuple[str, ...]
    missing: Mapping[str, str]
    fixed: ConfigTable


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MeetingSpec:
    """How methods meet: mean ``budgets`` in FLOPs, the ``prices`` (accuracy per FLOP) at which settings are
    picked, the ``rules`` that training problems choose among, and the ``seed`` of draws."""

    budgets: tuple[float, ...]
    prices: Floats
    rules: tuple[str, ...]
    seed: int

    def meet(self, planner: Planner, data: TrainingData, training: TrainingData) -> Meeting:
        """The planner and every registered rival on ``data``; rivals and rule pick on ``training``."""
        context = self._context(data, training, planner)
        found = rivals(context)
        ahead = rivals(self._context(training, None, planner), [n for n in self.rules if n in found.tracks])
        missing = {**found.missing, **ahead.missing}
        tracks = {PLANNER: planner_track(planner, context), **found.tracks}
        rules = {name: track for name, track in ahead.tracks.items() if name in tracks}
        met, chosen = [], []
        for budget in self.budgets:
            chosen.append(chosen_rule(rules, budget))
            here: dict[str, Track] = {
                PLANNER: tracks[PLANNER],
                CHOSEN: tracks[chosen[-1]],
                BEST_FIXED: best_fixed(context, budget),
                **tracks,
            }
            reached = {name: track.at(budget) for name, track in here.items()}
            met.append({name: (accuracy, flops) for name, (accuracy, _, flops) in reached.items()})
        return Meeting(tuple(met), tuple(chosen), missing, context.fixed[0])

    def _context(
        self, data: TrainingData, training: TrainingData | None, planner: Planner
    ) -> BaselineContext:
        return BaselineContext(data, training, planner.encoder, self.prices, seed=self.seed)


def price_grid(budgets: Sequence[float]) -> Floats:
    """Prices (accuracy per FLOP) from nearly free at the largest of the budgets to dearer than any at the
    least."""
    return np.geomspace(1e-4 / max(budgets), 50.0 / min(budgets), _PRICES)


def held_out(
    planner: Planner,
    data: TrainingData,
    training: TrainingData,
    *,
    budgets: Sequence[float] | None = None,
    rules: Sequence[str] = RULES,
    seed: int = 0,
) -> CrossValidation:
    """What a planner and its rivals meet on a log that they have not seen, as one fold.

    Parameters
    ----------
    data, training:
        The held-out log, and the one that the planner learned from: rivals and rule pick on it.
    budgets:
        Mean budgets, in samples of the main policy. None: six, from the cheapest to the dearest fixed choice
        of ``data``.
    rules:
        Names of the baselines that ``training`` chooses among; unregistered ones are passed over.

    Raises
    ------
    TooLittleDataError
        A log has fewer than two problems, ``training`` lacks a choice, or nothing costs anything.
    LogError
        A choice of the planner was never logged in ``data``.
    BudgetError
        A budget is not above 0, two are equal, or there is none.
    """
    sample = sample_flops(data)
    own = log_budgets(data, seed=seed)
    asked = own if budgets is None else tuple(one * sample for one in checked_budgets(budgets))
    spec = MeetingSpec(budgets=asked, prices=price_grid(own), rules=rules_of(rules), seed=seed)
    done = spec.meet(planner, data, training)
    ceiling = static_ceiling(done.fixed, data, spec.prices)
    notes = list(doubts(data))
    families = len(set(data.families))
    if families < ENOUGH_FAMILIES:
        notes.append(f"{families} families are few to draw from: intervals may be too narrow")
    return CrossValidation(
        problems=data.problem_ids,
        families=data.families,
        fold=np.zeros(len(data), np.int64),
        unit=sample,
        unit_policy=data.main,
        budgets=tuple(
            with_ceiling(
                BudgetMet(
                    budget=budget,
                    accuracy={n: accuracy for n, (accuracy, _) in met.items() if n not in done.missing},
                    flops={n: flops for n, (_, flops) in met.items() if n not in done.missing},
                    chosen=(chosen,),
                ),
                ceiling,
            )
            for budget, met, chosen in zip(asked, done.met, done.chosen, strict=True)
        ),
        rules=tuple(name for name in spec.rules if name not in done.missing),
        missing=done.missing,
        notes=tuple(notes),
        trials=0,
        seed=seed,
    )


def with_ceiling(met: BudgetMet, ceiling: Track) -> BudgetMet:
    """The same with the static ceiling of all its problems among the methods."""
    accuracy, _, flops = ceiling.at(met.budget)
    return replace(
        met,
        accuracy={**met.accuracy, STATIC_CEILING: accuracy},
        flops={**met.flops, STATIC_CEILING: flops},
    )
