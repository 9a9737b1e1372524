"""A request over HTTP from its arrival to its end, the headers of its response, and its line in the log."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import warnings
from collections.abc import Callable, Iterator

import httpx
import pytest
from houses import QUESTION, House, until
from starlette.types import Message, Receive, Scope, Send

from planner.server.access.exchange import Exchange, JsonLines, log_access, log_to_stderr, request_id
from planner.server.access.keys import Key, Keys
from planner.server.access.middleware import Middleware
from planner.server.rules import Sizes
from planner.server.service import Service
from search.errors import SettingsError
from search.testing import Clock


def test_whoever_asked_is_told_once_when_the_answer_has_left() -> None:
    clock = Clock()
    exchange, told = Exchange(clock=clock), list[float]()
    clock.now = 2.0
    exchange.then(told.append)
    assert exchange.seconds == 2.0
    clock.now = 3.0
    exchange.end()
    exchange.end()
    assert told == [3.0]


async def test_a_task_finds_its_own() -> None:
    async def one() -> tuple[Exchange, Exchange]:
        begun = Exchange.begin()
        await asyncio.sleep(0)
        return begun, await asyncio.ensure_future(later())

    async def later() -> Exchange:
        return Exchange.now()

    pairs = await asyncio.gather(one(), one())
    assert all(begun is found for begun, found in pairs)
    assert pairs[0][0] is not pairs[1][0]


async def test_what_comes_after_waits_for_the_present_answer_or_for_none() -> None:
    done: list[str] = []
    Exchange.after(lambda: done.append("at once"))
    exchange = Exchange.begin()
    Exchange.after(lambda: done.append("later"))
    before = list(done)
    exchange.end()
    assert (before, done) == (["at once"], ["at once", "later"])


@pytest.mark.parametrize("fails", [False, True])
async def test_the_gate_begins_it_and_ends_it_after_the_answer(fails: bool) -> None:
    actual: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        Exchange.now().then(lambda seconds: actual.append("left"))
        if fails:
            raise ValueError("so")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Message) -> None:
        actual.append(str(message["type"]))

    scope = {"type": "http", "method": "POST", "path": "/v1/feedback", "headers": [(b"host", b"localhost")]}
    await Middleware(app, Sizes())(scope, receive, send)
    assert actual == ["http.response.start", "http.response.body", "left"]


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


SECRET = "s" * 40


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """What a server changes of the process's logging is put back."""
    root, ours = logging.getLogger(), logging.getLogger("planner")
    handlers, level, own = list(root.handlers), root.level, ours.level
    logging.captureWarnings(False)  # a server of an earlier test may have left it on, with warnings of then
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(own)


def exchange(path: str = "/v1/plan") -> Exchange:
    clock = iter([1.0, 1.25]).__next__
    made = Exchange("POST", path, is_asking=True, client="127.0.0.1", clock=clock)
    made.request_id, made.key, made.code = "trace-7", "alice", "overloaded"
    made.end(429, "/v1/plan")
    return made


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_is_one_object(logging_as_it_was: None, capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr()
    log_access(exchange())
    log_access(exchange('/a"b\nc'))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("a coroutine was\nnever awaited", RuntimeWarning, stacklevel=1)
    logging.getLogger("planner.server").warning("two\nlines")
    first, second, warned, last = lines(capsys.readouterr().err)
    at = first.pop("at")
    assert isinstance(at, str)
    assert at.endswith("Z")
    assert first == {
        "level": "info",
        "what": "POST /v1/plan 429",
        "request_id": "trace-7",
        "method": "POST",
        "path": "/v1/plan",
        "route": "/v1/plan",
        "status": 429,
        "seconds": 0.25,
        "code": "overloaded",
        "key": "alice",
        "client": "127.0.0.1",
    }
    assert second["path"] == '/a"b\nc'
    assert warned["level"] == "warning"
    assert "RuntimeWarning: a coroutine was never awaited" in str(warned["what"])
    assert last["what"] == "two lines"


def test_requests_are_written_down_without_their_text(
    service_of: Callable[..., Service], serving: Callable[[Service], House], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "planner.access")
    house = serving(service_of(keys=Keys([Key.of("boss", SECRET)]), access_log=log_access))
    body = {"model": "planner/cot()", "messages": [{"role": "user", "content": "What is 17*3, my secret?"}]}
    with httpx.Client(base_url=house.url, timeout=30.0) as ask:
        ask.post("/v1/chat/completions", json=body, headers={"x-request-id": "first"})
        ask.headers["authorization"] = f"Bearer {SECRET}"
        ask.post("/v1/chat/completions", json=body, headers={"x-request-id": "second"})
        ask.post("/v1/chat/completions", json={**body, "stream": True}, headers={"x-request-id": "third"})
        ask.get("/v1/decisions", params={"text": "my secret"})
        ask.head("/healthz")
    until(lambda: len(caplog.records) == 5)
    told = lines("\n".join(JsonLines().format(record) for record in caplog.records))
    order = ["first", "second", "third"]  # a stream is written down when its last byte has left
    told.sort(key=lambda one: order.index(one["request_id"]) if one["request_id"] in order else len(order))
    assert [(one["method"], one["status"], one["code"], one["key"]) for one in told] == [
        ("POST", 401, "invalid_api_key", None),
        ("POST", 200, None, "boss"),
        ("POST", 200, None, "boss"),
        ("GET", 200, None, "boss"),
        ("HEAD", 200, None, None),
    ]
    assert [one["request_id"] for one in told[:3]] == order
    assert "secret" not in json.dumps(told)
    assert SECRET not in json.dumps(told)


@pytest.mark.parametrize("stream", [False, True])
def test_other_protocols_are_written_down_too(
    service_of: Callable[..., Service],
    serving: Callable[[Service], House],
    caplog: pytest.LogCaptureFixture,
    stream: bool,
) -> None:
    caplog.set_level(logging.INFO, "planner.access")
    house = serving(service_of(keys=Keys([Key.of("boss", SECRET)]), access_log=log_access))
    asked = [{"role": "user", "content": "What is 17*3, my secret?"}]
    bodies: list[tuple[str, dict[str, object], dict[str, str]]] = [
        ("/v1/messages", {"messages": asked, "max_tokens": 200, "stream": stream}, {"x-api-key": SECRET}),
        ("/v1/messages", {"messages": asked}, {"x-api-key": SECRET}),
        ("/v1/messages/count_tokens", {"messages": asked}, {"x-api-key": SECRET}),
        ("/v1/responses", {"input": asked, "stream": stream}, {"authorization": f"Bearer {SECRET}"}),
        ("/v1/responses", {"input": asked, "background": True}, {"authorization": f"Bearer {SECRET}"}),
    ]
    with httpx.Client(base_url=house.url, timeout=30.0) as ask:
        found = [
            ask.post(path, json={"model": "planner/cot()", **body}, headers=headers)
            for path, body, headers in bodies
        ]
        figures = ask.get("/metrics", headers={"x-api-key": SECRET}).text
    until(lambda: len(caplog.records) == len(bodies) + 1)
    told = lines("\n".join(JsonLines().format(record) for record in caplog.records))
    ids = [one.headers["x-request-id"] for one in found]
    told = sorted(told[:-1], key=lambda one: ids.index(str(one["request_id"])))
    assert [(one["route"], one["status"], one["code"], one["key"]) for one in told] == [
        ("/v1/messages", 200, None, "boss"),
        ("/v1/messages", 400, "missing_required_parameter", "boss"),
        ("/v1/messages/count_tokens", 200, None, "boss"),
        ("/v1/responses", 200, None, "boss"),
        ("/v1/responses", 400, "invalid_value", "boss"),
    ]
    assert "secret" not in json.dumps(told)
    for endpoint in ("messages", "responses"):
        assert f'planner_requests_total{{endpoint="{endpoint}",outcome="answered"}} 1.0' in figures
        assert f'route="/v1/{endpoint}"' in figures


def test_no_line_unless_it_is_asked_for(
    service_of: Callable[..., Service], serving: Callable[[Service], House], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "planner.access")
    house = serving(service_of())
    assert httpx.get(f"{house.url}/healthz").status_code == 200
    assert caplog.records == []


def test_another_format_is_refused() -> None:
    from planner.server.settings_sources import read_settings

    with pytest.raises(SettingsError, match="--access-log is json, got 'combined'"):
        read_settings({"lab": True, "access_log": "combined"}, {})
    assert read_settings({"lab": True, "access_log": "json"}, {}).access_log == "json"
