"""What a client may spend, in the planner's words."""

from __future__ import annotations

import pytest

from planner.objective import HardCap, Price, TargetAccuracy
from planner.options import options, voting
from planner.planner import Planner
from planner.server.budget import Allowance
from planner.server.refusal import Refusal
from planner.server.resolved_budget import ResolvedBudget
from planner.server.rules import Rules
from search.budget import Prices
from search.errors import ServeError

QUESTION = "work out the sum of 3 + 41 + 7"
PRICES = Prices(1.0, 2.0, 4.0)


def resolved(planner: Planner, allowance: Allowance, **how: object) -> ResolvedBudget:
    return ResolvedBudget.of(allowance, planner, QUESTION, **how)  # type: ignore[arg-type]


def test_caps_become_objectives(planner: Planner) -> None:
    assert resolved(planner, Allowance(tokens=900)).objective == HardCap(tokens=900)
    priced = resolved(planner, Allowance(tokens=900), price=1e-9)
    assert (priced.objective, priced.cap) == (Price(1e-9), HardCap(tokens=900))
    aimed = resolved(planner, Allowance(target_accuracy=0.9, tokens=900))
    assert (aimed.objective, aimed.cap) == (TargetAccuracy(0.9), HardCap(tokens=900))
    timed = resolved(planner, Allowance(seconds=2.0), waited=0.5)
    assert isinstance(timed.objective, Price)
    assert timed.budget.seconds == 1.5


def test_samples_are_counted_in_greedy_answers(planner: Planner) -> None:
    one, eight = resolved(planner, Allowance(samples=1)), resolved(planner, Allowance(samples=8))
    assert isinstance(one.objective, HardCap)
    assert isinstance(eight.objective, HardCap)
    assert eight.budget.flops == pytest.approx(8 * (one.budget.flops or 0.0))
    advice = planner.recommend(QUESTION, objective=one.objective)
    assert advice.flops_p90 <= (one.budget.flops or 0.0) * (1 + 1e-9)


def test_money_needs_prices_and_buys_tokens(planner: Planner) -> None:
    with pytest.raises(Refusal, match="needs the server's prices"):
        resolved(planner, Allowance(usd=0.01))
    found = resolved(planner, Allowance(usd=0.004), prices=PRICES)
    assert found.objective == HardCap(tokens=1000)  # all of it at the dearest price
    assert (found.budget.usd, found.budget.tokens) == (0.004, None)
    with pytest.raises(ServeError, match="needs prices"):
        Rules(default=Allowance(usd=1.0))


def test_answers_share_all_but_time(planner: Planner) -> None:
    found = resolved(planner, Allowance(tokens=900, seconds=2.0, usd=0.9), prices=PRICES, shares=3)
    assert (found.budget.tokens, found.budget.seconds) == (300, 2.0)
    assert found.budget.usd == pytest.approx(0.3)


def test_the_vote_of_equal_accuracy(planner: Planner) -> None:
    found = options(planner, QUESTION)
    assert [o.accuracy for o in found] == sorted((o.accuracy for o in found), reverse=True)
    votes = [o for o in found if o.choice.policy == "small" and o.choice.plan.strategy in ("majority", "cot")]
    reached = voting(found, "small", votes[0].accuracy)
    assert reached is not None
    assert not reached.never
    assert reached.option.accuracy >= votes[0].accuracy
    beyond = voting(found, "small", 1.1)
    assert beyond is not None
    assert beyond.never
    assert beyond.option.flops == max(o.flops for o in votes)
    assert voting(found, "nobody", 0.5) is None
