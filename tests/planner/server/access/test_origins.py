"""Names and pages that a server may be called by: its own, those that are allowed, and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from houses import QUESTION, House
from hypothesis import given
from hypothesis import strategies as st

from planner.server.access.keys import Key, Keys
from planner.server.access.origins import Origins
from planner.server.refusal import Refusal
from planner.server.serve import origins_of
from planner.server.service import Service
from planner.server.settings import ServeSettings
from search.errors import ServeError

OURS = ["localhost", "LOCALHOST:8400", "localhost.", "127.0.0.1", "127.0.0.1:1", "127.9.9.9", "[::1]:8400"]
FOREIGN = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example:8400",
    "10.0.0.5:8400",
    "0.0.0.0:8400",
    "2130706433",
    "[::]:8400",
    "[::1",
    "localhost:8400@evil.example",
    "localhost evil.example",
    "http://localhost",
    "",
]


def status(origins: Origins, host: str | None, **more: Any) -> int:
    try:
        origins.check(host, **more)
    except Refusal as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize("host", OURS)
def test_names_of_this_machine_pass(host: str) -> None:
    assert status(Origins(), host) == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_no_other_name_passes(host: str) -> None:
    assert status(Origins(), host) == 421
    assert status(Origins(host_names=("planner.example",)), host) == 421


@given(st.text(max_size=30), st.text(max_size=30) | st.none(), st.text(max_size=15) | st.none())
def test_nothing_that_a_client_says_fails(host: str, origin: str | None, site: str | None) -> None:
    assert status(Origins(allowed=("https://a.example",)), host, origin=origin, site=site) in (200, 403, 421)


def test_a_host_may_be_missing_in_the_oldest_http_only() -> None:
    assert status(Origins(), None) == 421
    assert status(Origins(), None, version="1.0") == 200


def test_the_address_at_which_a_request_arrived_is_a_name_too() -> None:
    assert status(Origins(), "10.0.0.5:8400", at="10.0.0.5") == 200
    assert status(Origins(), "[fe80::1]:8400", at="fe80::1") == 200
    assert status(Origins(), "testserver", at="testserver") == 200  # without a socket
    assert status(Origins(), "evil.example", at="127.0.0.1") == 421
    assert status(Origins(), "evil.example", at="testserver") == 421


def test_a_server_that_others_reach_takes_every_name_unless_it_is_given_some() -> None:
    everywhere = Origins(any_host=True)
    assert {status(everywhere, host) for host in ("planner.example", "10.0.0.5:8400", "localhost")} == {200}
    named = Origins(("planner.example",), any_host=True)
    assert status(named, "Planner.Example:443") == status(named, "10.0.0.5:8400") == 200
    assert status(named, "evil.example") == 421


def test_pages_of_the_server_itself_may_call() -> None:
    for origin, host in [
        ("http://127.0.0.1:8400", "127.0.0.1:8400"),
        ("http://localhost:8400", "LOCALHOST:8400"),
        ("http://localhost", "localhost:80"),
        ("https://localhost", "localhost:443"),
        ("http://[::1]:8400", "[::1]:8400"),
    ]:
        assert status(Origins(), host, origin=origin, site="same-origin") == 200
    proxied = Origins(("planner.example",))
    assert status(proxied, "127.0.0.1:8400", origin="https://planner.example", site="same-origin") == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost:3000",
        "http://127.0.0.1:8400",  # another name of the same machine is another site's for a browser
        "null",
        "",
        "http://localhost:8400.evil.example",
        "file://localhost:8400",
        "http://localhost:8400/",
    ],
)
def test_a_foreign_page_may_not_call(origin: str) -> None:
    assert status(Origins(), "localhost:8400", origin=origin) == 403


def test_a_request_that_another_site_caused_is_refused_without_an_origin_too() -> None:
    assert status(Origins(), "localhost", site="cross-site") == 403
    assert status(Origins(), "localhost", origin="http://localhost", site="cross-site") == 403
    assert {status(Origins(), "localhost", site=site) for site in ("none", "same-origin", None)} == {200}


def test_pages_that_are_allowed_may_call() -> None:
    origins = Origins(allowed=("https://App.example", "http://localhost:3000"))
    for origin in ("https://app.example", "https://app.example:443", "http://localhost:3000"):
        assert status(origins, "localhost:8400", origin=origin, site="cross-site") == 200
    assert status(origins, "localhost:8400", origin="http://app.example") == 403
    assert status(origins, "evil.example", origin="https://app.example") == 421
    assert status(Origins(allowed=("*",)), "localhost", origin="https://any.example") == 200


@pytest.mark.parametrize(
    ("parts", "rule"),
    [
        ({"host_names": ("http://planner.example",)}, "neither scheme, port nor path"),
        ({"host_names": ("planner.example:80",)}, "neither scheme, port nor path"),
        ({"host_names": ("",)}, "neither scheme, port nor path"),
        ({"allowed": ("app.example",)}, "an origin is SCHEME://HOST"),
        ({"allowed": ("https://app.example/page",)}, "an origin is SCHEME://HOST"),
        ({"allowed": ("null",)}, "an origin is SCHEME://HOST"),
    ],
)
def test_what_is_no_name_or_origin_is_refused(parts: Any, rule: str) -> None:
    with pytest.raises(ServeError, match=rule):
        Origins(**parts)


def test_settings_say_who_may_call() -> None:
    keys = Keys([Key.of("a", "x" * 16)])
    closed = origins_of(ServeSettings(lab=True), Keys())
    assert status(closed, "planner.example") == 421
    named = origins_of(ServeSettings(lab=True, host_name=("planner.example",)), Keys())
    assert status(named, "planner.example") == 200
    assert status(origins_of(ServeSettings(lab=True, host="0.0.0.0"), keys), "planner.example") == 200
    every = ServeSettings(lab=True, allow_origin=("*",))
    assert status(origins_of(every, keys), "localhost", origin="https://app.example") == 200
    with pytest.raises(ServeError, match="with keys only"):
        origins_of(every, Keys())


ROUTES = [
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/healthz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/v1/decisions"),
    ("GET", "/v1/models"),
    ("GET", "/v1/now"),
    ("GET", "/nowhere"),
    ("POST", "/admin/reload"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/feedback"),
    ("POST", "/v1/plan"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/count_tokens"),
    ("GET", "/v1/savings"),
    ("GET", "/v1/strategies"),
    ("OPTIONS", "/v1/chat/completions"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_is_closed_to_foreign_names_and_pages(house: House, method: str, path: str) -> None:
    for headers, status, code in [
        ({"host": "evil.example"}, 421, "unknown_host"),
        ({"origin": "http://evil.example"}, 403, "foreign_origin"),
        ({"sec-fetch-site": "cross-site"}, 403, "foreign_origin"),
        ({"host": "evil.example", "origin": "http://evil.example"}, 421, "unknown_host"),
    ]:
        found = httpx.request(method, f"{house.url}{path}", headers=headers)
        assert (found.status_code, found.json()["error"]["code"]) == (status, code)
        assert not any(name.startswith("access-control") for name in found.headers)
    assert house.service.current.reloads == 0


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_messages_are_refused_in_their_own_words(house: House, path: str) -> None:
    for headers, kind in [
        ({"host": "evil.example"}, "invalid_request_error"),
        ({"origin": "http://evil.example"}, "permission_error"),
    ]:
        found = httpx.post(f"{house.url}{path}", json={}, headers=headers)
        body = found.json()
        assert (body["type"], body["error"]["type"]) == ("error", kind)
        assert body["request_id"] == found.headers["request-id"] == found.headers["x-request-id"]
    wrong = httpx.get(f"{house.url}{path}")
    assert (wrong.status_code, wrong.json()["request_id"]) == (405, wrong.headers["request-id"])


def test_an_allowed_page_reads_answers_and_errors(
    service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> None:
    house = serving(service_of(origins=Origins(allowed=("https://app.example",))))
    page = {"origin": "https://app.example", "sec-fetch-site": "cross-site"}
    asked = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, x-stainless-lang",
        "access-control-request-private-network": "true",
    }
    before = httpx.options(f"{house.v1}/chat/completions", headers={**page, **asked})
    assert before.status_code == 204
    assert before.headers["access-control-allow-origin"] == "https://app.example"
    assert before.headers["access-control-allow-headers"] == asked["access-control-request-headers"]
    assert before.headers["access-control-allow-private-network"] == "true"
    body = {"model": "planner", "messages": [{"role": "user", "content": QUESTION}]}
    for said, status in ((body, 200), ({"model": "planner"}, 400)):
        found = httpx.post(f"{house.v1}/chat/completions", json=said, headers=page)
        assert found.status_code == status
        assert found.headers["access-control-allow-origin"] == "https://app.example"
        assert found.headers["vary"] == "origin"
        assert "x-request-id" in found.headers["access-control-expose-headers"]
    other = httpx.post(
        f"{house.v1}/plan", json={"question": QUESTION}, headers={"origin": "https://b.example"}
    )
    assert other.status_code == 403
