"""What comes in: sizes, time, JSON that is none, keys, and what is not let in."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from houses import QUESTION, House, records

from planner.server.access.keys import Key, Keys, Scope, new_key
from planner.server.rules import Rules, Sizes
from planner.server.run import check_bind
from planner.server.service import Service
from search.errors import ServeError

MESSAGES = [{"role": "user", "content": QUESTION}]


@pytest.fixture
def small(service_of: Callable[..., Service], serving: Callable[[Service], House]) -> House:
    """A server with narrow limits."""
    sizes = Sizes(body=4000, header=2000, messages=3, question=500, choices=2, stops=2, stop=8, seconds=0.5)
    return serving(service_of(rules=Rules(sizes=sizes)))


BAD_JSON = {
    "broken": b'{"model": "planner", "messages": [',
    "latin-1": '{"model": "plänner"}'.encode("latin-1"),
    "nan": b'{"model": "planner", "messages": [], "temperature": NaN}',
    "half a character": b'{"model": "\\ud800", "messages": []}',
    "deep": b"[" * 1500 + b"]" * 1500,
    "nothing": b"",
    "a list": b"[]",
    "huge number": b'{"model": "planner", "messages": [{"role":"user","content":"1"}], "seed": 1'
    + b"0" * 2000
    + b"}",
    "infinite": b'{"model": "planner", "messages": [{"role":"user","content":"1"}], "temperature": 1e999}',
    "wrong type": b'{"model": "planner", "messages": "hello"}',
    "no messages": b'{"model": "planner", "messages": []}',
}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_bodies_that_are_none(small: House, body: bytes) -> None:
    for path in ("chat/completions", "completions", "plan", "feedback"):
        found = httpx.post(f"{small.v1}/{path}", content=body, headers={"content-type": "application/json"})
        assert found.status_code == 400, found.text
        error = found.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert set(error) == {"message", "type", "param", "code"}


def test_sizes_are_kept(small: House) -> None:
    def post(**body: Any) -> tuple[int, Any]:
        found = httpx.post(
            f"{small.v1}/chat/completions", json={"model": "planner", "messages": MESSAGES, **body}
        )
        return found.status_code, found.json().get("error", {}).get("param")

    assert post() == (200, None)
    assert post(messages=MESSAGES * 4) == (400, "messages")
    assert post(messages=[{"role": "user", "content": "1" * 501}]) == (400, "messages")
    assert post(n=3) == (400, "n")
    assert post(stop=["a", "b", "c"]) == (400, "stop")
    assert post(stop="a" * 9) == (400, "stop")
    assert post(model="planner/majority(n=257)") == (400, "model")
    assert post(more="x" * 5000)[0] == 413
    assert httpx.get(f"{small.v1}/models", headers={"x-long": "y" * 2500}).status_code == 431
    # too many headers for the parser itself: the connection is answered and closed
    with socket.create_connection(("127.0.0.1", int(small.url.rpartition(":")[2]))) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + b"a: " + b"b" * 100_000)
        assert raw.recv(100).startswith(b"HTTP/1.1 431")


def test_slow_and_half_closed_connections_do_not_stay(small: House) -> None:
    port = int(small.url.rpartition(":")[2])
    head = (
        b"POST /v1/plan HTTP/1.1\r\nhost: localhost\r\n"
        b"content-type: application/json\r\ncontent-length: 100\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=20.0) as slow:
        slow.sendall(head + b'{"que')
        assert slow.recv(100).startswith(b"HTTP/1.1 408")
    with socket.create_connection(("127.0.0.1", port), timeout=20.0) as unsaid:
        assert unsaid.recv(100) == b""
    with socket.create_connection(("127.0.0.1", port), timeout=20.0) as drip:
        drip.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        said = b""
        while not said.endswith(b"}"):
            said += drip.recv(1000)
        assert said.startswith(b"HTTP/1.1 200")
        drip.sendall(b"GET /healthz HT")  # a second request, never said
        assert drip.recv(100) == b""
    with socket.create_connection(("127.0.0.1", port), timeout=20.0) as half:
        half.sendall(head + b'{"que')
        half.shutdown(socket.SHUT_WR)
        assert half.recv(100) == b""
    assert httpx.get(f"{small.url}/healthz").status_code == 200


def test_nothing_is_said_to_other_origins(small: House) -> None:
    found = httpx.options(
        f"{small.v1}/chat/completions",
        headers={"origin": "http://evil.example", "access-control-request-method": "POST"},
    )
    assert found.status_code == 403
    assert not any(name.startswith("access-control") for name in found.headers)
    assert httpx.get(f"{small.url}/redoc").status_code == 404


def test_keys_open_what_their_scopes_say(
    service_of: Callable[..., Service], serving: Callable[[Service], House], tmp_path: Path
) -> None:
    secret, lines = new_key("alice")
    file = tmp_path / "keys.toml"
    boss = Key.of("boss", "0123456789abcdefgh", [Scope.ADMIN])
    file.write_text(
        f'{lines}[keys.boss]\nsha256 = "{boss.sha256}"\nscopes = ["{Scope.ADMIN}"]\n'
        f'[keys.slow]\nsha256 = "{boss.sha256[::-1]}"\nrequests_per_minute = 1.0\n'
    )
    keys = Keys.read(file)
    house = serving(service_of(keys=keys))

    def get(path: str, key: str | None, **more: Any) -> int:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        method = "POST" if more else "GET"
        return httpx.request(method, f"{house.url}{path}", headers=headers, **more).status_code

    assert get("/v1/models", None) == 401
    assert get("/v1/models", "wrong") == 401
    assert get("/v1/models", secret) == 200
    assert get("/v1/decisions", secret) == 403
    assert get("/metrics", secret) == 403
    assert get("/admin/reload", secret, json={}) == 403
    assert (
        get("/v1/chat/completions", "0123456789abcdefgh", json={"model": "planner", "messages": MESSAGES})
        == 403
    )
    for path in ("/v1/decisions", "/v1/now", "/metrics"):
        assert get(path, "0123456789abcdefgh") == 200
    assert get("/healthz", None) == get("/readyz", None) == get("/", None) == 200
    found = httpx.post(
        f"{house.v1}/chat/completions",
        json={"model": "planner", "messages": MESSAGES},
        headers={"authorization": f"Bearer {secret}"},
    )
    assert found.status_code == 200
    (kept,) = [record for record in records(house) if record.decision.decision_id == found.json()["id"]]
    assert kept.decision.key == "alice"


def test_an_address_that_others_reach_needs_keys() -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        check_bind(host, Keys())
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org"):
        with pytest.raises(ServeError, match="needs keys"):
            check_bind(host, Keys())
        check_bind(host, Keys([Key.of("a", "x" * 16)]))
