"""The endpoint over seeds: means per problem, the bound, and the spread that seeds make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from planner.evaluation.folds.cross_validation import BudgetMet, CrossValidation
from planner.evaluation.folds.refits import refits_of

PROBLEMS = 8


def run(
    seed: int, planner: float, *, spent: float = 1.0, rules: Mapping[str, float] | None = None
) -> CrossValidation:
    """One budget of 1 FLOP; the rule that folds chose is right half of the time."""
    given = {"planner": planner, "chosen_rule": 0.5, **({"mixture": 0.5} if rules is None else rules)}
    met = BudgetMet(
        budget=1.0,
        accuracy={name: np.full(PROBLEMS, value) for name, value in given.items()},
        flops={
            name: np.full(PROBLEMS, spent if name in ("planner", "chosen_rule") else 1.0) for name in given
        },
        chosen=("mixture",),
    )
    return CrossValidation(
        problems=tuple(map(str, range(PROBLEMS))),
        families=tuple(map(str, range(PROBLEMS))),
        fold=np.zeros(PROBLEMS, np.int64),
        unit=1.0,
        unit_policy="small",
        budgets=(met,),
        rules=tuple(name for name in given if name not in ("planner", "chosen_rule")),
        missing={},
        notes=(),
        trials=0,
        seed=seed,
    )


def test_gains_are_averaged_over_seeds_and_their_spread_is_told() -> None:
    found = refits_of([run(3, 0.52), run(4, 0.56)], bootstrap=20)
    assert found.seeds == (3, 4)
    assert found.above_rule is not None
    assert [found.above_rule.value, found.above_rule.low, found.above_rule.high] == pytest.approx([0.04] * 3)
    assert found.per_seed == pytest.approx((0.02, 0.06))
    assert found.spread == pytest.approx(np.sqrt(2.0) * 0.02)


def test_the_bound_is_the_rule_that_is_best_on_the_test_at_each_seed() -> None:
    runs = [run(0, 0.6, rules={"mixture": 0.5, "knn": 0.7}), run(1, 0.6, rules={"mixture": 0.62, "knn": 0.1})]
    bound = refits_of(runs, bootstrap=20).above_best_rule
    assert bound is not None
    assert bound.value == pytest.approx((-0.1 - 0.02) / 2)


def test_one_seed_has_no_spread() -> None:
    assert refits_of([run(0, 0.6)], bootstrap=20).spread is None


def test_where_no_budget_can_be_spent_there_is_no_figure() -> None:
    found = refits_of([run(0, 0.6), run(1, 0.6, spent=0.1)], bootstrap=20)
    assert found.above_rule is None
    assert found.above_best_rule is None
    assert found.per_seed == (pytest.approx(0.1), None)
    assert found.spread is None


def test_runs_of_other_problems_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one run, got none"):
        refits_of([])
    with pytest.raises(ValueError, match="of the same problems"):
        refits_of([run(0, 0.6), replace(run(1, 0.6), problems=tuple("abcdefgh"))])
