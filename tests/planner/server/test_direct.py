"""Direct routes answer as FastAPI's own do: keys first, errors name their place, JSON only by its type."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
from fastapi import APIRouter
from houses import QUESTION, House

from planner.server.access.keys import Key, Keys, Scope, new_key
from planner.server.refusal import Refusal
from planner.server.request.budget import parse
from planner.server.routes.routing import Direct
from planner.server.service import Service


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/x+json"]
)
def test_json_is_read_by_its_type(house: House, kind: str) -> None:
    found = httpx.post(
        f"{house.v1}/plan", content=f'{{"question": "{QUESTION}"}}', headers={"content-type": kind}
    )
    assert found.status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_what_pages_of_other_sites_may_send_is_not_read(house: House, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    found = httpx.post(f"{house.v1}/plan", content=f'{{"question": "{QUESTION}"}}', headers=headers)
    error = found.json()["error"]
    assert (found.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error["param"], error["code"]) == ("content-type", "content_type")
    got = "none" if kind is None else repr(kind)
    assert error["message"] == f"a body's content-type is application/json, got {got}"


BUDGETS = [
    {"tokens": 0},
    {"token": 800},
    {"tokens": "800"},
    {"tokens": True},
    {"tokens": 1.5},
    {"target_accuracy": 2},
    {"accuracy": 0.9, "price": 1e-9},
    {"price": 1e-9, "price_unit": "euros"},
    {"price_unit": ["flops"]},
    {"seconds": -1},
    {"samples": 1e19},
    {},
    "800",
    -3,
    0,
    2.5,
    True,
    [8],
]


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_a_body_says_of_a_budget_what_the_header_says(house: House, budget: object) -> None:
    talk = {"model": "planner", "messages": [{"role": "user", "content": QUESTION}]}
    header = {"x-planner-budget": json.dumps(budget)}
    said = httpx.post(f"{house.v1}/chat/completions", json=talk, headers=header)
    assert said.status_code == 400
    for path, body in (("chat/completions", talk), ("plan", {"question": QUESTION})):
        found = httpx.post(f"{house.v1}/{path}", json={**body, "budget": budget})
        assert (found.status_code, found.json()) == (400, said.json())
    planned = httpx.post(f"{house.v1}/plan", json={"question": QUESTION}, headers=header)
    assert (planned.status_code, planned.json()) == (400, said.json())
    assert said.json()["error"]["param"] == "budget"


def test_a_plan_keeps_to_the_header_s_budget_before_the_body_s(house: House) -> None:
    found = httpx.post(
        f"{house.v1}/plan",
        json={"question": QUESTION, "budget": {"tokens": 900}},
        headers={"x-planner-budget": '{"tokens": 700}'},
    )
    budget = found.json()["budget"]
    assert (budget["source"], budget["granted"]) == ("header", {"tokens": 700})


def test_a_misspelt_word_of_a_budget_has_a_hint() -> None:
    with pytest.raises(Refusal, match=r"got 'token' \(did you mean 'tokens'\?\)"):
        parse({"token": 800})


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("stop", 3, "stop must be a text or a list of texts, got another"),
        ("stop", ["a", 3], "stop.1: "),
        ("tool_choice", 3, "tool_choice must be a text or an object, got another"),
        ("n", "4", "n: "),
        ("reasoning_effort", "much", "reasoning_effort: "),
        (
            "messages",
            [{"role": "user", "content": 3}],
            "messages.0.content must be a text or a list of parts",
        ),
        ("messages", [{"role": "user", "content": [{"text": "1"}]}], "messages.0.content.0.type: "),
    ],
)
def test_a_field_of_several_kinds_is_told_in_words(
    house: House, field: str, value: object, words: str
) -> None:
    body = {"messages": [{"role": "user", "content": QUESTION}], field: value}
    error = httpx.post(f"{house.v1}/chat/completions", json=body).json()["error"]
    assert error["message"].startswith(words)
    assert error["param"] == words.partition(" must")[0].partition(":")[0]


def test_an_error_names_its_place(house: House) -> None:
    body = {"model": "planner", "messages": [{"role": "user", "content": "1"}, {"role": "nobody"}]}
    error = httpx.post(f"{house.v1}/chat/completions", json=body).json()["error"]
    assert error["param"] == "messages.1.role"
    assert "nobody" not in error["message"]


def test_a_client_without_a_key_hears_of_that_only(
    service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> None:
    secret, _ = new_key("alice")
    house = serving(service_of(keys=Keys([Key.of("alice", secret, frozenset({Scope.INFER}))])))
    wrong = {"messages": "hello"}
    assert httpx.post(f"{house.v1}/chat/completions", json=wrong).status_code == 401
    known = {"authorization": f"Bearer {secret}"}
    assert httpx.post(f"{house.v1}/chat/completions", json=wrong, headers=known).status_code == 400
    assert httpx.post(f"{house.v1}/feedback", json={"id": "x"}, headers=known).status_code == 403


def test_a_parameter_that_nobody_fills_is_told_of_at_once() -> None:
    router = APIRouter(route_class=Direct)

    async def endpoint(number: int) -> None:
        raise AssertionError(number)

    with pytest.raises(TypeError, match="a direct route fills bodies, requests and dependencies, got number"):
        router.add_api_route("/x", endpoint, methods=["POST"])


def test_the_document_knows_direct_routes(house: House) -> None:
    paths = httpx.get(f"{house.url}/openapi.json").json()["paths"]
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/plan", "/v1/feedback"):
        assert "requestBody" in paths[path]["post"]


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("content-encoding", "gzip", "content_encoding"),
        ("content-encoding", "br", "content_encoding"),
        ("content-type", "application/json; charset=latin-1", "content_type"),
        ("content-type", 'application/json; x=y; Charset="UTF-16"', "content_type"),
    ],
)
def test_a_body_in_other_bytes_is_named(house: House, header: str, value: str, code: str) -> None:
    headers = {"content-type": "application/json", header: value}
    found = httpx.post(f"{house.v1}/plan", content=f'{{"question": "{QUESTION}"}}', headers=headers)
    error = found.json()["error"]
    assert (found.status_code, error["code"], error["param"]) == (415, code, header)


@pytest.mark.parametrize("kind", ["application/json;charset=UTF-8", 'application/json; charset="utf-8"'])
def test_a_body_in_utf_8_may_say_so(house: House, kind: str) -> None:
    headers = {"content-type": kind, "content-encoding": "identity"}
    found = httpx.post(f"{house.v1}/plan", content=f'{{"question": "{QUESTION}"}}', headers=headers)
    assert found.status_code == 200
