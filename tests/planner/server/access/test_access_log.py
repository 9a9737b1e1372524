"""The access log: a JSON line for each request, with no text of it; warnings are lines too."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator

import httpx
import pytest
from houses import House, until

from planner.server.access.exchange import Exchange, JsonLines, log_access, log_to_stderr
from planner.server.access.keys import Key, Keys
from planner.server.service import Service
from search.errors import SettingsError

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
