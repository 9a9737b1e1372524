"""Figures for Prometheus: valid by its own parser, with labels, and true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from houses import House
from prometheus_client.parser import text_string_to_metric_families

from planner.server.access.admission import Admission
from planner.server.access.in_flight import InFlight, SampleLimit
from planner.server.access.keys import Key, Keys, Scope
from planner.server.observing.metrics import Metrics
from planner.server.rules import Rules
from planner.server.service import Service
from search.budget import Prices

SECRET, INFER = "s" * 40, "i" * 40
BODY = {"model": "planner/cot()", "messages": [{"role": "user", "content": "What is 17*3?"}]}

Sample = tuple[str, frozenset[tuple[str, str]]]


def samples(text: str) -> dict[Sample, float]:
    """Every sample of a text, by its name and labels; no two are the same."""
    found: dict[Sample, float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            name = sample.name, frozenset(sample.labels.items())
            assert name not in found
            found[name] = sample.value
    return found


def of(found: dict[Sample, float], name: str, /, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


@pytest.fixture
def house(service_of: Callable[..., Service], serving: Callable[[Service], House]) -> House:
    keys = Keys([Key.of("boss", SECRET), Key.of("asker", INFER, [Scope.INFER])])
    flights = InFlight({"small": SampleLimit(start=64), "large": 8})
    rules = Rules(prices=Prices(1.0, 2.0))
    return serving(service_of(keys=keys, rules=rules, admission=Admission(running=64, flights=flights)))


def test_everything_is_told_with_labels_and_parses(house: House) -> None:
    boss, asker = ({"authorization": f"Bearer {secret}"} for secret in (SECRET, INFER))
    with httpx.Client(base_url=house.url, timeout=30.0) as ask:
        answered = ask.post("/v1/chat/completions", json=BODY, headers=asker)
        assert answered.status_code == 200
        assert ask.post("/v1/chat/completions", json=BODY).status_code == 401
        wrong = {**BODY, "budget": {"tokens": 0}}
        assert ask.post("/v1/chat/completions", json=wrong, headers=asker).status_code == 400
        assert ask.get("/v1/models/planner%2Fcot()", headers=asker).status_code == 200
        assert ask.get("/.env", headers=asker).status_code == 404
        assert ask.get("/metrics", headers=asker).status_code == 403
        shown = ask.get("/metrics", headers=boss)
    assert shown.headers["content-type"].startswith("text/plain")
    found = samples(shown.text)
    chat = "/v1/chat/completions"
    assert of(found, "planner_up", name="small", kind="policy") == 1.0
    assert {dict(labels)["kind"] for name, labels in found if name == "planner_up"} == {"policy", "prm"}
    for status, count in (("200", 1), ("401", 1), ("400", 1)):
        assert of(found, "planner_http_requests_total", route=chat, method="POST", status=status) == count
    assert of(found, "planner_http_requests_total", route="other", method="GET", status="404") == 1
    assert (
        of(found, "planner_http_requests_total", route="/v1/models/{name}", method="GET", status="200") == 1
    )
    assert of(found, "planner_refusals_total", route=chat, cause="invalid_api_key") == 1
    assert of(found, "planner_refusals_total", route=chat, cause="invalid_value") == 1
    assert of(found, "planner_refusals_total", route="/metrics", cause="missing_scope") == 1
    assert of(found, "planner_http_request_seconds_count", route=chat) == 3
    assert of(found, "planner_request_seconds_bucket", endpoint="chat", le="+Inf") == 1
    assert of(found, "planner_requests_total", endpoint="chat", outcome="answered") == 1
    usage = answered.json()["usage"]
    policy = answered.json()["planner"]["policy"]
    assert of(found, "planner_tokens_total", policy=policy, kind="policy") == usage["total_tokens"]
    dollars = (usage["prompt_tokens"] + 2 * usage["completion_tokens"]) / 1e6
    assert of(found, "planner_usd_total", policy=policy) == pytest.approx(dollars)
    assert of(found, "planner_waiting_requests") == 0
    assert of(found, "planner_running_requests") == 0
    assert of(found, "planner_in_flight_limit", policy="small") == 64
    assert of(found, "planner_in_flight", policy="large") == 0
    assert of(found, "process_open_fds") > 0


def test_what_clients_write_makes_no_series(house: House) -> None:
    boss = {"authorization": f"Bearer {SECRET}"}
    with httpx.Client(base_url=house.url, timeout=30.0, headers=boss) as ask:
        before = len(samples(ask.get("/metrics").text))
        for number in range(30):
            ask.get(f"/nowhere/{number}")
            ask.get(f"/v1/decisions/id-{number}")
            ask.request(f"BREW{number}", "/v1/models")
            ask.post("/v1/chat/completions", json={**BODY, "model": f"m{number}"})
        grown = len(samples(ask.get("/metrics").text)) - before
    assert grown < 120  # some routes, with a histogram each, not one for each request


def test_names_and_values_of_any_kind_are_escaped() -> None:
    figures = Metrics()
    figures.set("up", 1.0, "Whether it answers.", name='a "quoted"\nname\\', kind="policy")
    figures.set("up", 0.0, "Whether it answers.", name="Qwen/Qwen2.5-0.5B", kind="policy")
    found = samples(figures.text().decode())
    assert of(found, "planner_up", name='a "quoted"\nname\\', kind="policy") == 1.0
    assert of(found, "planner_up", name="Qwen/Qwen2.5-0.5B", kind="policy") == 0.0


def counted(house: House) -> dict[str, Any]:
    shown = httpx.get(f"{house.url}/v1/now", headers={"authorization": f"Bearer {SECRET}"})
    assert shown.status_code == 200
    found: dict[str, Any] = shown.json()
    return found


def test_the_console_hears_why_requests_are_refused(house: House) -> None:
    with httpx.Client(base_url=house.url, timeout=30.0) as ask:
        for _ in range(2):
            ask.post("/v1/chat/completions", json=BODY)
        ask.get("/v1/models")  # not a request for an answer
        ask.post("/v1/chat/completions", json=BODY, headers={"authorization": f"Bearer {INFER}"})
    body = counted(house)
    assert body["refusals"] == [{"cause": "invalid_api_key", "requests": 2}]
    assert body["failures"] == []
    assert body["errors"] == {"requests": 1, "failed": 0, "cancelled": 0, "rate": 0.0}
    assert body["spend"]["priced"] == 1
    assert body["spend"]["usd"] > 0.0
    assert body["in_flight"] == [
        {"policy": "small", "load": 0, "limit": 64},
        {"policy": "large", "load": 0, "limit": 8},
    ]
    assert sum(one["refused"] for one in body["series"]) == 2


def test_other_windows_can_be_asked_for(house: House) -> None:
    with httpx.Client(base_url=house.url, headers={"authorization": f"Bearer {SECRET}"}) as ask:
        for window in (600, 3600, 86400):
            body = ask.get("/v1/now", params={"window": window}).json()
            assert (body["window"], len(body["series"])) == (window, 60)
            assert body["series"][1]["t"] - body["series"][0]["t"] == window / 60
        refused = ask.get("/v1/now", params={"window": 601})
    assert refused.status_code == 400
    assert "window must be one of 600, 3600, 86400, got 601" in refused.json()["error"]["message"]
