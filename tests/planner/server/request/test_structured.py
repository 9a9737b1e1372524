"""Structured answers are voted on where the operator says so: JSON by value, calls by name and arguments."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import httpx
import openai
import pytest
from houses import House, until

from planner.server.access.admission import Admission
from planner.server.access.in_flight import InFlight, SampleLimit
from planner.server.direct.upstream import Upstream
from planner.server.rules import Rules
from planner.server.service import Service
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


class Gated(Writer):
    """The same, which lets the first ``free`` samples through and holds the others until it is opened."""

    def __init__(self, free: int) -> None:
        super().__init__()
        self.free, self.opened = free, threading.Event()

    async def __call__(self, asked: Asked) -> Json | Stream:
        self.free -= 1
        if self.free < 0:
            while not self.opened.is_set():
                await asyncio.sleep(0.001)
        return await super().__call__(asked)


@pytest.fixture
def flights() -> InFlight:
    return InFlight({"small": SampleLimit(start=64)})


@pytest.fixture
def gated(flights: InFlight, service_of: Any, serving: Any) -> Iterator[Callable[..., tuple[House, Gated]]]:
    """A planner's server before a gated one."""
    gates: list[Gated] = []
    with ExitStack() as stack:

        def make(free: int, **rules: Any) -> tuple[House, Gated]:
            gate = Gated(free)
            gates.append(gate)
            server = stack.enter_context(FakeServer(gate))
            service = service_of(
                upstream=Upstream(server.url, "served", "small"),
                rules=Rules(structured_plan=PLAN, **rules),
                admission=Admission(running=64, flights=flights),
            )
            return serving(service), gate

        yield make
        for gate in gates:
            gate.opened.set()


def test_their_samples_count_as_in_flight(
    gated: Callable[..., tuple[House, Gated]], flights: InFlight
) -> None:
    house, gate = gated(free=0)
    found: list[Any] = []
    asking = threading.Thread(target=lambda: found.append(post(house, response_format=SCHEMA)))
    asking.start()
    until(lambda: flights.load("small") == PLAN.n)
    gate.opened.set()
    asking.join(60.0)
    assert found[0]["planner"]["plan"] == str(PLAN)
    until(lambda: flights.load("small") == 0)


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_takes_no_more_is_asked_less(
    policy: FakeServer, flights: InFlight, service_of: Any, serving: Any, status: int
) -> None:
    house = serving(
        service_of(
            upstream=Upstream(policy.url, "served", "small"),
            rules=Rules(structured_plan=PLAN),
            admission=Admission(running=64, flights=flights),
        )
    )
    policy.fail(CHAT, *(Fault.busy(7, status) for _ in range(100)))
    body = {"model": "planner", "messages": ASKED, "response_format": SCHEMA}
    found = httpx.post(f"{house.v1}/chat/completions", json=body, timeout=60.0)
    assert found.status_code in (429, 502, 503)
    assert (flights.limit("small") or 0) < 64
    assert flights.load("small") == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["chat/completions", "responses", "messages"])
def test_at_a_deadline_those_that_have_come_answer(
    gated: Callable[..., tuple[House, Gated]], flights: InFlight, path: str, stream: bool
) -> None:
    house, _ = gated(free=3)
    body: dict[str, Any] = {
        "model": "planner",
        "draw_all": True,
        "budget": {"seconds": 2.0},
        "stream": stream,
    }
    if path == "responses":
        body |= {"input": ASKED, "text": {"format": {"type": "json_object"}}}
    elif path == "messages":
        output = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
        body |= {"messages": ASKED, "max_tokens": 99, "output_config": output}
    else:
        body |= {"messages": ASKED, "response_format": SCHEMA}
    found = httpx.post(f"{house.v1}/{path}", json=body, timeout=60.0)
    assert found.status_code == 200, found.text
    assert "train" in found.text
    (kept,) = httpx.get(f"{house.v1}/decisions").json()["data"]
    assert (kept["outcome"], kept["reason"]) == ("answered", "structured")
    until(lambda: flights.load("small") == 0)


def test_at_a_deadline_nothing_is_a_refusal(gated: Callable[..., tuple[House, Gated]]) -> None:
    house, _ = gated(free=0)
    body = {"model": "planner", "messages": ASKED, "response_format": SCHEMA, "budget": {"seconds": 1.0}}
    found = httpx.post(f"{house.v1}/chat/completions", json=body, timeout=60.0)
    assert (found.status_code, found.json()["error"]["code"]) == (504, "deadline")


@pytest.mark.parametrize("tokens", [40, 100, 150, 400])
def test_no_budget_of_tokens_is_overrun(behind: House, policy: FakeServer, tokens: int) -> None:
    body = {"model": "planner", "messages": ASKED, "response_format": SCHEMA, "max_tokens": 20}
    found = httpx.post(
        f"{behind.v1}/chat/completions", json={**body, "budget": {"tokens": tokens}}, timeout=60.0
    )
    assert found.status_code in (200, 400), found.text
    kept = httpx.get(f"{behind.v1}/decisions").json()["data"]
    assert all(one["spend"]["tokens"] <= tokens for one in kept)
    assert (found.status_code == 200) == bool(drawn(policy))


def test_an_odd_number_in_a_sample_is_an_error(service_of: Any, serving: Any) -> None:
    async def odd(asked: Asked) -> Json | Stream:
        async def chunks() -> AsyncGenerator[Any]:
            delta = {"content": "1"}
            yield {"choices": [{"index": 0, "delta": delta, "finish_reason": None, "logprob": float("nan")}]}
            yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}

        return Stream(chunks())

    with FakeServer(odd) as server:
        upstream = Upstream(server.url, "served", "small")
        house = serving(service_of(upstream=upstream, rules=Rules(structured_plan=PLAN)))
        body = {"model": "planner", "messages": ASKED, "response_format": SCHEMA}
        found = httpx.post(f"{house.v1}/chat/completions", json=body, timeout=60.0)
        assert (found.status_code, found.json()["error"]["code"]) == (502, "policy_failed")
