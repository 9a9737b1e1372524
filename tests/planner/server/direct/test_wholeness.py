"""A policy's server that fails in its answer: an error or a whole answer, never a part that looks whole."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from houses import House, records
from hypothesis import given
from hypothesis import strategies as st

from planner.server.direct.upstream import Ended, Upstream, check_whole, chunk_of
from planner.server.refusal import Refusal
from planner.server.service import Service
from search.engines.scripted import TURN
from search.remote.fake_server import Asked, FakeServer, Fault, Json, Stream

SEA: list[Any] = [{"role": "user", "content": "tell me about the sea"}]
PROMPT = len(SEA[0]["content"]) + len(TURN)
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
#: the end of a stream that says nothing more: the fake writes [DONE] after it
ERROR = {"error": {"message": "out of memory", "type": "server_error"}}


def piece(text: str | None, reason: Any = None, index: int = 0, **more: Any) -> dict[str, Any]:
    delta = {"role": "assistant"} if text is None else {"content": text}
    return {"choices": [{"index": index, "delta": delta, "finish_reason": reason}], **more}


def whole(reason: Any = "stop", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hello"}
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": USAGE, **more}


class Policy:
    """The policy's own server: says the events of ``stream``, or ``answer`` at once."""

    def __init__(self) -> None:
        self.stream: list[Any] = []
        self.answer: Any = whole()

    async def __call__(self, asked: Asked) -> Json | Stream:
        if not asked.body.get("stream"):
            return Json(self.answer)

        async def events() -> AsyncGenerator[Any]:
            for event in self.stream:
                yield event

        return Stream(events())


@pytest.fixture
def policy() -> Policy:
    return Policy()


@pytest.fixture
def server(policy: Policy) -> Iterator[FakeServer]:
    with FakeServer(policy) as running:
        yield running


@pytest.fixture
def behind(
    service_of: Callable[..., Service], serving: Callable[[Service], House], server: FakeServer
) -> House:
    return serving(service_of(upstream=Upstream(server.url, "served", "small")))


def spent(house: House) -> list[tuple[str, int]]:
    return [(r.decision.outcome, r.decision.spend.tokens) for r in records(house)]


def streamed(house: House, **more: Any) -> tuple[int, list[Any]]:
    """Status, and the events of a stream, or its error in a list."""
    body = {"model": "planner", "messages": SEA, "stream": True, **more}
    found = httpx.post(f"{house.v1}/chat/completions", json=body)
    if found.status_code != 200:
        return found.status_code, [found.json()]
    lines = [line.removeprefix("data: ") for line in found.text.splitlines() if line.startswith("data: ")]
    return 200, [line if line == "[DONE]" else json.loads(line) for line in lines]


#: what the policy's server says in a stream -> the words of the error; pieces of text come before
BROKEN: dict[str, tuple[list[Any], str]] = {
    "an error event": ([piece("Hel"), ERROR], "got an error: out of memory"),
    "an error event with a status": (
        [piece("Hel"), {"error": {"message": "too long", "code": 400}}],
        "got 400: too long",
    ),
    "an error beside choices": ([piece("Hel"), piece("lo", **ERROR)], "got an error: out of memory"),
    "an end without a reason": ([piece("Hel"), piece("lo")], "in the middle of 1 of 1 choices"),
    "an empty reason": ([piece("Hel"), piece("lo", "")], "in the middle of 1 of 1 choices"),
    "a usage and no reason": ([piece("Hel"), {"choices": [], "usage": USAGE}], "in the middle of 1 of 1"),
    "one of two choices": (
        [piece("Hel"), piece("Hal", index=1), piece("", "stop")],
        "in the middle of 1 of 2 choices",
    ),
    "a choice given up": ([piece("Hel"), piece("", "abort")], "got an answer that it gave up: 'abort'"),
    "choices that are none": ([piece("Hel"), {"choices": "many"}], "a chunk without a list of choices"),
    "a choice that is none": ([piece("Hel"), {"choices": ["lo"]}], "a choice that is none"),
    "a delta that is none": ([piece("Hel"), {"choices": [{"delta": "lo"}]}], "a choice that is none"),
    "a reason that is none": ([piece("Hel"), piece("lo", 7)], "a choice that is none"),
    "an event that is no object": ([piece("Hel"), ["lo"]], "something other than a JSON object"),
}


@pytest.mark.parametrize(("events", "words"), BROKEN.values(), ids=BROKEN)
def test_a_stream_that_breaks_ends_in_an_error(
    behind: House, policy: Policy, events: list[Any], words: str
) -> None:
    policy.stream = events
    status, lines = streamed(behind)
    assert status == 200
    assert lines[0]["choices"][0]["delta"] == {"content": "Hel"}
    assert words in lines[-1]["error"]["message"]
    assert "[DONE]" not in lines
    assert not any(choice["finish_reason"] for line in lines[:-1] for choice in line["choices"])
    ((outcome, tokens),) = spent(behind)
    assert outcome == "failed"
    assert tokens >= PROMPT + 1 or tokens == USAGE["total_tokens"]


def test_the_official_client_raises(behind: House, policy: Policy) -> None:
    policy.stream = [piece("Hel"), ERROR]
    client = openai.OpenAI(base_url=behind.v1, api_key="none", max_retries=0)
    with client as ask, pytest.raises(openai.APIError, match="out of memory"):
        list(ask.chat.completions.create(model="planner", messages=SEA, stream=True))


@pytest.mark.parametrize("events", [[], [piece(None)], [ERROR], [{"choices": [], "usage": USAGE}]])
def test_a_stream_without_text_is_refused_before_its_first_byte(
    behind: House, policy: Policy, events: list[Any]
) -> None:
    policy.stream = events
    status, lines = streamed(behind)
    assert (status, lines[0]["error"]["code"]) == (502, "policy_failed")


def test_a_status_inside_a_stream_is_the_status_of_the_answer(behind: House, policy: Policy) -> None:
    policy.stream = [{"error": {"message": "too long", "code": 400}}]
    assert streamed(behind)[0] == 400
    policy.stream = [{"error": {"message": "wrong key", "code": 401}}]  # of ours, not of the client's
    assert streamed(behind)[0] == 502


def test_an_error_in_place_of_a_stream_is_told_in_its_words(behind: House, server: FakeServer) -> None:
    said = json.dumps(ERROR).encode()
    server.fail("/v1/chat/completions", Fault.answer(200, said, "application/json; charset=utf-8"))
    status, lines = streamed(behind)
    assert (status, lines[0]["error"]["message"]) == (
        502,
        "the policy's server must answer, got an error: out of memory",
    )
    server.fail("/v1/chat/completions", Fault.answer(200, json.dumps(whole()).encode(), "application/json"))
    status, lines = streamed(behind)
    assert status == 502
    assert "text/event-stream" in lines[0]["error"]["message"]


#: streams that are whole, though not as the protocol has them -> the text and the tokens of their receipts
WHOLE: dict[str, tuple[list[Any], int]] = {
    "empty reasons on the way": (
        [piece("Hel", ""), piece("lo", "stop"), {"choices": [], "usage": USAGE}],
        12,
    ),
    "usage in the last choice": ([piece("Hel"), piece("lo", "stop", usage=USAGE)], 12),
    "a usage with every choice": (
        [
            piece("Hel", usage={**USAGE, "completion_tokens": 2}),
            piece("lo", "stop", usage={**USAGE, "completion_tokens": 5}),
        ],
        12,
    ),
    "no usage": ([piece("Hel"), piece("lo", "stop")], PROMPT + 2),
    "a usage that is none": ([piece("Hel"), piece("lo", "stop", usage="many")], PROMPT + 2),
    "a usage that was told too early": (
        [piece("Hel", usage={"prompt_tokens": 7, "completion_tokens": 0}), piece("lo", "stop")],
        9,
    ),
    "no index": (
        [{"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]}],
        PROMPT + 1,
    ),
}


@pytest.mark.parametrize(("events", "tokens"), WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_whole_stream_is_whole_however_it_is_said(
    behind: House, policy: Policy, events: list[Any], tokens: int, wants_usage: bool
) -> None:
    policy.stream = events
    status, lines = streamed(behind, stream_options={"include_usage": wants_usage})
    assert (status, lines[-1]) == (200, "[DONE]")
    chunks = lines[:-1]
    said = [choice for chunk in chunks for choice in chunk["choices"]]
    assert "".join(choice["delta"].get("content", "") for choice in said) == "Hello"
    assert [choice["finish_reason"] for choice in said if choice["finish_reason"] is not None] == ["stop"]
    receipts = [chunk["planner"] for chunk in chunks if "planner" in chunk]
    assert {receipt["spend"]["tokens"] for receipt in receipts} == {tokens}
    usages = [chunk["usage"]["total_tokens"] for chunk in chunks if not chunk["choices"]]
    assert len(usages) == wants_usage
    assert spent(behind) == [("answered", tokens)]


def test_a_stream_that_ends_without_done_is_whole_where_its_choices_are(
    behind: House, policy: Policy, server: FakeServer
) -> None:
    policy.stream = [piece("Hel"), piece("lo", "stop"), {"choices": [], "usage": USAGE}]
    server.fail("/v1/chat/completions", Fault.end(after=2))
    status, lines = streamed(behind)
    assert (status, lines[-1]) == (200, "[DONE]")
    server.fail("/v1/chat/completions", Fault.end(after=1))
    status, lines = streamed(behind)
    assert "must end with [DONE]" in lines[-1]["error"]["message"]
    assert "[DONE]" not in lines
    server.fail("/v1/chat/completions", Fault.drop(after=1))
    assert "error" in streamed(behind)[1][-1]


#: bodies with status 200 -> the words of the error, and the tokens that are charged
PLAIN: dict[str, tuple[Any, str, int]] = {
    "an error": (ERROR, "got an error: out of memory", 0),
    "an error with a status": ({"error": {"message": "too long", "code": 400}}, "got 400: too long", 0),
    "an error in words": ({"error": "out of memory"}, "got an error: out of memory", 0),
    "no choices": ({"object": "chat.completion"}, "an answer without choices", 0),
    "an empty list": ({"choices": []}, "an answer without choices", 0),
    "no reason": (whole(None), "does not say why it ended: None", 12),
    "an empty reason": (whole(""), "does not say why it ended: ''", 12),
    "given up": (whole("abort"), "gave up: 'abort'", 12),
    "no message": ({"choices": [{"finish_reason": "stop"}]}, "a choice that is none", PROMPT),
    "no object": (["Hello"], "something other than a JSON object", 0),
}


@pytest.mark.parametrize(("answer", "words", "tokens"), PLAIN.values(), ids=PLAIN)
def test_a_plain_answer_that_is_none_is_an_error(
    behind: House, policy: Policy, answer: Any, words: str, tokens: int
) -> None:
    policy.answer = answer
    found = httpx.post(f"{behind.v1}/chat/completions", json={"model": "planner", "messages": SEA})
    assert found.status_code == (400 if "400" in words else 502)
    assert words in found.json()["error"]["message"]
    assert [one for _, one in spent(behind)] == [tokens]


#: numbers that Python's reader takes and that JSON has no word for
ODD = [b"NaN", b"-Infinity", b"1e999"]
BODIES: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": SEA},
    "responses": {"input": SEA},
    "messages": {"messages": SEA, "max_tokens": 9},
}


@pytest.mark.parametrize("number", ODD)
@pytest.mark.parametrize("path", BODIES)
def test_a_number_that_is_none_is_an_error(
    behind: House, server: FakeServer, path: str, number: bytes
) -> None:
    said = json.dumps(whole(logprobs=7)).encode().replace(b'"logprobs": 7', b'"logprobs": ' + number)
    assert number in said
    server.fail("/v1/chat/completions", Fault.answer(200, said, "application/json"))
    body = {"model": "planner", **BODIES[path]}
    found = httpx.post(f"{behind.v1}/{path}", json=body)
    assert found.status_code == 502
    assert "something other than a JSON object" in found.json()["error"]["message"]


@pytest.mark.parametrize("path", BODIES)
def test_a_number_that_is_none_ends_a_stream(behind: House, policy: Policy, path: str) -> None:
    policy.stream = [piece("Hel"), piece("lo", logprobs=float("nan")), piece("", "stop")]
    body = {"model": "planner", "stream": True, **BODIES[path]}
    found = httpx.post(f"{behind.v1}/{path}", json=body)
    assert found.status_code == 200
    assert "an event must be JSON" in found.text
    assert "NaN" not in found.text.partition("an event must")[0]
    policy.stream = [piece("Hel", logprobs=float("inf")), piece("lo", "stop")]
    assert httpx.post(f"{behind.v1}/{path}", json=body).status_code == 502


def test_what_lies_too_deep_is_an_error(behind: House, server: FakeServer) -> None:
    deep = b'{"choices": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    server.fail("/v1/chat/completions", Fault.answer(200, deep, "application/json"))
    found = httpx.post(f"{behind.v1}/chat/completions", json={"model": "planner", "messages": SEA})
    assert found.status_code == 502


def test_a_plain_answer_without_usage_gets_one(behind: House, policy: Policy) -> None:
    policy.answer = {**whole(), "usage": None}
    found = httpx.post(f"{behind.v1}/chat/completions", json={"model": "planner", "messages": SEA}).json()
    assert found["usage"]["prompt_tokens"] == PROMPT
    assert found["usage"]["completion_tokens"] >= 1
    assert found["planner"]["spend"]["tokens"] == found["usage"]["total_tokens"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
)
fields = ("index", "delta", "finish_reason", "message", "text")
choices = st.fixed_dictionaries({}, optional=dict.fromkeys(fields, values))


def read(found: dict[str, Any]) -> int:
    """The status of an answer, and of the end of a stream."""
    ended = Ended()
    try:
        ended.hear(chunk_of(found))
        ended.check()
        check_whole(found, "message")
    except Refusal as refusal:
        return refusal.status
    return 200


@given(st.fixed_dictionaries({}, optional={"choices": st.lists(choices, max_size=3) | values}))
def test_whatever_comes_is_read_or_refused(found: dict[str, Any]) -> None:
    assert read(found) == 502 or all(choice["finish_reason"] for choice in found["choices"])
