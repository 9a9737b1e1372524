"""The context of a request: what is settled before the work, and what is learned after it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from planner.options import options, voting
from planner.planner import Planner
from planner.server.access.exchange import Exchange
from planner.server.refusal import Refusal
from planner.server.request.budget import check_time
from planner.server.request.request_context import learn, resolved
from planner.server.rules import Rules
from planner.solving.latency import Latency
from planner.solving.solution import Solution
from search.budget import Budget, Prices
from search.choice import Choice
from search.errors import ServeError
from search.plan import Plan
from search.result import Outcome, Spend


class House:
    """As much of a service as a budget needs."""

    def __init__(self, **rules: Any) -> None:
        self.rules = Rules(**rules)


QUESTION = "work out the sum of 3 + 41 + 7"
PRICES = Prices(1.0, 2.0, 4.0)


def asked(planner: Planner, budget: Budget, *, waited: float = 0.0, shares: int = 1, **rules: Any) -> Budget:
    house: Any = House(**rules)
    return resolved(house, planner, QUESTION, budget, waited=waited, shares=shares)


def test_the_servers_price_is_the_least(planner: Planner) -> None:
    assert asked(planner, Budget(tokens=900)) == Budget(tokens=900)
    assert asked(planner, Budget(tokens=900), price=1e-9) == Budget(tokens=900, price=1e-9)
    assert asked(planner, Budget(price=1e-10), price=1e-9) == Budget(price=1e-9)
    assert asked(planner, Budget(price=1e-8), price=1e-9) == Budget(price=1e-8)
    aimed = Budget(accuracy=0.9, tokens=900)
    assert asked(planner, aimed, price=1e-9) == aimed


def test_time_that_has_passed_is_gone(planner: Planner) -> None:
    assert asked(planner, Budget(seconds=2.0), waited=0.5) == Budget(seconds=1.5)
    check_time(2.0, 1.9)
    with pytest.raises(Refusal, match="must leave"):
        check_time(2.0, 1.999)


def test_money_needs_prices(planner: Planner) -> None:
    with pytest.raises(Refusal, match="needs the server's prices"):
        asked(planner, Budget(usd=0.01))
    assert asked(planner, Budget(usd=0.004), prices=PRICES) == Budget(usd=0.004)
    with pytest.raises(ServeError, match="needs prices"):
        Rules(default=Budget(usd=1.0))


def test_answers_share_all_but_time(planner: Planner) -> None:
    found = asked(planner, Budget(tokens=900, seconds=2.0, usd=0.9), prices=PRICES, shares=3)
    assert (found.tokens, found.seconds) == (300, 2.0)
    assert found.usd == pytest.approx(0.3)


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


def solution(seconds: float) -> Solution:
    """That took so long, and ended by itself."""
    choice = Choice("policy", None, Plan.parse("majority(n=4)"))
    return Solution("7", Outcome.ANSWERED, choice, (), (), 0.5, 10.0, 10.0, Spend(seconds=seconds))


@pytest.mark.parametrize(("took", "late"), [(1.5, 0.5), (1.0, 0.0), (0.9, None)])
async def test_whatever_worked_to_its_deadline_tells_how_late_it_was(took: float, late: float | None) -> None:
    latency = Latency()
    heard: list[float] = []
    latency.overran = heard.append  # type: ignore[assignment, method-assign]
    service: Any = SimpleNamespace(latency=latency)
    exchange = Exchange.begin()
    learn(service, solution(took), Budget(seconds=1.0))
    assert heard == []  # the answer has not left
    exchange.end()
    assert heard == ([] if late is None else [pytest.approx(late, abs=0.2)])
