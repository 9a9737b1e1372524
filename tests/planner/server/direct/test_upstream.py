"""Requests that nothing is planned for go to the policy's own server as they came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from houses import House, records, until

from planner.server.direct.upstream import Upstream
from planner.server.service import Service
from search.engines.scripted import TURN
from search.remote.fake_server import Asked, FakeServer, Fault, Json, Stream

SEA: list[Any] = [{"role": "user", "content": "tell me about the sea"}]
SLOWLY: list[Any] = [{"role": "user", "content": "tell me slowly about the sea"}]
TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": {}}}


#: tokens of SEA, as the policy's engine counts them: characters, and the turn
PROMPT = len(SEA[0]["content"]) + len(TURN)
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


async def says(asked: Asked) -> Json | Stream:
    """As an OpenAI-compatible server would, whatever it is asked."""
    head = {"id": "theirs", "created": 1, "model": asked.body["model"]}
    if not asked.body.get("stream"):
        message = {"role": "assistant", "content": "It is wide."}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return Json({**head, "object": "chat.completion", "choices": [choice], "usage": USAGE})

    async def chunks() -> AsyncGenerator[Any]:
        if asked.body["messages"] == SLOWLY:
            choice = {"index": 0, "delta": {"content": "It"}, "finish_reason": None}
            yield {**head, "object": "chat.completion.chunk", "choices": [choice]}
            await asyncio.sleep(30.0)
        for text, reason in (("It is ", None), ("wide.", None), ("", "stop")):
            choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
            yield {**head, "object": "chat.completion.chunk", "choices": [choice]}
        yield {**head, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}

    return Stream(chunks())


@pytest.fixture
def policy() -> Iterator[FakeServer]:
    """The policy's own server."""
    with FakeServer(says) as server:
        yield server


@pytest.fixture
def behind(
    service_of: Callable[..., Service], serving: Callable[[Service], House], policy: FakeServer
) -> House:
    """A planner's server before it."""
    return serving(service_of(upstream=Upstream(policy.url, "served", "small")))


def client(house: House) -> openai.OpenAI:
    return openai.OpenAI(base_url=house.v1, api_key="none", max_retries=0)


def last_body(policy: FakeServer) -> dict[str, Any]:
    return next(a.body for a in reversed(policy.asked) if a.path == "/v1/chat/completions")


def test_open_ended_chat_passes_through(behind: House, policy: FakeServer) -> None:
    with client(behind) as ask:
        found = ask.chat.completions.create(
            model="planner", messages=SEA, temperature=0.5, extra_body={"top_k": 5, "budget": {"tokens": 50}}
        )
        chunks = list(
            ask.chat.completions.create(
                model="planner", messages=SEA, stream=True, stream_options={"include_usage": True}
            )
        )
    body = last_body(policy)
    receipt: Any = found.model_extra["planner"]  # type: ignore[index]
    assert (receipt["reason"], receipt["plan"], receipt["policy"]) == ("open_ended", "cot()", "small")
    assert found.choices[0].message.content == "It is wide."
    assert found.usage is not None
    assert receipt["spend"]["tokens"] == found.usage.total_tokens
    first = policy.asked[-2].body
    assert (first["model"], first["temperature"], first["top_k"], first["max_tokens"]) == (
        "served",
        0.5,
        5,
        50 - PROMPT,
    )
    assert "budget" not in first
    assert body["stream"] is True
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "It is wide."
    assert {c.id for c in chunks} == {chunks[0].id}
    assert chunks[0].id.startswith("chatcmpl-")
    assert chunks[-1].usage is not None
    told = [c.model_extra["planner"] for c in chunks if (c.model_extra or {}).get("planner")]
    assert [each["spend"]["tokens"] for each in told] == [12, 12]  # with the finish reason, with the usage
    assert [r.decision.reason for r in records(behind)] == ["open_ended"] * 2


def test_tools_and_images_pass_through_untouched(behind: House, policy: FakeServer) -> None:
    image: list[Any] = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is 1 + 1?"},
                {"type": "image_url", "image_url": {"url": "http://host/x.png"}},
            ],
        }
    ]
    with client(behind) as ask:
        tools = ask.chat.completions.create(model="planner", messages=SEA, tools=[TOOL])
        assert last_body(policy)["tools"] == [TOOL]
        ask.chat.completions.create(model="planner", messages=image)
        assert last_body(policy)["messages"] == image
    assert tools.model_extra["planner"]["reason"] == "tools"  # type: ignore[index]


def test_a_policy_server_that_fails_or_refuses(behind: House, policy: FakeServer) -> None:
    with client(behind) as ask:
        policy.fail(
            "/v1/chat/completions",
            Fault.answer(500, b'{"error": {"message": "out of memory"}}', "application/json"),
        )
        with pytest.raises(openai.InternalServerError) as failed:
            ask.chat.completions.create(model="planner", messages=SEA)
        assert failed.value.status_code == 502
        assert "out of memory" in str(failed.value)
        policy.fail("/v1/chat/completions", Fault.busy(3))
        with pytest.raises(openai.RateLimitError) as busy:
            ask.chat.completions.create(model="planner", messages=SEA)
        assert busy.value.response.headers["retry-after"] == "3"
        policy.fail("/v1/chat/completions", Fault.busy(4, 503))
        with pytest.raises(openai.InternalServerError) as full:
            ask.chat.completions.create(model="planner", messages=SEA)
        assert (full.value.status_code, full.value.response.headers["retry-after"]) == (503, "4")
        policy.stop()
        with pytest.raises(openai.InternalServerError, match="UnreachableError"):
            ask.chat.completions.create(model="planner", messages=SEA)
        policy.start()
        assert ask.chat.completions.create(model="planner", messages=SEA).choices


def test_a_stream_that_breaks_off_is_charged_as_far_as_it_came(behind: House, policy: FakeServer) -> None:
    policy.fail("/v1/chat/completions", Fault.end(after=2))
    with client(behind) as ask, pytest.raises(openai.APIError, match="the policy's server must answer"):
        list(ask.chat.completions.create(model="planner", messages=SEA, stream=True))
    recorder: Any = behind.service.recorder
    until(lambda: recorder.state()["kept"] == 1)  # it is written down once the stream is closed
    (kept,) = records(behind)
    assert (kept.decision.outcome, kept.decision.spend.tokens) == ("failed", PROMPT + 2)


def test_a_deadline_is_kept(behind: House, policy: FakeServer) -> None:
    soon = {"budget": {"seconds": 0.5}}
    with client(behind) as ask:
        policy.fail("/v1/chat/completions", Fault.slow(30.0))
        with pytest.raises(openai.InternalServerError, match=r"must answer within 0\.5 s") as late:
            ask.chat.completions.create(model="planner", messages=SEA, max_tokens=9, extra_body=soon)
        assert (late.value.status_code, late.value.code) == (504, "deadline")
        whole = ask.chat.completions.create(
            model="planner", messages=SEA, extra_body={"budget": {"seconds": 60}}
        )
        chunks = list(
            ask.chat.completions.create(model="planner", messages=SLOWLY, stream=True, extra_body=soon)
        )
        policy.fail("/v1/chat/completions", Fault.slow(30.0))
        with pytest.raises(openai.APIError, match=r"must answer within 0\.5 s"):
            list(ask.chat.completions.create(model="planner", messages=SEA, stream=True, extra_body=soon))
    assert whole.choices[0].finish_reason == "stop"
    assert [(c.choices[0].delta.content, c.choices[0].finish_reason) for c in chunks] == [
        ("It", None),
        (None, "length"),
    ]
    receipt: Any = chunks[-1].model_extra["planner"]  # type: ignore[index]
    assert (receipt["ended"], receipt["spend"]["tokens"]) == ("deadline", PROMPT + len("slowly ") + 1)
    spent = [r.decision.spend.tokens for r in records(behind)]
    assert (spent[0], spent[-1]) == (PROMPT + 9, PROMPT)  # all that a whole answer might have had


@pytest.mark.parametrize(
    ("budget", "more", "words"),
    [
        ({"usd": 0.01}, {}, "a budget in money needs the server's prices"),
        (
            {"tokens": PROMPT},
            {},
            f"a budget must hold the prompt .* a prompt of {PROMPT} and n=1",
        ),
        ({"tokens": PROMPT + 3}, {"n": 4}, "and n=4"),
        ({"flops": 1.0}, {}, "got 0 tokens"),
        ({"seconds": 1e-9}, {}, r"a budget must leave 0\.005 s for the work, got 1e-09 s"),
        (2, {"n": 3}, "a budget of 2 samples holds as many answers, got n=3"),
        ({"tokens": 40}, {"tools": [{**TOOL, "function": {"name": "f" * 200}}]}, "a prompt of [5-9][0-9]"),
    ],
)
def test_what_no_budget_holds_is_not_sent(
    behind: House, policy: FakeServer, budget: Any, more: dict[str, Any], words: str
) -> None:
    with client(behind) as ask, pytest.raises(openai.BadRequestError, match=words):
        ask.chat.completions.create(model="planner", messages=SEA, extra_body={"budget": budget}, **more)
    assert not [asked for asked in policy.asked if asked.path == "/v1/chat/completions"]


@pytest.mark.parametrize(
    "usage", ["many", {"prompt_tokens": "7"}, {"prompt_tokens": -1}, {"prompt_tokens": 10**30}, None]
)
def test_a_server_that_counts_oddly_is_counted_for(behind: House, policy: FakeServer, usage: Any) -> None:
    message = {"role": "assistant", "content": "It is wide."}
    said = {"choices": [{"finish_reason": "stop", "message": message}], "usage": usage}
    policy.fail("/v1/chat/completions", Fault.answer(200, json.dumps(said).encode(), "application/json"))
    body = {"model": "planner", "messages": SEA, "max_tokens": 5}
    found = httpx.post(f"{behind.v1}/chat/completions", json=body)
    assert (found.status_code, found.json()["planner"]["spend"]["tokens"]) == (200, PROMPT + 3)


@pytest.mark.parametrize(
    ("told", "wait"),
    [
        ("Wed, 21 Oct 2015 07:28:00 GMT", "1"),  # it is over
        ("2.5", "3"),
        ("-3", "1"),
        ("1e999", None),
        ("nan", None),
        ("soon", None),
    ],
)
def test_when_to_ask_again_is_passed_on(behind: House, policy: FakeServer, told: str, wait: str) -> None:
    policy.fail("/v1/chat/completions", Fault.busy(told))
    found = httpx.post(f"{behind.v1}/chat/completions", json={"model": "planner", "messages": SEA})
    assert (found.status_code, found.headers.get("retry-after")) == (429, wait)


def test_a_later_date_is_told_in_seconds(behind: House, policy: FakeServer) -> None:
    policy.fail("/v1/chat/completions", Fault.busy("Wed, 21 Oct 2099 07:28:00 GMT"))
    found = httpx.post(f"{behind.v1}/chat/completions", json={"model": "planner", "messages": SEA})
    assert int(found.headers["retry-after"]) > 10**9


def streamed(house: House, policy: FakeServer, *chunks: Any) -> tuple[str, list[Any]]:
    """(text, events) of a stream of these chunks."""
    lines = [b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks]
    body = b"".join([*lines, b"data: [DONE]\n\n"])
    policy.fail("/v1/chat/completions", Fault.answer(200, body, "text/event-stream"))
    asked = {"model": "planner", "messages": SEA, "stream": True}
    found = httpx.post(f"{house.v1}/chat/completions", json=asked)
    said = [line[6:] for line in found.text.splitlines() if line.startswith("data: ")]
    events = [json.loads(line) for line in said if line != "[DONE]"]
    choices = [choice for event in events for choice in event.get("choices") or ()]
    return "".join(choice["delta"].get("content") or "" for choice in choices), events


def piece(text: Any, reason: str | None = None) -> dict[str, Any]:
    """A chunk."""
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}


def test_who_goes_on_after_the_end_gets_a_receipt_all_the_same(behind: House, policy: FakeServer) -> None:
    text, events = streamed(behind, policy, piece("It", "stop"), piece(" is"), piece(" wide"))
    assert text == "It is wide"
    assert [event["planner"]["plan"] for event in events if "planner" in event] == ["cot()"]
    assert "planner" in events[-1]


@pytest.mark.parametrize(
    "error", [{"object": "error", "message": "out of memory", "code": 500}, {"error": "out of memory"}]
)
def test_an_error_in_a_stream_is_named(behind: House, policy: FakeServer, error: Any) -> None:
    text, events = streamed(behind, policy, piece("It"), error)
    assert text == "It"
    assert "out of memory" in events[-1]["error"]["message"]


def test_content_that_is_no_text_is_no_answer(behind: House, policy: FakeServer) -> None:
    _, events = streamed(behind, policy, piece("It"), piece(5, "stop"))
    assert events[-1]["error"]["code"] == "policy_failed"
    message = {"role": "assistant", "content": 5}
    said = json.dumps({"choices": [{"finish_reason": "stop", "message": message}]}).encode()
    policy.fail("/v1/chat/completions", Fault.answer(200, said, "application/json"))
    found = httpx.post(f"{behind.v1}/chat/completions", json={"model": "planner", "messages": SEA})
    assert (found.status_code, found.json()["error"]["code"]) == (502, "policy_failed")


def test_the_servers_own_key_is_told_to_nobody(
    service_of: Callable[..., Service], serving: Callable[[Service], House], policy: FakeServer
) -> None:
    upstream = Upstream(policy.url, "served", "small", api_key="our-own-key")
    house = serving(service_of(upstream=upstream))
    error = {"error": {"message": "Incorrect API key provided: our-own-key"}}
    policy.fail("/v1/chat/completions", Fault.answer(401, json.dumps(error).encode(), "application/json"))
    found = httpx.post(f"{house.v1}/chat/completions", json={"model": "planner", "messages": SEA})
    assert found.status_code == 502
    assert "Incorrect API key provided: ***" in found.json()["error"]["message"]
    text, events = streamed(house, policy, piece("It"), error)
    assert text == "It"
    assert events[-1]["error"]["message"].endswith("Incorrect API key provided: ***")
