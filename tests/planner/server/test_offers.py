"""What the console asks a server for: prices, plans over a budget, decisions to filter and to take away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
from houses import QUESTION, House

from planner.server.access.keys import Key, Keys, Scope
from planner.server.rules import Rules
from planner.server.service import Service
from search.budget import Prices


def ask(house: House, model: str) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": QUESTION}]}
    return str(httpx.post(f"{house.v1}/chat/completions", json=body, timeout=60.0).json()["planner"]["id"])


def lines(house: House, **query: Any) -> list[dict[str, Any]]:
    response = httpx.get(f"{house.v1}/decisions.jsonl", params=query)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in response.text.splitlines()]


def test_decisions_are_taken_away_whole_and_filtered(house: House) -> None:
    names = [
        ask(house, model) for model in ("planner/cot()", "planner/majority(n=2)", "planner/majority(n=3)")
    ]
    assert [one["id"] for one in lines(house)] == names[::-1]
    assert [one["id"] for one in lines(house, plan="majority")] == [names[2], names[1]]
    assert [one["id"] for one in lines(house, plan="majority(n=2)")] == [names[1]]
    assert lines(house, policy="nobody") == []
    assert [one["id"] for one in lines(house, limit=1)] == [names[2]]
    whole = httpx.get(f"{house.v1}/decisions/{names[1]}").json()
    assert lines(house, plan="majority(n=2)") == [whole]


def test_an_export_goes_on_from_block_to_block(house: House) -> None:
    first = ask(house, "planner/cot()")
    found = asyncio.run(house.service.recorder.find(first))
    assert found is not None
    for at in range(449):
        house.service.recorder.record(replace(found.decision, decision_id=f"d{at}"))
    taken = [one["id"] for one in lines(house)]
    assert taken == [*(f"d{at}" for at in reversed(range(449))), first]
    assert len(lines(house, limit=250)) == 250


def test_only_admins_take_decisions_away(
    service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> None:
    keys = Keys([Key.of("ann", "k" * 20, [Scope.INFER])])
    house = serving(service_of(keys=keys))
    for path in ("/decisions.jsonl", "/savings"):
        assert httpx.get(house.v1 + path).status_code == 401
        refused = httpx.get(house.v1 + path, headers={"authorization": f"Bearer {'k' * 20}"})
        assert refused.status_code == 403


def test_money_is_offered_where_every_price_is_known(
    service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> None:
    known = serving(service_of(rules=Rules(prices=Prices(1.0, 2.0))))
    half = serving(service_of(rules=Rules(prices={"another": Prices(1.0, 2.0)})))
    none = serving(service_of())
    told = [httpx.get(f"{house.v1}/models").json()["planner"]["prices"] for house in (known, half, none)]
    assert told == [True, False, False]


def test_a_plan_is_over_a_budget_that_its_mean_exceeds(house: House) -> None:
    body = {"question": QUESTION, "budget": {"tokens": 200}, "include": ["alternatives"]}
    plans = httpx.post(f"{house.v1}/plan", json=body).json()["alternatives"]
    assert {one["over"] for one in plans} == {True, False}
    for one in plans:
        assert one["over"] == (one["tokens"] > 200)
        assert one["fits"] <= (not one["over"])  # what is over does not fit


def test_nothing_is_saved_where_nothing_was_shadowed(house: House) -> None:
    ask(house, "planner")
    told = httpx.get(f"{house.v1}/savings").json()
    assert (told["shadow"], told["requests"], told["accuracy"]["is_known"]) == (False, 0, False)
