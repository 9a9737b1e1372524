"""HEAD works wherever GET does: the same headers, and no body."""

from __future__ import annotations

import socket

import httpx
import pytest
from houses import House

GETS = (
    "/",
    "/docs",
    "/v1/models",
    "/v1/models/planner",
    "/v1/strategies",
    "/v1/decisions",
    "/v1/now",
    "/healthz",
    "/readyz",
    "/openapi.json",
)


@pytest.mark.parametrize("path", GETS)
def test_head_answers_as_get_does_without_its_body(house: House, path: str) -> None:
    with httpx.Client(base_url=house.url, timeout=30.0) as ask:
        got, head = ask.get(path), ask.head(path)
        again = ask.get(path)  # on the same connection, which has not lost its place
    assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers["x-request-id"]
    assert again.status_code == 200


def test_metrics_have_a_head_too(house: House) -> None:
    assert httpx.head(f"{house.url}/metrics").status_code == 200


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/v1/chat/completions", 405)])
def test_head_where_there_is_no_get(house: House, path: str, status: int) -> None:
    found = httpx.head(f"{house.url}{path}")
    assert (found.status_code, found.content) == (status, b"")


def test_nothing_follows_the_headers_on_the_wire(house: House) -> None:
    host, port = house.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10.0) as wire:
        wire.sendall(f"HEAD /openapi.json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        said = b""
        while piece := wire.recv(65_536):
            said += piece
    head, end, rest = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert (end, rest) == (b"\r\n\r\n", b"")
