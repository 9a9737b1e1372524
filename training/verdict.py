"""The verdict of a fit on itself: is the planner better than the rules that anybody could write?

Judged on problems whose fold was left out, by mean FLOPs: the planner as it will decide, the rule that the
other folds chose, and the best fixed choice. The design was picked on the same problems, so that the verdict
of a study is a little kind; ``planner evaluate --cross-validate`` repeats the study in every fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.deciding.replay import ReplayOutcome
from planner.evaluation.folds.verdict import sentence_of
from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Interval, Resampler
from planner.evidence.matrix import Matrix
from training.design import ENOUGH_PROBLEMS
from training.portfolio import Followed

__all__ = ["verdict"]

#: budgets of the table
_BUDGETS = 5
#: the least ratio of the dearest to the cheapest
_APART = 1.01


def verdict(
    safe: Followed, *, fixed: Matrix, folds: NDArray[np.int64], families: Sequence[str], seed: int
) -> dict[str, Any]:
    """The verdict as plain values.

    Parameters
    ----------
    safe:
        What was met at each price.
    fixed:
        Every choice, before a probe.
    folds, families:
        (P,) of each problem.

    Returns
    -------
    ``budgets``, a list of ``flops`` and, for ``planner``, ``rule`` and ``best_fixed``, accuracy with ``low``
    and ``high``; ``above_rule`` (``value``, ``low``, ``high``; 1.0 is 100 points), the mean over the budgets;
    ``learned``, the share of prices at which what was learned decides; ``sentence``.
    """
    planner, rule = _track("planner", safe.met), _track("rule", safe.rule)
    resampler = Resampler.of_families(families, seed=seed)
    cost = fixed.flops.mean(axis=0)
    low = max(float(cost.min()), float(planner.flops.mean(axis=0).min()))
    high = max(low, float(rule.flops.mean(axis=0).max()))
    # where the dearest costs what the cheapest does there is one budget
    budgets = np.geomspace(low, high, _BUDGETS if high > _APART * low else 1)
    rows, differences = [], []
    for budget in budgets:
        reached = {
            "planner": planner.at(budget)[0],
            "rule": rule.at(budget)[0],
            "best_fixed": _best_fixed(fixed, folds, float(budget)),
        }
        rows.append(
            {"flops": float(budget), **{k: _plain(resampler.interval(v)) for k, v in reached.items()}}
        )
        differences.append(reached["planner"] - reached["rule"])
    above = resampler.interval(np.mean(differences, axis=0))
    learned = float(safe.trust.learned.mean())
    return {
        "budgets": rows,
        "above_rule": _plain(above),
        "learned": learned,
        "sentence": _sentence(above, learned, len(families)),
    }


def _sentence(above: Interval, learned: float, problems: int) -> str:
    if problems < ENOUGH_PROBLEMS:
        return (
            f"{problems} problems are too few to learn from, {ENOUGH_PROBLEMS} are enough: "
            "Adaptive-Consistency decides, or one answer where votes do not pay."
        )
    told = sentence_of(above, "the best rule at each price")
    return f"{told[0].upper()}{told[1:]}; what was learned decides at {learned:.0%} of the prices."


def _track(name: str, met: ReplayOutcome) -> Track:
    return Track(name, met.accuracy, met.tokens, met.flops)


def _best_fixed(fixed: Matrix, folds: NDArray[np.int64], budget: float) -> NDArray[np.float64]:
    """(P,) accuracy of the choice that the other folds find best within a mean budget."""
    out = np.empty(len(folds))
    for fold in np.unique(folds):
        seen = folds != fold if (folds != fold).any() else folds == fold
        cost = fixed.flops[seen].mean(axis=0)
        fits = cost <= budget * (1.0 + 1e-9)
        mean = fixed.values[seen].mean(axis=0)
        best = int(np.where(fits, mean, -1.0).argmax() if fits.any() else cost.argmin())
        out[folds == fold] = fixed.values[folds == fold, best]
    return out


def _plain(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
