"""What a cross-validation met: per budget and method, every problem's accuracy and cost.

Each problem was decided for by a planner, and by rivals, that had not seen its family. The planners are
fitted in ``training.cross_validation``; this module fits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baseline_context import fixed_table
from planner.evaluation.baselines.config_table import ConfigTable
from planner.evaluation.rivals import TOLERANCE
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData
from planner.features.question import NgramEncoder
from search.errors import BudgetError, TooLittleDataError

__all__ = [
    "BEST_FIXED",
    "CHOSEN",
    "PLANNER",
    "BudgetMet",
    "CrossValidation",
    "budget_names",
    "checked_budgets",
    "fixed_budgets",
    "log_budgets",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: names of methods that are no registered baselines: the planner, the rule that the training folds chose, and
#: the best fixed choice within a budget
PLANNER, CHOSEN, BEST_FIXED = "planner", "chosen_rule", "best_fixed"

#: budgets of a log's own range
_COUNT = 6


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BudgetMet:
    """What every method met at one mean budget.

    Parameters
    ----------
    budget:
        Mean FLOPs per problem.
    accuracy, flops:
        Method -> (P,) expected correctness and FLOPs, in the order of the log. Methods are ``planner``,
        ``chosen_rule``, ``best_fixed`` and the registered baselines that the log supports.
    chosen:
        The rule that each fold's training problems chose, by fold.
    """

    budget: float
    accuracy: Mapping[str, Floats]
    flops: Mapping[str, Floats]
    chosen: tuple[str, ...]

    def within(self, method: str) -> bool:
        """Whether a method kept to the budget. One whose cheapest setting is dearer could not."""
        return float(self.flops[method].mean()) <= self.budget * (1.0 + TOLERANCE)

    @property
    def spendable(self) -> bool:
        """Whether the budget tells something: the planner keeps to it, and the planner or the chosen rule
        spends it. Beyond what either spends every budget would be the same point once more."""
        spent = max(float(self.flops[method].mean()) for method in (PLANNER, CHOSEN))
        return self.within(PLANNER) and spent >= self.budget * (1.0 - TOLERANCE)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CrossValidation:
    """A cross-validation of a log by families. P problems, in the order of the log.

    Parameters
    ----------
    problems, families:
        Per problem, its identifier and its family.
    fold:
        (P,) the fold that each problem was left out with.
    unit, unit_policy:
        FLOPs of one mean sample, and of which policy: what budgets are counted in for people.
    budgets:
        Ascending.
    rules:
        The rules that folds chose among, those that the log supports.
    missing:
        Method -> why the log does not support it.
    notes:
        What a reader has to know beside the figures.
    trials, seed:
        Of the fits.
    curve:
        More budgets over the log's own range, for deferral curves; none unless they were asked for.
    fixed:
        Every fixed choice on all problems.
    """

    problems: tuple[str, ...]
    families: tuple[str, ...]
    fold: Ints
    unit: float
    unit_policy: str
    budgets: tuple[BudgetMet, ...]
    rules: tuple[str, ...]
    missing: Mapping[str, str]
    notes: tuple[str, ...]
    trials: int
    seed: int
    curve: tuple[BudgetMet, ...] = ()
    fixed: ConfigTable | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods that have figures."""
        return tuple(self.budgets[0].accuracy)

    @property
    def spendable(self) -> tuple[BudgetMet, ...]:
        """The budgets that the primary endpoint is averaged over."""
        return tuple(met for met in self.budgets if met.spendable)


def log_budgets(data: TrainingData, *, seed: int = 0, count: int = _COUNT) -> tuple[float, ...]:
    """Mean budgets in FLOPs over the log's own range, from its cheapest to its dearest fixed choice.

    They are ``count`` in number and geometric. Raises TooLittleDataError where no choice costs anything.
    """
    encoder = NgramEncoder.fit(data.questions, dimensions=1, seed=seed)
    table = fixed_table(Matrices(data, encoder, probes=1, resamples=4, seed=seed))
    return fixed_budgets(table.flops, count=count)


def fixed_budgets(flops: Floats, *, count: int = _COUNT) -> tuple[float, ...]:
    """Mean budgets from the cheapest to the dearest of fixed choices with costs ``flops`` (P, choices).

    They are in the unit of the costs, geometric, ``count`` in number; one where all cost the same. Raises
    TooLittleDataError where no choice costs anything.

    >>> [round(budget, 6) for budget in fixed_budgets(np.array([[1.0, 3.0, 8.0], [1.0, 5.0, 8.0]]), count=4)]
    [1.0, 2.0, 4.0, 8.0]
    """
    mean = flops.mean(axis=0)
    priced = mean[mean > 0.0]
    if not len(priced):
        raise TooLittleDataError(
            "a comparison at equal cost takes token counts, got a log whose choices cost nothing"
        )
    low, high = float(priced.min()), float(priced.max())
    return (low,) if high <= low * (1.0 + 1e-9) else tuple(np.geomspace(low, high, count).tolist())


def budget_names(samples: Sequence[float]) -> tuple[str, ...]:
    """What budgets are called in tables: three figures, more where two would read alike.

    >>> budget_names([4.0, 12.345, 2345.6]), budget_names([1.0001, 1.0002])
    (('4 samples', '12.3 samples', '2346 samples'), ('1.0001 samples', '1.0002 samples'))
    """
    for digits in range(3, 18):
        names = tuple(
            f"{one:.{digits}g}" if one < 10.0**digits else f"{one:.0f}" for one in map(float, samples)
        )
        if len(set(names)) == len(samples):
            break
    return tuple(f"{name} samples" for name in names)


def checked_budgets(budgets: Sequence[float]) -> tuple[float, ...]:
    """Budgets in ascending order. Raises BudgetError for none, one twice, or one that is not above 0."""
    if not budgets:
        raise BudgetError("a comparison needs at least one mean budget, got none")
    for budget in budgets:
        if not 0.0 < budget < float("inf"):
            raise BudgetError(f"budgets are above 0, got {budget:g}")
    if len(set(budgets)) != len(budgets):
        raise BudgetError(f"budgets are given once, got {', '.join(f'{b:g}' for b in budgets)}")
    return tuple(sorted(budgets))
