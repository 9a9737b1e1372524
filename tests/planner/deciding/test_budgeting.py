"""A budget in the terms of the decision rule, and in caps that a ledger keeps."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.deciding.budgeting import resolve, rule, target, tokens_for
from planner.planner import Planner
from search.budget import Budget, Prices
from search.errors import BudgetError
from search.result import Spend

QUESTION = "work out the sum of 3 + 41 + 7"
PRICES = Prices(1.0, 2.0, 4.0)


def test_caps_are_what_is_left_of_them(planner: Planner) -> None:
    found = rule(planner, Budget(tokens=900, flops=2e9), QUESTION, spent=Spend(policy_tokens=100, flops=5e8))
    assert (found.tokens_left, found.flops_left) == (800.0, 1.5e9)
    assert found.price == planner.frontier.prices[0]
    timed = rule(planner, Budget(seconds=2.0), QUESTION)
    assert (timed.tokens_left, timed.flops_left) == (math.inf, math.inf)


def test_aims_become_prices(planner: Planner) -> None:
    per_token = rule(planner, Budget(price=1e-4, price_unit="tokens"), QUESTION)
    assert (per_token.price, per_token.unit) == (1e-4, "tokens")
    assert rule(planner, Budget(price=0.0), QUESTION).price == 0.0
    aimed = Budget(accuracy=float(planner.frontier.accuracy.mean()), tokens=900)
    promised = target(planner, aimed)
    assert promised is not None
    assert rule(planner, aimed, QUESTION).price in promised.prices
    assert target(planner, Budget(tokens=900)) is None
    cheap, dear = (rule(planner, Budget(mean_flops=mean), QUESTION).price for mean in (1.0, 1e15))
    assert (cheap, dear) == (planner.frontier.prices[-1], planner.frontier.prices[0])
    assert rule(planner, Budget(mean_tokens=1.0), QUESTION).price == planner.frontier.prices[-1]


def test_samples_are_counted_in_greedy_answers(planner: Planner) -> None:
    one, eight = (resolve(planner, Budget(samples=n), QUESTION) for n in (1, 8))
    assert (one.samples, one.given.keys()) == (None, {"flops"})
    assert eight.flops == pytest.approx(8 * (one.flops or 0.0))
    assert rule(planner, Budget(samples=8), QUESTION).flops_left == eight.flops
    advice = planner.decide(QUESTION, budget=Budget(samples=1))
    assert advice.flops_p90 <= (one.flops or 0.0) * (1 + 1e-9)


def test_money_is_a_cap_of_its_own(planner: Planner) -> None:
    found = rule(planner, Budget(usd=0.004, tokens=10), QUESTION, spent_usd=0.001, prices=PRICES)
    assert (found.tokens_left, found.flops_left, found.usd_left) == (10.0, math.inf, 0.003)
    assert not found.is_uncapped
    assert rule(planner, Budget(tokens=10), QUESTION, prices=PRICES).usd_left == math.inf
    with pytest.raises(BudgetError, match="a budget in money needs prices, got usd"):
        rule(planner, Budget(usd=0.004), QUESTION)


def test_money_buys_tokens_at_the_dearest_price() -> None:
    assert tokens_for(0.004, PRICES) == tokens_for(0.004, {"a": PRICES}) == 1000
    assert tokens_for(1.0, Prices(0.0, 0.0)) is None


@given(st.integers(1, 10**9), st.floats(1.0, 1e15), st.integers(1, 9))
def test_what_is_resolved_stays_so(planner: Planner, tokens: int, flops: float, samples: int) -> None:
    once = resolve(planner, Budget(tokens=tokens, flops=flops, samples=samples), QUESTION)
    assert resolve(planner, once, QUESTION) == once
    assert once.tokens == tokens
    assert (once.flops or math.inf) <= flops


def test_a_budget_that_changes_nothing_is_not_made_anew(planner: Planner) -> None:
    budget = Budget(tokens=900, seconds=2.0)
    assert resolve(planner, budget, QUESTION) is budget
    assert resolve(planner, budget, QUESTION, waited=0.5) == Budget(tokens=900, seconds=1.5)
    assert resolve(planner, budget, QUESTION, shares=3) == Budget(tokens=300, seconds=2.0)
    assert budget.within(Budget(tokens=900, flops=None, seconds=3.0)) is budget
    assert budget.within(Budget(usd=1.0)) == Budget(tokens=900, seconds=2.0, usd=1.0)
