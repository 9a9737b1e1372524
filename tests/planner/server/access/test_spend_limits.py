"""Limits of a day on a running server: planned, passed on, in every protocol, at once, after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from houses import QUESTION, House, until

from planner.planner import Planner
from planner.server.access.keys import Key, Keys, Scope
from planner.server.access.limits import Spending
from planner.server.decisions.log import DecisionLog
from planner.server.direct.upstream import Upstream
from planner.server.rules import Rules, ShadowRules
from planner.server.service import Service
from search.budget import Prices
from search.remote.fake_server import Asked, FakeServer, Json, Stream

SECRET = "a-secret-of-enough-characters"
NOON = 86_400.0 * 20_000 + 43_200.0
PROMPT = len(QUESTION) + 1
ONE = PROMPT + 224  # an answer at its longest
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]

Serve = Callable[[Service], House]
Make = Callable[..., Service]


def keyed(**limits: float) -> Keys:
    made = Key.of("alice", SECRET)
    return Keys([Key(made.name, made.sha256, frozenset(Scope), **limits)])


def ask(house: House, path: str = "/chat/completions", **fields: Any) -> httpx.Response:
    body = {"model": "planner", "messages": [{"role": "user", "content": QUESTION}], **fields}
    headers = {"authorization": f"Bearer {SECRET}"}
    return httpx.post(f"{house.v1}{path}", json=body, headers=headers, timeout=60.0)


def today(house: House, name: str = "alice") -> tuple[float, float]:
    spent = house.service.spending.today(name)
    return spent.tokens, spent.usd


@pytest.fixture
def policy() -> Iterator[FakeServer]:
    """Writes as much as it may, and bills it."""

    async def answer(asked: Asked) -> Json | Stream:
        usage = {"prompt_tokens": 10, "completion_tokens": asked.body.get("max_tokens", 10**6)}
        message = {"role": "assistant", "content": "# 51"}
        return Json({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage})

    with FakeServer(answer) as server:
        yield server


def test_a_planned_request_stays_within_what_is_left(service_of: Make, serving: Serve) -> None:
    limit = 3 * ONE
    house = serving(service_of(keys=keyed(tokens_per_day=limit), spending=Spending(lambda: NOON)))
    spent, statuses = 0, []
    for _ in range(40):
        found = ask(house, model="planner/majority(n=8)", draw_all=True)
        statuses.append(found.status_code)
        if found.status_code == 200:
            spent += found.json()["planner"]["spend"]["tokens"]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert limit - ONE < spent <= limit
    assert today(house)[0] == spent
    refused = ask(house)
    assert refused.json()["error"]["code"] == "spend_limit"
    assert refused.headers["x-should-retry"] == "false"
    assert refused.headers["retry-after"] == "43200"
    metrics = httpx.get(f"{house.url}/metrics", headers={"authorization": f"Bearer {SECRET}"}).text
    assert f'planner_key_spend_tokens{{key="alice"}} {float(spent)}' in metrics
    assert 'cause="spend_limit"' in metrics


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/chat/completions", {"stream": True}),
        ("/completions", {"prompt": [QUESTION, QUESTION]}),
        ("/responses", {"input": QUESTION, "stream": True}),
        ("/messages", {"max_tokens": 100, "stream": True}),
        ("/chat/completions", {"tools": TOOLS, "stream": True}),
    ],
)
def test_every_protocol_says_it_before_the_first_byte(
    path: str,
    fields: dict[str, Any],
    service_of: Make,
    serving: Serve,
    policy: FakeServer,
    planner: Planner,
) -> None:
    upstream = Upstream(policy.url, "served", planner.first)
    house = serving(service_of(keys=keyed(tokens_per_day=20), upstream=upstream))
    found = ask(house, path, **fields)
    assert found.status_code == 429
    assert found.headers["x-should-retry"] == "false"
    assert "a key spends at most 20 tokens a day" in found.json()["error"]["message"]
    assert policy.asked == []
    assert today(house) == (0.0, 0.0)


def test_money_is_held_and_charged_at_its_price(service_of: Make, serving: Serve) -> None:
    prices = Prices(prompt=1.0, generated=4.0, prm=0.5)
    one = prices.usd(prompt=PROMPT, generated=224)
    house = serving(service_of(keys=keyed(usd_per_day=2 * one), rules=Rules(prices=prices)))
    found = [ask(house, model="planner/majority(n=8)", draw_all=True) for _ in range(40)]
    spent = sum(each.json()["planner"]["spend"]["usd"] for each in found if each.status_code == 200)
    assert found[-1].status_code == 429
    assert one < spent <= 2 * one
    assert today(house)[1] == pytest.approx(spent)


def test_many_at_once_do_not_pass_it(
    service_of: Make, serving: Serve, policy: FakeServer, planner: Planner
) -> None:
    upstream = Upstream(policy.url, "served", planner.first)
    prices = Prices(prompt=1.0, generated=4.0)
    house = serving(
        service_of(
            keys=keyed(tokens_per_day=1000, usd_per_day=0.01), upstream=upstream, rules=Rules(prices=prices)
        )
    )
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: ask(house, tools=TOOLS, max_tokens=100), range(32)))
    codes = {each.status_code for each in found}
    billed = sum(asked.body["max_tokens"] + 10 for asked in policy.asked)
    assert codes == {200, 429}
    assert billed <= 1000
    assert today(house)[0] == billed


def test_a_passed_on_request_without_a_limit_gets_the_policys(
    service_of: Make, serving: Serve, policy: FakeServer, planner: Planner
) -> None:
    upstream = Upstream(policy.url, "served", planner.first)
    house = serving(service_of(keys=keyed(tokens_per_day=10_000), upstream=upstream))
    assert ask(house, tools=TOOLS).status_code == 200
    assert [one.body["max_tokens"] for one in policy.asked] == [224]
    assert today(house)[0] == 234


def test_a_plan_beside_is_charged_to_its_own_key(
    service_of: Make, serving: Serve, policy: FakeServer, planner: Planner
) -> None:
    rules, upstream = Rules(shadow=ShadowRules(1.0)), Upstream(policy.url, "served", planner.first)
    alice = Key.of("alice", SECRET)
    keys = Keys([alice, Key("shadow", "0" * 64, tokens_per_day=2 * ONE)])
    house = serving(service_of(keys=keys, rules=rules, upstream=upstream))
    assert ask(house, max_tokens=50).status_code == 200
    until(lambda: today(house, "shadow")[0] > 0)
    assert today(house, "shadow")[0] <= 2 * ONE
    assert today(house)[0] == 60


def test_the_days_spend_survives_a_restart(service_of: Make, serving: Serve, tmp_path: Path) -> None:
    file, prices = tmp_path / "decisions.db", Prices(prompt=1.0, generated=4.0, prm=0.5)
    parts: dict[str, Any] = {"keys": keyed(tokens_per_day=10 * ONE), "rules": Rules(prices=prices)}
    log = DecisionLog.open(file)
    house = serving(service_of(recorder=log, **parts))
    assert ask(house).status_code == 200
    assert asyncio.run(log.flush(10.0))
    spent = today(house)
    assert spent[0] > 0
    assert spent[1] > 0
    again = serving(service_of(recorder=DecisionLog.open(file), **parts))
    assert today(again) == pytest.approx(spent)
