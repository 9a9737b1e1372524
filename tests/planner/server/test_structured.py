"""Structured answers are voted on where the operator says so: JSON by value, calls by name and arguments."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from houses import House

from planner.server.rules import Rules
from planner.server.service import Service
from planner.server.upstream import Upstream
from search.plan import Plan
from search.remote.fake_server import Asked, FakeServer, Fault, Json, Stream

CHAT = "/v1/chat/completions"
ASKED: list[Any] = [{"role": "user", "content": "How far is it from Rome to Paris, and by what?"}]
SCHEMA: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "trip", "schema": {"type": "object"}, "strict": True},
}
TOOL: Any = {"type": "function", "function": {"name": "go", "parameters": {"type": "object"}}}
USAGE = {"prompt_tokens": 30, "completion_tokens": 4, "total_tokens": 34}
PLAN = Plan.of("majority", n=8)

#: three spellings of one value, and others
RIGHT = ['{"by": "train", "km": 1100}', '{"km":1100.0,"by":"train"}', '{"by":"train","km":1.1e3}']
WRONG = ['{"by":"bus","km":1100}', '{"by":"train","km":11}', "no idea"]


class Writer:
    """A policy's server that is right in three of six, each time in other words."""

    def __init__(self) -> None:
        self.drawn = 0

    async def __call__(self, asked: Asked) -> Json | Stream:
        body = asked.body
        text = [*RIGHT, *WRONG][[0, 3, 1, 4, 2, 5][self.drawn % 6]]
        self.drawn += 1
        head = {"id": "theirs", "created": 1, "model": body["model"]}
        if body.get("tools"):
            function = {"name": "go", "arguments": text if text.startswith("{") else ""}
            said: dict[str, Any] = {"content": None}
            said["tool_calls"] = [
                {"index": 0, "id": f"c{self.drawn}", "type": "function", "function": function}
            ]
        else:
            said = {"content": text}
        reason = "tool_calls" if "tool_calls" in said else "stop"
        if not body.get("stream"):
            message = {"role": "assistant", **said}
            choice = {"index": 0, "finish_reason": reason, "message": message}
            return Json({**head, "choices": [choice], "usage": USAGE})

        async def chunks() -> AsyncGenerator[Any]:
            yield {**head, "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]}
            yield {**head, "choices": [{"index": 0, "delta": said, "finish_reason": None}]}
            yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
            yield {**head, "choices": [], "usage": USAGE}

        return Stream(chunks())


@pytest.fixture
def policy() -> Iterator[FakeServer]:
    """The policy's own server."""
    with FakeServer(Writer()) as server:
        yield server


@pytest.fixture
def behind(
    service_of: Callable[..., Service], serving: Callable[[Service], House], policy: FakeServer
) -> House:
    """A planner's server before it, which votes on structured answers."""
    return serving(
        service_of(upstream=Upstream(policy.url, "served", "small"), rules=Rules(structured_plan=PLAN))
    )


def post(house: House, **fields: Any) -> Any:
    body = {"model": "planner", "messages": ASKED, "draw_all": True, **fields}
    found = httpx.post(f"{house.v1}/chat/completions", json=body, timeout=60.0)
    assert found.status_code == 200, found.text
    return found.json()


def drawn(policy: FakeServer) -> list[Any]:
    return [one.body for one in policy.asked if one.path == CHAT]


def test_json_is_voted_on_by_its_value(behind: House, policy: FakeServer) -> None:
    found = post(behind, response_format=SCHEMA, seed=5, include=["candidates"])
    receipt = found["planner"]
    text = found["choices"][0]["message"]["content"]
    assert text in RIGHT
    assert json.loads(text) == {"by": "train", "km": 1100}
    assert (receipt["reason"], receipt["plan"], receipt["policy"]) == ("structured", "majority(n=8)", "small")
    assert receipt["answer"] == '{"by":"train","km":1100}'
    assert receipt["outcome"] == "answered"
    bodies = drawn(policy)
    assert len(bodies) == len(receipt["candidates"]) == 8
    assert all(body["response_format"] == SCHEMA for body in bodies)
    assert len({body["seed"] for body in bodies}) == 8
    assert all(body["temperature"] > 0 for body in bodies)
    assert not {"draw_all", "budget", "include", "n"} & bodies[0].keys()
    assert found["usage"]["total_tokens"] == receipt["spend"]["tokens"]
    kept = httpx.get(f"{behind.v1}/decisions/{found['id']}").json()
    assert (kept["reason"], kept["domain"], kept["question"]) == ("structured", "json", ASKED[0]["content"])


def test_a_settled_vote_draws_no_more(behind: House, policy: FakeServer, service_of: Any) -> None:
    """And what is cut off is charged as far as it came."""
    whole = post(behind, response_format=SCHEMA)["planner"]["spend"]["tokens"]
    early = post(behind, response_format=SCHEMA, draw_all=False)["planner"]
    assert early["spend"]["tokens"] <= whole


def test_the_first_call_is_voted_on_by_name_and_arguments(behind: House, policy: FakeServer) -> None:
    found = post(behind, tools=[TOOL], tool_choice="required")
    choice = found["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert call["function"]["name"] == "go"
    assert call["function"]["arguments"] in RIGHT
    assert call["id"].startswith("c")
    assert found["planner"]["answer"] == '{"arguments":{"by":"train","km":1100},"name":"go"}'
    assert all(body["tools"] == [TOOL] and body["tool_choice"] == "required" for body in drawn(policy))


def test_the_three_protocols_vote_plain_and_streaming(behind: House) -> None:
    ours = {"draw_all": True}
    with openai.OpenAI(base_url=behind.v1, api_key="none", max_retries=0) as ask:
        chat: dict[str, Any] = {"model": "planner", "messages": ASKED, "tools": [TOOL], "extra_body": ours}
        with ask.chat.completions.stream(**chat) as stream:
            built = stream.get_final_completion()
        tool: Any = {"type": "function", **TOOL["function"], "strict": False}
        asks: dict[str, Any] = {"model": "planner", "input": ASKED, "tools": [tool], "extra_body": ours}
        response = ask.responses.create(**asks)
        with ask.responses.stream(**asks) as events:
            streamed = events.get_final_response()
    calls = built.choices[0].message.tool_calls or []
    said = [calls[0].function.arguments]
    said += [
        item.arguments for one in (response, streamed) for item in one.output if item.type == "function_call"
    ]
    with anthropic.Anthropic(base_url=behind.url, api_key="none", max_retries=0) as claude:
        own: Any = {"name": "go", "input_schema": {"type": "object"}}
        more: dict[str, Any] = {"model": "planner", "max_tokens": 99, "messages": ASKED, "tools": [own]}
        message = claude.messages.create(**more, extra_body=ours)
        with claude.messages.stream(**more, extra_body=ours) as blocks:
            whole = blocks.get_final_message()
    inputs = [block.input for one in (message, whole) for block in one.content if block.type == "tool_use"]
    assert [json.loads(arguments) for arguments in said] + inputs == [{"by": "train", "km": 1100}] * 5


def test_a_budget_holds_the_samples(behind: House, policy: FakeServer) -> None:
    few = post(behind, response_format=SCHEMA, budget=3)
    assert (few["planner"]["plan"], len(drawn(policy))) == ("majority(n=3)", 3)
    one = post(behind, response_format=SCHEMA, budget=1)
    assert one["planner"]["plan"] == "cot()"
    small = post(behind, response_format=SCHEMA, budget={"tokens": 200}, max_tokens=20)
    assert small["planner"]["spend"]["tokens"] <= 200
    assert all(body["max_tokens"] == 20 for body in drawn(policy)[4:])


def test_a_sample_that_breaks_off_is_drawn_again(behind: House, policy: FakeServer) -> None:
    policy.fail(CHAT, Fault.drop(after=1), Fault.end(after=2))
    found = post(behind, response_format=SCHEMA)
    assert json.loads(found["choices"][0]["message"]["content"]) == {"by": "train", "km": 1100}
    assert len(drawn(policy)) == 10


def test_a_refusal_is_the_clients_own_business(behind: House, policy: FakeServer) -> None:
    said = b'{"error": {"message": "the schema is none", "type": "invalid_request_error"}}'
    policy.fail(CHAT, *(Fault.answer(400, said, "application/json") for _ in range(8)))
    body = {"model": "planner", "messages": ASKED, "response_format": SCHEMA}
    found = httpx.post(f"{behind.v1}/chat/completions", json=body, timeout=60.0)
    assert (found.status_code, found.json()["error"]["code"]) == (400, "policy_refused")
    assert "the schema is none" in found.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tools": [TOOL], "tool_choice": "none"}, "tools"),
        ({"response_format": SCHEMA, "logprobs": True}, "response_format"),
        ({"response_format": SCHEMA, "model": "small"}, "response_format"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        (
            {"response_format": SCHEMA, "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "images",
        ),
    ],
)
def test_what_cannot_be_compared_passes_through(
    behind: House, policy: FakeServer, fields: dict[str, Any], reason: str
) -> None:
    found = post(behind, **fields)
    assert (found["planner"]["reason"], len(drawn(policy))) == (reason, 1)


def test_without_a_plan_for_them_they_pass_through(
    service_of: Callable[..., Service], serving: Callable[[Service], House], policy: FakeServer
) -> None:
    house = serving(service_of(upstream=Upstream(policy.url, "served", "small")))
    found = post(house, response_format=SCHEMA)
    assert (found["planner"]["reason"], len(drawn(policy))) == ("response_format", 1)
