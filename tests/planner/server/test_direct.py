"""Direct routes answer as FastAPI's own do: keys first, errors name their place, JSON only by its type."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from fastapi import APIRouter
from houses import QUESTION, House

from planner.server.keys import Key, Keys, Scope, new_key
from planner.server.routes.direct import Direct
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
    assert found.status_code == 400
    assert found.json()["error"]["type"] == "invalid_request_error"


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
