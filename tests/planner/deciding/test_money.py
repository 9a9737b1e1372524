"""What choices cost in money before they are made: each model at its own price."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.deciding.money import with_money
from planner.options import options
from planner.planner import Planner
from search.budget import Budget, Prices
from search.errors import BudgetError

QUESTION = "work out the sum of 3 + 41 + 7"


def costs(planner: Planner, prices: dict[str, Prices]) -> dict[str, float]:
    return {str(one.choice): one.usd_p90 or 0.0 for one in options(planner, QUESTION, prices)}


def test_a_cap_that_is_too_little_for_the_dear_model_buys_the_cheap_one(planner: Planner) -> None:
    prices = {"small": Prices(1.0, 1.0), "large": Prices(1000.0, 1000.0)}
    cheapest = min(costs(planner, prices).values())
    advice = planner.decide(QUESTION, budget=Budget(usd=cheapest * 1.01), prices=prices)
    assert advice.choice.policy == "small"
    with pytest.raises(BudgetError, match=r"a cap must allow the cheapest choice, small x .* US dollars"):
        planner.decide(QUESTION, budget=Budget(usd=cheapest * 0.5), prices=prices)


def test_what_was_paid_is_gone(planner: Planner) -> None:
    prices = {"small": Prices(1.0, 1.0), "large": Prices(1.0, 1.0)}
    budget = Budget(usd=max(costs(planner, prices).values()) * 2)
    assert planner.decide(QUESTION, budget=budget, prices=prices).choice in planner.choices
    with pytest.raises(BudgetError, match="a cap must allow"):
        planner.decide(QUESTION, budget=budget, prices=prices, spent_usd=budget.usd or 0.0)


def test_a_model_without_a_price_is_not_chosen(planner: Planner) -> None:
    advice = planner.decide(QUESTION, budget=Budget(usd=1e6), prices={"large": Prices(1.0, 1.0)})
    assert advice.choice.policy == "large"


@given(st.floats(0.0, 100.0), st.floats(0.0, 100.0), st.floats(0.0, 100.0))
def test_money_lies_between_the_tokens_at_the_lowest_and_at_the_dearest_price(
    planner: Planner, prompt: float, generated: float, prm: float
) -> None:
    stage = planner.stages[0]
    size = np.array([float(len(QUESTION))])
    menu = with_money(
        stage.menu(planner.features(stage, QUESTION, None), size),
        stage,
        Prices(prompt, generated, prm),
        characters=len(QUESTION),
        prompts=planner.prompts(QUESTION),
    )
    usd, tokens = menu.costs.usd_p90, menu.costs.tokens_p90 / 1e6
    assert usd is not None
    assert (usd >= tokens * min(prompt, generated, prm) * (1 - 1e-9)).all()
    # a plan that sends its prompt once
    greedy = np.array([choice.plan.is_greedy for choice in stage.choices])
    assert greedy.any()
    assert (usd <= tokens * max(prompt, generated, prm) * (1 + 1e-9))[0, greedy].all()
