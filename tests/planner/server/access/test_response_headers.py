"""Headers of every response, errors and what the parser refuses among them."""

from __future__ import annotations

import socket
from collections.abc import Callable

import httpx
import pytest
from houses import QUESTION, House

from planner.server.access.exchange import request_id

MESSAGES = [{"role": "user", "content": QUESTION}]

ASKED = [
    ("GET", "/healthz", None, 200),
    ("GET", "/v1/decisions", None, 200),
    ("GET", "/metrics", None, 200),
    ("GET", "/openapi.json", None, 200),
    ("GET", "/nowhere", None, 404),
    ("GET", "/v1/decisions/unknown", None, 404),
    ("PUT", "/v1/chat/completions", None, 405),
    ("GET", "/v1/chat/completions", None, 405),
    ("POST", "/v1/chat/completions", {"messages": []}, 400),
    ("POST", "/v1/chat/completions", {"model": "nobody", "messages": MESSAGES}, 404),
    ("POST", "/v1/chat/completions", {"model": "planner", "messages": MESSAGES}, 200),
    ("POST", "/v1/chat/completions", {"model": "planner", "messages": MESSAGES, "stream": True}, 200),
    ("POST", "/v1/feedback", {"id": "x", "correct": True}, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), ASKED)
def test_every_response_has_them(house: House, method: str, path: str, body: object, status: int) -> None:
    found = httpx.request(method, f"{house.url}{path}", json=body)
    assert found.status_code == status
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["cache-control"] == "no-store"
    assert len(found.headers.get_list("x-request-id")) == 1
    assert found.headers["x-request-id"].startswith("req_")
    again = httpx.request(method, f"{house.url}{path}", json=body, headers={"x-request-id": "trace-7"})
    assert again.headers["x-request-id"] == "trace-7"
    assert len(again.headers.get_list("x-content-type-options")) == 1


@pytest.mark.parametrize(
    ("sent", "status"), [(b"nonsense\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\na: " + b"b" * 50_000, b"431")]
)
def test_what_is_no_request_is_answered_with_them_too(house: House, sent: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", int(house.url.rpartition(":")[2])), timeout=20.0) as raw:
        raw.sendall(sent)
        said = b""
        while piece := raw.recv(4096):
            said += piece
    assert said.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nx-request-id: req_" in said
    assert b"\r\nx-content-type-options: nosniff\r\n" in said


def test_the_console_may_be_kept_and_says_so_itself(house: House) -> None:
    found = httpx.get(f"{house.url}/")
    assert found.headers.get_list("cache-control") == ["no-cache"]
    assert found.headers.get_list("x-content-type-options") == ["nosniff"]
    assert found.headers["x-request-id"]


@pytest.mark.parametrize("given", [b"two words", b"", b"a" * 129, b"x\x00", "ü".encode()])
def test_an_id_that_is_none_is_replaced(given: bytes) -> None:
    assert request_id(given).startswith(b"req_")
    assert request_id(given) != request_id(given)


def test_a_failure_inside_is_logged_with_its_id(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Callable[..., object]:
        raise RuntimeError("a secret question")

    monkeypatch.setattr(house.service.recorder, "find", broken)
    found = httpx.get(f"{house.v1}/decisions/x", headers={"x-request-id": "trace-8"})
    assert (found.status_code, found.headers["x-request-id"]) == (500, "trace-8")
    assert "trace-8" in caplog.text
    assert "a secret question" not in caplog.text
