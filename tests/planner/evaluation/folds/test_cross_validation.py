"""The budgets of a log's own range."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import worlds

from planner.evaluation.folds.cross_validation import checked_budgets, log_budgets
from search.choice import Choice
from search.errors import BudgetError, TooLittleDataError
from search.plan import Plan


def test_budgets_run_from_the_cheapest_to_the_dearest_fixed_choice() -> None:
    data = worlds.world(60, ns=(1, 4, 8))
    budgets = log_budgets(data)
    assert len(budgets) == 6
    np.testing.assert_allclose(np.diff(np.log(budgets)), np.log(budgets[-1] / budgets[0]) / 5)
    pool, judge = data.pools["small"], data.pools["small"].prms["judge"]
    flops = worlds.FLOPS
    cheapest = flops * (pool.prompt + pool.greedy_tokens).mean()
    dearest = flops * (pool.prompt + 8 * pool.tokens.mean(axis=1)).mean()
    dearest += flops * (judge.prompt + 8 * judge.tokens.mean(axis=1)).mean()
    np.testing.assert_allclose([budgets[0], budgets[-1]], [cheapest, dearest], rtol=1e-6)


def test_a_log_of_one_price_has_one_budget() -> None:
    data = worlds.world(60, ns=(1,))
    data = replace(data, choices=(Choice("small", None, Plan.of("cot")),))
    assert len(log_budgets(data)) == 1


def test_a_log_without_token_counts_is_refused() -> None:
    data = worlds.world(60, ns=(1,))
    pool = data.pools["small"]
    empty = replace(pool, prompt=0 * pool.prompt, tokens=0 * pool.tokens, greedy_tokens=np.zeros(60), prms={})
    data = replace(data, pools={"small": empty}, choices=tuple(c for c in data.choices if c.prm is None))
    with pytest.raises(TooLittleDataError, match="takes token counts, got a log whose choices cost nothing"):
        log_budgets(data)


def test_budgets_that_are_asked_for() -> None:
    assert checked_budgets([8, 2.0]) == (2.0, 8)
    for budgets, said in (
        ([], "at least one mean budget, got none"),
        ([0.0], "budgets are above 0, got 0"),
        ([float("nan")], "budgets are above 0, got nan"),
        ([4.0, 4.0], "budgets are given once, got 4, 4"),
    ):
        with pytest.raises(BudgetError, match=said):
            checked_budgets(budgets)
