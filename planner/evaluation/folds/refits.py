"""The primary endpoint over several fits: what seeds change.

A seed shuffles folds, draws and everything random of a fit. Gains are averaged over the seeds per problem;
intervals draw families and hold the luck of the test problems. They do not hold the luck of fitting: that is
the spread over seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.folds.cross_validation import CHOSEN, PLANNER, BudgetMet, CrossValidation
from planner.evaluation.folds.verdict import best_rule
from planner.evaluation.intervals import Interval, Resampler

__all__ = ["Refits", "refits_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refits:
    """What several seeds come to, in shares of 1: 0.01 is a point.

    Parameters
    ----------
    seeds:
        Of the fits.
    above_rule:
        The planner above the rule that the training folds chose, averaged over the budgets that can be spent
        and over the seeds; None where at some seed no budget can be spent.
    above_best_rule:
        The same above the rule that was best on the test, which nobody can deploy.
    per_seed:
        The first of these at each seed; None where no budget can be spent.
    spread:
        Standard deviation of ``per_seed`` (n - 1); None with fewer than two figures.
    """

    seeds: tuple[int, ...]
    above_rule: Interval | None
    above_best_rule: Interval | None
    per_seed: tuple[float | None, ...]
    spread: float | None


def refits_of(runs: Sequence[CrossValidation], *, bootstrap: int = 2000) -> Refits:
    """Summarise runs of one log that differ in their seed.

    Raises ValueError for none, and where the runs are not of the same problems.
    """
    if not runs:
        raise ValueError("refits are of at least one run, got none")
    first = runs[0]
    if any(run.problems != first.problems for run in runs):
        raise ValueError("refits are of the same problems, got runs of different ones")
    gains = [_gain(run, [CHOSEN] * len(run.spendable)) for run in runs]
    bounds = [_gain(run, [best_rule(met, run.rules) for met in run.spendable]) for run in runs]
    per_seed = tuple(None if gain is None else float(gain.mean()) for gain in gains)
    known = [value for value in per_seed if value is not None]
    resampler = Resampler(len(first.problems), clusters=first.families, resamples=bootstrap, seed=first.seed)

    def mean(found: Sequence[Floats | None]) -> Interval | None:
        whole = [gain for gain in found if gain is not None]
        return resampler.interval(np.mean(whole, axis=0)) if len(whole) == len(runs) else None

    return Refits(
        seeds=tuple(run.seed for run in runs),
        above_rule=mean(gains),
        above_best_rule=mean(bounds),
        per_seed=per_seed,
        spread=float(np.std(known, ddof=1)) if len(known) > 1 else None,
    )


def _gain(run: CrossValidation, names: Sequence[str]) -> Floats | None:
    """(P,) how far the planner is above one method per spendable budget, averaged over them."""
    counted: tuple[BudgetMet, ...] = run.spendable
    if not counted:
        return None
    above = [met.accuracy[PLANNER] - met.accuracy[name] for met, name in zip(counted, names, strict=True)]
    return np.asarray(np.mean(above, axis=0))
