"""Receipts beside the bill of an upstream that counts every prompt it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from houses import QUESTION, House, writes

from planner.server.direct.upstream import Upstream
from planner.server.rules import Rules
from planner.server.service import Service
from search.budget import Prices
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import ScriptedEngine
from search.remote.fake_server import FakeServer

PRICES = Prices(prompt=1.0, generated=4.0)
PLANS = (
    "cot()",
    "majority(n=4)",
    "best_of_n(n=4)",
    "weighted_vote(n=4)",
    "adaptive_vote(n=4, stop=1, ahead=1)",
    "adaptive_vote(n=6, stop=1, ahead=3)",
    "refine(rounds=1)",
    "aggregate(n=3)",
    "beam_search(n=4, width=2)",
    "dvts(n=4, width=2)",
    "rebase(n=4)",
    "particle_filter(n=4)",
    "lookahead(n=4, width=2, depth=1)",
    "cascade(first=small: majority(n=2), tau=1, then=small: majority(n=4))",
)


class Billed:
    """A server, and what stands before it."""

    def __init__(self, app: FakeOpenAI, house: House) -> None:
        self.app, self.house = app, house

    def ask(self, model: str, **more: Any) -> tuple[dict[str, Any], float]:
        """The answer, and what its upstream asks for it."""
        before = self.app.prompted, self.app.generated
        # all is drawn: what is cut off has been written here to its end
        asked = {"seed": 2, "draw_all": True, **more}
        body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], **asked}
        found = httpx.post(f"{self.house.v1}/chat/completions", json=body, timeout=60.0)
        told: dict[str, Any] = found.json()
        prompt, generated = self.app.prompted - before[0], self.app.generated - before[1]
        return told, PRICES.usd(prompt=prompt, generated=generated)


@pytest.fixture(params=[(), ("n",), ("n=2",)], ids=["any n", "no n", "two at most"])
def billed(
    request: pytest.FixtureRequest, service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> Iterator[Billed]:
    """The policy ``small`` behind a server that takes any ``n``, none, or a small one."""
    app = FakeOpenAI(ScriptedEngine(writes, name="small", context=4096), refuses=request.param)
    with FakeServer(app) as server:
        engine = OpenAIEngine.connect(server.url, "small", parameters=1000)
        upstream = Upstream(server.url, "small", "small")
        rules = Rules(prices=PRICES)
        yield Billed(app, serving(service_of({"small": engine}, upstream=upstream, rules=rules)))


def test_every_plans_receipt_is_the_bill(billed: Billed) -> None:
    for plan in PLANS:
        told, bill = billed.ask(f"planner/{plan}", policy="small")
        spend = told["planner"]["spend"]
        assert spend["usd"] == pytest.approx(bill, rel=1e-9), plan


def test_what_is_passed_on_costs_its_bill(billed: Billed) -> None:
    told, bill = billed.ask("small")
    assert told["planner"]["spend"]["usd"] == pytest.approx(bill, rel=1e-9)


@pytest.mark.parametrize("usd", [2e-4, 6e-4, 2e-3])
def test_no_plan_passes_a_budget_in_money(billed: Billed, usd: float) -> None:
    for plan in PLANS:
        told, bill = billed.ask(f"planner/{plan}", policy="small", budget={"usd": usd})
        assert bill <= usd, plan
        # what the budget does not hold is refused, and has no receipt
        assert "planner" not in told or told["planner"]["spend"]["usd"] >= bill - 1e-12


def test_a_planner_in_money_keeps_within_it(billed: Billed) -> None:
    told, bill = billed.ask("planner", policy="small", budget={"usd": 3e-3})
    assert bill <= 3e-3
    assert told["planner"]["spend"]["usd"] == pytest.approx(bill, rel=1e-9)
