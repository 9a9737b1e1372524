"""What the latency model learns from a solution: how long after it was told to end its answer had left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from planner.server.access.exchange import Exchange
from planner.server.request.request_context import learn
from planner.solving.executor import Solution
from planner.solving.latency import Latency
from search.budget import Budget
from search.choice import Choice
from search.plan import Plan
from search.result import Outcome, Spend


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
