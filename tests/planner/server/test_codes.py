"""Every error has a code, wherever it is made."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import pytest
from houses import House

from planner.server.refusal import Refusal, invalid, refusal_of
from search.errors import PlannerError, ProblemError

CHAT: dict[str, Any] = {"model": "planner", "messages": [{"role": "user", "content": "What is 17*3?"}]}


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/chat/completions", {**CHAT, "model": "nobody"}, 404, "model_not_found"),
        ("/v1/chat/completions", {"model": "planner"}, 400, "missing_required_parameter"),
        ("/v1/chat/completions", {**CHAT, "messages": "x"}, 400, "invalid_type"),
        ("/v1/chat/completions", {**CHAT, "n": "x"}, 400, "invalid_type"),
        ("/v1/chat/completions", {**CHAT, "messages": []}, 400, "invalid_value"),
        ("/v1/chat/completions", {**CHAT, "domain": "poetry"}, 400, "invalid_value"),
        ("/v1/chat/completions", {**CHAT, "policy": "nobody"}, 400, "invalid_value"),
        ("/v1/chat/completions", {**CHAT, "model": "planner/x()"}, 400, "plan"),
        ("/v1/completions", {"model": "planner", "prompt": []}, 400, "invalid_value"),
        ("/v1/plan", {}, 400, "invalid_value"),
        ("/v1/feedback", {"id": "x"}, 400, "invalid_value"),
        ("/v1/feedback", {"id": "x", "correct": True}, 404, "unknown_id"),
    ],
)
def test_what_is_refused_has_a_code(
    house: House, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    found = httpx.post(f"{house.url}{path}", json=body, timeout=30.0)
    assert (found.status_code, found.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("content", "got"),
    [("", "nothing"), ("null", "nothing"), ("[]", "a list"), ("3", "a number"), ('"x"', "a text")],
)
@pytest.mark.parametrize(
    "path",
    ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/plan", "/v1/feedback"],
)
def test_a_body_that_is_no_object_is_told_so(house: House, path: str, content: str, got: str) -> None:
    found = httpx.post(f"{house.url}{path}", content=content, headers={"content-type": "application/json"})
    error = found.json()["error"]
    assert (found.status_code, error["code"]) == (400, "invalid_type")
    assert error["message"] == f"a body must be an object, got {got}"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/decisions?limit=0", 400, "invalid_value"),
        ("GET", "/v1/decisions?limit=x", 400, "invalid_type"),
        ("GET", "/v1/models/nobody", 404, "model_not_found"),
    ],
)
def test_paths_and_methods_that_there_are_not(
    house: House, method: str, path: str, status: int, code: str
) -> None:
    found = httpx.request(method, f"{house.url}{path}")
    assert (found.status_code, found.json()["error"]["code"]) == (status, code)


CLOSED = b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        (b"this is no request\r\n\r\n", 400, "invalid_http"),
        (
            b"GET / HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n" + CLOSED,
            400,
            "invalid_http",
        ),
        (b"GET http://evil.example/v1/models HTTP/1.1\r\nHost: localhost\r\n" + CLOSED, 421, "unknown_host"),
        (b"GET http://localhost@evil.example/ HTTP/1.1\r\nHost: localhost\r\n" + CLOSED, 421, "unknown_host"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 70_000, 431, "too_large"),
    ],
)
def test_what_is_no_request_gets_a_code_too(house: House, said: bytes, status: int, code: str) -> None:
    host, port = house.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10.0) as wire:
        wire.sendall(said)
        answer = b""
        while piece := wire.recv(65_536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"content-type: application/json" in head
    assert json.loads(body)["error"]["code"] == code


@pytest.mark.parametrize("status", [*range(400, 432), 499, *range(500, 512), 599])
def test_every_status_has_a_code(status: int) -> None:
    error = Refusal("a rule, got a value", status).body["error"]
    assert error["code"]
    assert error["type"]


def test_errors_of_every_kind_have_one() -> None:
    for error in (PlannerError("x"), ProblemError("x"), ValueError("secret")):
        assert refusal_of(error).body["error"]["code"]
    assert invalid([{"loc": (), "msg": "broken"}]).code == "invalid_value"
