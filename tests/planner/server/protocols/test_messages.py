"""The official client of Anthropic's Messages against a server that really runs: plain, streams, tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import pytest
from houses import QUESTION, House
from replay import CALLS, CHAT, MESSAGE, PARIS, ROME, Replay, call
from stuck import Dead

from planner.server.access.keys import Key, Keys
from planner.server.service import Service
from search.remote.fake_server import FakeServer, Fault

ASKED: list[Any] = [{"role": "user", "content": QUESTION}]
SEA: list[Any] = [{"role": "user", "content": "tell me about the sea"}]
TOOL: Any = {
    "name": "get_weather",
    "description": "Of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
MOST = 224
RIGHT, WRONG = "right-" * 4, "wrong-" * 4


def client(house: House, key: str = "none") -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=house.url, api_key=key, max_retries=0)


def receipt_of(message: Any) -> Any:
    return message.model_extra["planner"]


def asked(policy: FakeServer) -> dict[str, Any]:
    """What the policy's own server was asked last."""
    return next(dict(one.body) for one in reversed(policy.asked) if one.path == CHAT)


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_question_is_planned_with_a_true_receipt(house: House) -> None:
    with client(house) as ask:
        found = ask.messages.create(
            model="planner",
            max_tokens=MOST,
            messages=ASKED,
            extra_body={"budget": {"tokens": 900}, "include": ["candidates"], "seed": 3},
        )
    receipt = receipt_of(found)
    assert (found.type, found.role, found.stop_reason, found.stop_sequence) == (
        "message",
        "assistant",
        "end_turn",
        None,
    )
    assert text_of(found) in {one["text"] for one in receipt["candidates"] if one["chosen"]}
    assert receipt["id"] == found.id
    assert found.id.startswith("msg_")
    assert receipt["budget"]["asked"] == {"tokens": 900}
    usage = found.usage
    assert (
        usage.input_tokens + (usage.cache_read_input_tokens or 0) + usage.output_tokens
        == receipt["spend"]["tokens"]
    )
    assert found._request_id
    kept = httpx.get(f"{house.v1}/decisions/{found.id}").json()
    assert (kept["endpoint"], kept["question"]) == ("messages", QUESTION)


def test_a_stream_is_the_whole_answer_in_events(house: House) -> None:
    asks: dict[str, Any] = {
        "model": "planner/majority(n=8)",
        "max_tokens": MOST,
        "messages": ASKED,
        "extra_body": {"seed": 4},
    }
    with client(house) as ask:
        plain = ask.messages.create(**asks)
        events = list(ask.messages.create(**asks, stream=True))
        with ask.messages.stream(**asks) as stream:
            text = "".join(stream.text_stream)
            built = stream.get_final_message()
    kinds = [event.type for event in events]
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert kinds[:2] == ["message_start", "content_block_start"]  # the client drops pings
    assert kinds[2:-3] == ["content_block_delta"] * len(deltas)
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert "".join(deltas) == text == text_of(plain) == text_of(built)
    assert (built.stop_reason, built.usage.output_tokens) == ("end_turn", plain.usage.output_tokens)
    assert built.usage.input_tokens == plain.usage.input_tokens
    told: Any = events[-2]
    assert receipt_of(told)["reason"] == "forced_plan"
    lines = httpx.post(f"{house.v1}/messages", json={**asks, "stream": True}).text.split("\n\n")
    named = [line for line in lines if line.startswith("event: ")]
    assert named[0].startswith("event: message_start\ndata: {")
    assert named[1] == 'event: ping\ndata: {"type":"ping"}'
    assert any(line.startswith(": planner {") for line in lines)


async def test_the_asynchronous_client(house: House) -> None:
    async with anthropic.AsyncAnthropic(base_url=house.url, api_key="none", max_retries=0) as ask:
        asks: dict[str, Any] = {
            "model": "planner",
            "max_tokens": MOST,
            "messages": ASKED,
            "extra_body": {"seed": 3},
        }
        plain = await ask.messages.create(**asks)
        async with ask.messages.stream(**asks) as stream:
            built = await stream.get_final_message()
    assert text_of(plain) == text_of(built)


@pytest.mark.parametrize(
    ("fields", "samples", "source"),
    [
        ({}, 16, "default"),
        ({"thinking": {"type": "adaptive"}}, 16, "default"),
        ({"thinking": {"type": "between_tools"}}, 16, "default"),
        ({"thinking": {"type": "disabled"}}, 1, "effort"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, 4, "effort"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, 16, "effort"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, 64, "effort"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, 4, "effort"),
        ({"output_config": {"effort": "max"}}, 256, "effort"),
        ({"output_config": {"effort": "low"}, "budget": 3}, 3, "body"),
    ],
)
def test_thinking_and_effort_are_budgets(
    house: House, fields: dict[str, Any], samples: int, source: str
) -> None:
    body = {"model": "planner", "max_tokens": MOST, "messages": ASKED, **fields}
    found = httpx.post(f"{house.v1}/messages", json=body)
    assert found.status_code == 200
    budget = found.json()["planner"]["budget"]
    assert (budget["asked"], budget["source"]) == ({"samples": samples}, source)


def test_limits_and_stop_sequences(house: House, behind: House, replay: Replay) -> None:
    with client(house) as ask:
        cut = ask.messages.create(model="small", max_tokens=2, messages=ASKED)
        stopped = ask.messages.create(model="small", max_tokens=MOST, messages=ASKED, stop_sequences=["#"])
    assert (cut.stop_reason, len(text_of(cut))) == ("max_tokens", 2)
    assert "#" not in text_of(stopped)
    replay.more = {"stop_reason": "###"}  # as vLLM tells it
    with client(behind) as ask:
        whole = ask.messages.create(model="planner", max_tokens=9, messages=SEA, stop_sequences=["###"])
        with ask.messages.stream(
            model="planner", max_tokens=9, messages=SEA, stop_sequences=["###"]
        ) as stream:
            built = stream.get_final_message()
    for message in (whole, built):
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "###")


def post(house: House, body: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(f"{house.v1}/messages", json=body, headers=headers)


def user(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"messages": [*ASKED, {"role": "assistant", "content": list(blocks)}]}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"temperature": 1.5}, "temperature"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
    ({"messages": [{"content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "user"}]}, "messages.0.content"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
    (user({"type": "document", "source": {}}), "messages.0.content.0.type"),
    (user({"type": "text"}), "messages.0.content.0.text"),
    (user({"type": "image", "source": {"type": "file"}}), "messages.0.content.0.source.type"),
    (user({"type": "tool_result", "content": "7"}), "messages.0.content.0.tool_use_id"),
    (assistant({"type": "tool_use", "id": "a", "name": "f", "input": "x"}), "messages.1.content.0.input"),
    ({"system": [{"type": "text"}]}, "system.0.text"),
    ({"system": 3}, "system"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0.type"),
    ({"tools": [{"name": "f"}]}, "tools.0.input_schema"),
    ({"tools": [TOOL], "tool_choice": {"type": "sometimes"}}, "tool_choice.type"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"thinking": {"type": "deep"}}, "thinking.type"),
    ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
    ({"budget": {"tokens": 0}}, "budget"),
]


@pytest.mark.parametrize(
    ("fields", "param"), REFUSED, ids=[f"{at} {param}" for at, (_, param) in enumerate(REFUSED)]
)
def test_what_cannot_be_had_is_refused_by_name(behind: House, fields: dict[str, Any], param: str) -> None:
    body = {"model": "planner", "max_tokens": MOST, "messages": ASKED, **fields}
    body = {name: value for name, value in body.items() if value is not None}
    plain, stream = (post(behind, {**body, "stream": each}) for each in (False, True))
    said = plain.json()
    assert (plain.status_code, said["type"], said["error"]["type"]) == (400, "error", "invalid_request_error")
    assert said["error"]["param"] == param
    assert said["request_id"] == plain.headers["request-id"] == plain.headers["x-request-id"]
    assert (stream.status_code, stream.json()["error"]) == (400, said["error"])


def test_errors_are_those_of_the_official_client(
    service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> None:
    keyed = serving(service_of(keys=Keys([Key.of("one", RIGHT)])))
    with client(keyed, RIGHT) as ask:
        assert text_of(
            ask.messages.create(model="planner", max_tokens=MOST, messages=ASKED, stop_sequences=[])
        )
        with pytest.raises(anthropic.NotFoundError, match="model must be one of") as unknown:
            ask.messages.create(model="claude-of-nobody", max_tokens=MOST, messages=ASKED)
        assert unknown.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]
        assert ask.models.list().data[0].id
    with client(keyed, WRONG) as ask, pytest.raises(anthropic.AuthenticationError) as wrong:
        ask.messages.create(model="planner", max_tokens=MOST, messages=ASKED)
    assert wrong.value.body["error"]["type"] == "authentication_error"  # type: ignore[index]
    body = {"model": "planner", "max_tokens": MOST, "messages": ASKED}
    for headers, status in (
        ({"x-api-key": RIGHT}, 200),
        ({"authorization": f"Bearer {RIGHT}"}, 200),
        ({"x-api-key": WRONG}, 401),
        ({}, 401),
    ):
        assert post(keyed, body, **headers).status_code == status
    sizes = (("small", 10**6), ("large", 4 * 10**6))
    dead = serving(service_of({name: Dead(name, size) for name, size in sizes}))
    for stream in (False, True):
        with client(dead) as ask, pytest.raises(anthropic.InternalServerError) as failed:
            ask.messages.create(model="planner/majority(n=4)", max_tokens=MOST, messages=ASKED, stream=stream)
        assert (failed.value.status_code, failed.value.body["error"]["type"]) == (502, "api_error")  # type: ignore[index]


def test_versions_methods_and_paths(house: House) -> None:
    body = {"model": "planner", "max_tokens": MOST, "messages": ASKED}
    for version in ("2023-06-01", "2026-10-21"):
        assert post(house, body, **{"anthropic-version": version}).status_code == 200
    old = post(house, body, **{"anthropic-version": "2023-01-01"})
    assert (old.status_code, old.json()["error"]["param"]) == (400, "anthropic-version")
    got = httpx.get(f"{house.v1}/messages")
    assert (got.status_code, got.json()["type"]) == (405, "error")
    lost = httpx.post(f"{house.v1}/messages/batches", json={})
    assert (lost.status_code, lost.json()["error"]["type"]) == (404, "not_found_error")
    foreign = post(house, body, host="rebound.example")
    assert (foreign.status_code, foreign.json()["type"]) == (421, "error")
    page = post(house, body, origin="https://evil.example")
    assert (page.status_code, page.json()["error"]["type"]) == (403, "permission_error")
    broken = httpx.post(f"{house.v1}/messages", content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["type"]) == (400, "error")


def test_open_questions_pass_through_and_come_back_as_messages(behind: House, policy: FakeServer) -> None:
    system: list[Any] = [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]
    with client(behind) as ask:
        found = ask.messages.create(
            model="planner",
            max_tokens=40,
            system=system,
            messages=SEA,
            stop_sequences=["END"],
            thinking={"type": "enabled", "budget_tokens": 5000},
            metadata={"user_id": "7"},
            extra_body={"temperature": 0.5, "top_k": 5},
        )
        body = asked(policy)
        with ask.messages.stream(
            model="planner", max_tokens=40, messages=SEA, thinking={"type": "disabled"}
        ) as stream:
            built = stream.get_final_message()
    assert body["messages"] == [{"role": "system", "content": "Be brief.\nBe kind."}, *SEA]
    assert (body["model"], body["temperature"], body["top_k"], body["max_tokens"]) == ("served", 0.5, 5, 40)
    assert (body["stop"], body["reasoning_effort"]) == (["END"], "high")
    assert not {"system", "thinking", "metadata", "stop_sequences", "budget"} & body.keys()
    assert "reasoning_effort" not in asked(policy)
    for message in (found, built):
        assert text_of(message) == "It is wide."
        assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (6, 64)
        assert message.usage.output_tokens == 12
    assert receipt_of(found)["reason"] == "open_ended"


@pytest.mark.parametrize(
    "fault",
    [Fault.drop(after=2), Fault.end(after=2), Fault.garbage(2, b'data: {"error": {"message": "oom"}}\n\n')],
)
def test_a_stream_that_breaks_off_fails_and_looks_whole_to_nobody(
    behind: House, policy: FakeServer, fault: Fault
) -> None:
    policy.fail(CHAT, fault)
    with client(behind) as ask:
        stream = iter(ask.messages.create(model="planner", max_tokens=9, messages=SEA, stream=True))
        events = [next(stream).type for _ in range(3)]
        with pytest.raises(anthropic.APIStatusError, match="server must answer"):
            list(stream)
    assert events[0] == "message_start"
    assert not {"content_block_stop", "message_delta", "message_stop"} & set(events)


def test_a_stream_that_fails_before_it_began_has_a_status(behind: House, policy: FakeServer) -> None:
    policy.fail(CHAT, Fault.drop(after=1))
    with client(behind) as ask, pytest.raises(anthropic.InternalServerError) as failed:
        ask.messages.create(model="planner", max_tokens=9, messages=SEA, stream=True)
    assert failed.value.status_code == 502


def calls_of(message: Any) -> list[Any]:
    return [(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"]


@pytest.mark.parametrize("name", CALLS)
def test_calls_pass_through_exactly(behind: House, policy: FakeServer, replay: Replay, name: str) -> None:
    replay.message, replay.deltas, replay.reason = MESSAGE, CALLS[name], "tool_calls"
    asks: dict[str, Any] = {
        "model": "planner",
        "max_tokens": MOST,
        "messages": [{"role": "user", "content": "What is the weather?"}],
        "tools": [TOOL],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    }
    with client(behind) as ask:
        plain = ask.messages.create(**asks)
        body = asked(policy)
        with ask.messages.stream(**asks) as stream:
            events = list(stream)
            built = stream.get_final_message()
    function = {"name": TOOL["name"], "description": TOOL["description"], "parameters": TOOL["input_schema"]}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    for message in (plain, built):
        assert calls_of(message) == [
            ("call-a", "get_weather", json.loads(PARIS)),
            ("call-b", "get_weather", json.loads(ROME)),
        ]
        assert text_of(message) == "Let me look."
        assert message.stop_reason == "tool_use"
    assert receipt_of(plain)["reason"] == "tools"
    pieces: dict[int, str] = {}
    for event in events:
        if event.type == "content_block_delta" and event.delta.type == "input_json_delta":
            pieces[event.index] = pieces.get(event.index, "") + event.delta.partial_json
    assert pieces == {1: PARIS, 2: ROME}
    order = [e.type for e in events if e.type in ("content_block_start", "content_block_stop")]
    assert order == ["content_block_start", "content_block_stop"] * 3


def test_a_conversation_with_tools_goes_on(behind: House, policy: FakeServer, replay: Replay) -> None:
    replay.message, replay.reason = MESSAGE, "tool_calls"
    asks: dict[str, Any] = {"model": "planner", "max_tokens": MOST, "tools": [TOOL]}
    question = {"role": "user", "content": "What is the weather?"}
    with client(behind) as ask:
        first = ask.messages.create(**asks, messages=[question])
        replay.message, replay.reason = {"role": "assistant", "content": "Fine."}, "stop"
        talk: list[Any] = [
            question,
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "hm", "signature": ""}, *first.content],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call-a", "content": "21 C"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "call-b",
                        "content": [{"type": "text", "text": "19 C"}],
                        "is_error": False,
                    },
                    {"type": "text", "text": "Which is warmer?", "cache_control": {"type": "ephemeral"}},
                ],
            },
        ]
        second = ask.messages.create(
            **asks, messages=talk, tool_choice={"type": "tool", "name": "get_weather"}
        )
    assert text_of(second) == "Fine."
    body = asked(policy)
    assert body["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    assert body["messages"] == [
        question,
        MESSAGE,
        {"role": "tool", "tool_call_id": "call-a", "content": "21 C"},
        {"role": "tool", "tool_call_id": "call-b", "content": "19 C"},
        {"role": "user", "content": "Which is warmer?"},
    ]


def test_broken_arguments_are_an_error_and_cut_ones_are_marked(behind: House, replay: Replay) -> None:
    broken = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"city": "Par'}}
    replay.message = {"role": "assistant", "content": None, "tool_calls": [broken]}
    replay.deltas, replay.reason = [call(0, "a", "f", '{"city": "Par'), {}], "tool_calls"
    asks: dict[str, Any] = {"model": "planner", "max_tokens": 9, "messages": SEA, "tools": [TOOL]}
    with client(behind) as ask:
        with pytest.raises(anthropic.InternalServerError, match="no JSON object"):
            ask.messages.create(**asks)
        with pytest.raises(anthropic.APIStatusError, match="no JSON object"):
            list(ask.messages.create(**asks, stream=True))
        replay.reason = "length"
        cut = ask.messages.create(**asks)
        with ask.messages.stream(**asks) as stream:
            built = stream.get_final_message()
    for message in (cut, built):
        assert message.stop_reason == "max_tokens"
        assert [block.type for block in message.content] == ["tool_use"]


def test_images_schemas_and_thoughts(behind: House, policy: FakeServer, replay: Replay) -> None:
    replay.message = {"role": "assistant", "content": '{"sum": 2}', "reasoning_content": "1 and 1"}
    replay.deltas = [{"reasoning_content": "1 and 1"}, {"content": '{"sum": 2}'}]
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}}
    asks: dict[str, Any] = {
        "model": "planner",
        "max_tokens": MOST,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "AA=="},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://host.example/x.png"}},
                ],
            }
        ],
        "extra_body": {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
    }
    with client(behind) as ask:
        plain = ask.messages.create(**asks)
        with ask.messages.stream(**asks) as stream:
            built = stream.get_final_message()
    body = asked(policy)
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "image_url", "image_url": {"url": "https://host.example/x.png"}},
    ]
    assert body["response_format"]["json_schema"]["schema"] == schema
    for message in (plain, built):
        thought: Any = message.content[0]
        assert (thought.type, thought.thinking) == ("thinking", "1 and 1")
        assert json.loads(text_of(message)) == {"sum": 2}


def test_tokens_are_counted_without_spending_any(house: House, behind: House, policy: FakeServer) -> None:
    with client(house) as ask:
        found = ask.messages.count_tokens(model="planner", messages=ASKED)
        longer = ask.messages.count_tokens(model="small", system="Be brief.", messages=ASKED)
        chat = ask.messages.create(model="small", max_tokens=9, messages=ASKED)
        with pytest.raises(anthropic.NotFoundError):
            ask.messages.count_tokens(model="claude-of-nobody", messages=ASKED)
        with pytest.raises(anthropic.BadRequestError):
            ask.messages.count_tokens(model="planner", messages=[])
    assert found.input_tokens == chat.usage.input_tokens + (chat.usage.cache_read_input_tokens or 0)
    assert longer.input_tokens > found.input_tokens
    with client(behind) as ask:
        tools = ask.messages.count_tokens(model="planner", messages=SEA, tools=[TOOL])
    assert tools.input_tokens > 10
    assert not policy.asked
