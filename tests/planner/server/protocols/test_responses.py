"""The official client of OpenAI's Responses against a server that really runs: plain, streams, tools."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from houses import QUESTION, House
from replay import CALLS, CHAT, MESSAGE, PARIS, ROME, Replay
from stuck import Dead

from search.remote.fake_server import FakeServer, Fault

SEA = "tell me about the sea"
TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


def client(house: House) -> openai.OpenAI:
    return openai.OpenAI(base_url=house.v1, api_key="none", max_retries=0)


def receipt_of(response: Any) -> Any:
    return response.model_extra["planner"]


def asked(policy: FakeServer) -> dict[str, Any]:
    """What the policy's own server was asked last."""
    return next(dict(one.body) for one in reversed(policy.asked) if one.path == CHAT)


def test_a_question_is_planned_with_a_true_receipt(house: House) -> None:
    with client(house) as ask:
        found = ask.responses.create(
            model="planner",
            input=QUESTION,
            extra_body={"budget": {"tokens": 900}, "include": ["candidates"], "seed": 3},
        )
    receipt = receipt_of(found)
    assert (found.object, found.status, found.error, found.incomplete_details) == (
        "response",
        "completed",
        None,
        None,
    )
    assert found.output_text in {one["text"] for one in receipt["candidates"] if one["chosen"]}
    assert receipt["id"] == found.id
    assert found.id.startswith("resp_")
    assert receipt["budget"]["asked"] == {"tokens": 900}
    assert found.usage is not None
    assert found.usage.total_tokens == receipt["spend"]["tokens"] <= 900
    assert found.usage.input_tokens + found.usage.output_tokens == found.usage.total_tokens
    assert found.store is False  # type: ignore[attr-defined]
    with client(house) as ask:
        chat: Any = ask.chat.completions.create(
            model="planner",
            messages=[{"role": "user", "content": QUESTION}],
            seed=3,
            extra_body={"budget": {"tokens": 900}},
        )
    assert chat.choices[0].message.content == found.output_text
    kept = httpx.get(f"{house.v1}/decisions/{found.id}").json()
    assert (kept["endpoint"], kept["question"]) == ("responses", QUESTION)
    said = httpx.post(f"{house.v1}/feedback", json={"id": found.id, "correct": True})
    assert said.status_code == 200


def test_a_stream_is_the_whole_answer_in_events(house: House) -> None:
    asks: dict[str, Any] = {"model": "planner/majority(n=8)", "input": QUESTION, "extra_body": {"seed": 4}}
    with client(house) as ask:
        plain = ask.responses.create(**asks)
        events = list(ask.responses.create(**asks, stream=True))
        with ask.responses.stream(**asks) as stream:
            built = stream.get_final_response()
    kinds = [event.type for event in events]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[4:-4] == ["response.output_text.delta"] * len(deltas)
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    last: Any = events[-1]
    assert "".join(deltas) == plain.output_text == last.response.output_text == built.output_text
    assert last.response.usage == plain.usage
    receipt = receipt_of(last.response)
    assert (receipt["reason"], receipt["id"]) == ("forced_plan", last.response.id)
    assert len({event.response.id for event in events if hasattr(event, "response")}) == 1
    lines = httpx.post(f"{house.v1}/responses", json={**asks, "stream": True}).text
    assert ": planner {" in lines
    assert "[DONE]" not in lines


def test_items_instructions_and_efforts_are_read(house: House) -> None:
    items: list[Any] = [
        {"role": "developer", "content": "Be brief."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hi.", "annotations": []}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"role": "user", "content": QUESTION},
    ]
    with client(house) as ask:
        low, most = (
            ask.responses.create(
                model="planner", instructions="Add.", input=items, reasoning={"effort": effort}, store=True
            )
            for effort in ("low", "max")
        )
        header = ask.responses.create(
            model="planner", input=items, reasoning={"effort": "low"}, extra_headers={"x-planner-budget": "2"}
        )
    assert receipt_of(low)["budget"]["asked"] == {"samples": 4}
    assert receipt_of(low)["budget"]["source"] == "effort"
    assert receipt_of(most)["budget"]["asked"] == {"samples": 256}
    assert receipt_of(header)["budget"]["asked"] == {"samples": 2}
    assert low.instructions == "Add."
    assert low.reasoning is not None
    assert low.reasoning.effort == "low"


def test_an_answer_that_reaches_its_limit_is_incomplete(house: House) -> None:
    with client(house) as ask:
        found = ask.responses.create(model="small", input=QUESTION, max_output_tokens=2)
        events = list(ask.responses.create(model="small", input=QUESTION, max_output_tokens=2, stream=True))
    last: Any = events[-1]
    for response in (found, last.response):
        assert response.status == "incomplete"
        assert response.incomplete_details.reason == "max_output_tokens"
        assert response.output[0].status == "incomplete"
        assert len(response.output_text) == 2
    assert last.type == "response.incomplete"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"prompt": {"id": "p"}}, "prompt"),
    ({"background": True}, "background"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"input": []}, "input"),
    ({"input": 3}, "input"),
    ({"input": ["text"]}, "input.0"),
    ({"input": [{"role": "tool", "content": "7"}]}, "input.0.role"),
    ({"input": [{"role": "user", "content": [{"type": "video"}]}]}, "input.0.content.0.type"),
    ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input.0.content.0.text"),
    ({"input": [{"role": "user", "content": 3}]}, "input.0.content"),
    ({"input": [{"role": "user"}]}, "input.0.content"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.0.type"),
    ({"input": [{"type": "function_call", "call_id": "a", "name": "f"}]}, "input.0.arguments"),
    ({"input": [{"type": "function_call_output", "output": "7"}]}, "input.0.call_id"),
    ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
    ({"tools": [{"type": "function"}]}, "tools.0.name"),
    ({"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": {"type": "mcp"}}, "tool_choice.type"),
    ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
    ({"reasoning": {"effort": "much"}}, "reasoning.effort"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"include": ["cadidates"]}, "include.0"),
    ({"budget": {"tokens": 0}}, "budget"),
]


@pytest.mark.parametrize(("fields", "param"), REFUSED, ids=[param for _, param in REFUSED])
def test_what_cannot_be_had_is_refused_by_name(behind: House, fields: dict[str, Any], param: str) -> None:
    body = {"model": "planner", "input": QUESTION, **fields}
    plain, stream = (
        httpx.post(f"{behind.v1}/responses", json={**body, "stream": each}) for each in (False, True)
    )
    assert (plain.status_code, plain.json()["error"]["type"]) == (400, "invalid_request_error")
    assert plain.json()["error"]["param"] == param
    assert (stream.status_code, stream.json()) == (plain.status_code, plain.json())
    assert stream.headers["content-type"] == "application/json"
    assert plain.headers["x-request-id"]


def test_errors_are_those_of_the_official_client(house: House, service_of: Any, serving: Any) -> None:
    with client(house) as ask:
        with pytest.raises(openai.NotFoundError, match="model must be one of"):
            ask.responses.create(model="gpt-4", input=QUESTION)
        with pytest.raises(openai.BadRequestError, match="tools needs a policy behind its own server"):
            ask.responses.create(model="planner", input=QUESTION, tools=[TOOL], stream=True)
        with pytest.raises(openai.NotFoundError):
            ask.responses.retrieve("resp_1")
    dead = serving(
        service_of({name: Dead(name, size) for name, size in (("small", 10**6), ("large", 4 * 10**6))})
    )
    for stream in (False, True):
        with client(dead) as ask, pytest.raises(openai.InternalServerError) as failed:
            ask.responses.create(model="planner/majority(n=4)", input=QUESTION, stream=stream)
        assert failed.value.status_code == 502


def test_open_questions_pass_through_and_come_back_as_responses(behind: House, policy: FakeServer) -> None:
    with client(behind) as ask:
        found = ask.responses.create(
            model="planner",
            instructions="Be brief.",
            input=SEA,
            temperature=0.5,
            max_output_tokens=40,
            metadata={"trace": "7"},
            reasoning={"effort": "high"},
        )
        body = asked(policy)
        events = list(ask.responses.create(model="planner", input=SEA, stream=True))
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": SEA}]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("served", 0.5, 40)
    assert body["reasoning_effort"] == "high"
    assert not {"input", "instructions", "metadata", "budget", "store"} & body.keys()
    assert found.output_text == "It is wide."
    assert found.metadata == {"trace": "7"}
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens) == (70, 12)
    assert found.usage.input_tokens_details.cached_tokens == 64
    receipt = receipt_of(found)
    assert (receipt["reason"], receipt["spend"]["tokens"]) == ("open_ended", 82)
    last: Any = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == "It is wide."
    assert last.response.usage == found.usage
    assert receipt_of(last.response)["spend"]["tokens"] == 82


@pytest.mark.parametrize(
    "fault",
    [Fault.drop(after=2), Fault.end(after=2), Fault.garbage(2, b'data: {"error": {"message": "oom"}}\n\n')],
)
def test_a_stream_that_breaks_off_fails_and_looks_whole_to_nobody(
    behind: House, policy: FakeServer, fault: Fault
) -> None:
    policy.fail(CHAT, fault)
    with client(behind) as ask:
        events = list(ask.responses.create(model="planner", input=SEA, stream=True))
    last: Any = events[-1]
    kinds = {event.type for event in events}
    assert last.type == "response.failed"
    assert (last.response.status, last.response.error.code) == ("failed", "server_error")
    assert "the policy's server must answer" in last.response.error.message
    assert last.response.output[0].status == "incomplete"
    assert not kinds & {"response.completed", "response.incomplete", "response.output_text.done"}
    policy.fail(CHAT, fault)
    with (
        client(behind) as ask,
        ask.responses.stream(model="planner", input=SEA) as stream,
        pytest.raises(RuntimeError, match=r"response\.completed"),
    ):
        stream.get_final_response()


def test_a_stream_that_fails_before_it_began_has_a_status(behind: House, policy: FakeServer) -> None:
    policy.fail(CHAT, Fault.drop(after=1))
    with client(behind) as ask, pytest.raises(openai.InternalServerError) as failed:
        ask.responses.create(model="planner", input=SEA, stream=True)
    assert failed.value.status_code == 502


def calls_of(response: Any) -> list[Any]:
    return [
        (item.call_id, item.name, item.arguments) for item in response.output if item.type == "function_call"
    ]


@pytest.mark.parametrize("name", CALLS)
def test_calls_pass_through_exactly(behind: House, policy: FakeServer, replay: Replay, name: str) -> None:
    replay.message, replay.deltas, replay.reason = MESSAGE, CALLS[name], "tool_calls"
    asks: dict[str, Any] = {
        "model": "planner",
        "input": "What is the weather?",
        "tools": [TOOL],
        "tool_choice": "required",
        "parallel_tool_calls": True,
    }
    with client(behind) as ask:
        plain = ask.responses.create(**asks)
        body = asked(policy)
        with ask.responses.stream(**asks) as stream:
            events = list(stream)
            built = stream.get_final_response()
    function = {key: value for key, value in TOOL.items() if key != "type"}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", True)
    for response in (plain, built):
        assert calls_of(response) == [("call-a", "get_weather", PARIS), ("call-b", "get_weather", ROME)]
        assert response.output_text == "Let me look."
        assert response.status == "completed"
        assert receipt_of(response)["reason"] == "tools"
    deltas: dict[int, str] = {}
    for event in events:
        if event.type == "response.function_call_arguments.delta":
            deltas[event.output_index] = deltas.get(event.output_index, "") + event.delta
    assert deltas == {1: PARIS, 2: ROME}
    done = [e.arguments for e in events if e.type == "response.function_call_arguments.done"]
    assert done == [PARIS, ROME]


def test_a_conversation_with_tools_goes_on(behind: House, policy: FakeServer, replay: Replay) -> None:
    replay.message, replay.reason = MESSAGE, "tool_calls"
    with client(behind) as ask:
        first = ask.responses.create(model="planner", input="What is the weather?", tools=[TOOL])
        replay.message, replay.reason = {"role": "assistant", "content": "Fine."}, "stop"
        talk: list[Any] = [
            {"role": "user", "content": "What is the weather?"},
            *(item.model_dump(exclude_none=True) for item in first.output),
            {"type": "function_call_output", "call_id": "call-a", "output": "21 C"},
            {
                "type": "function_call_output",
                "call_id": "call-b",
                "output": [{"type": "input_text", "text": "19 C"}],
            },
        ]
        second = ask.responses.create(
            model="planner", input=talk, tools=[TOOL], tool_choice={"type": "function", "name": "get_weather"}
        )
    assert second.output_text == "Fine."
    body = asked(policy)
    assert body["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    assert body["messages"] == [
        {"role": "user", "content": "What is the weather?"},
        MESSAGE,
        {"role": "tool", "tool_call_id": "call-a", "content": "21 C"},
        {"role": "tool", "tool_call_id": "call-b", "content": "19 C"},
    ]


def test_images_files_and_schemas_are_for_the_policy(
    behind: House, policy: FakeServer, replay: Replay
) -> None:
    replay.message = {"role": "assistant", "content": '{"sum": 2}'}
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}}
    parts: list[Any] = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
    ]
    with client(behind) as ask:
        found = ask.responses.create(
            model="planner",
            input=[{"role": "user", "content": parts}],
            text={"format": {"type": "json_schema", "name": "sum", "schema": schema, "strict": True}},
        )
    body = asked(policy)
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
    ]
    shape = {"name": "sum", "schema": schema, "strict": True}
    assert body["response_format"] == {"type": "json_schema", "json_schema": shape}
    assert json.loads(found.output_text) == {"sum": 2}


def test_thoughts_are_items_of_their_own(behind: House, replay: Replay) -> None:
    replay.message = {"role": "assistant", "content": "7", "reasoning_content": "3 and 4"}
    replay.deltas = [{"reasoning_content": "3 "}, {"reasoning_content": "and 4"}, {"content": "7"}]
    with client(behind) as ask:
        plain = ask.responses.create(model="planner", input=SEA)
        with ask.responses.stream(model="planner", input=SEA) as stream:
            built = stream.get_final_response()
    for response in (plain, built):
        thought: Any = response.output[0]
        assert (thought.type, thought.content[0].text) == ("reasoning", "3 and 4")
        assert response.output_text == "7"


@pytest.mark.parametrize(
    "message", ["text", {"content": 3}, {"tool_calls": [3]}, {"tool_calls": [{"function": {}}]}]
)
def test_a_message_that_is_none_is_the_policys_fault(behind: House, replay: Replay, message: Any) -> None:
    replay.message = message
    found = httpx.post(f"{behind.v1}/responses", json={"model": "planner", "input": SEA})
    assert (found.status_code, found.json()["error"]["code"]) == (502, "policy_failed")


def test_half_a_character_is_no_reason_to_fail(behind: House, replay: Replay) -> None:
    replay.message = {"role": "assistant", "content": "\ud83d"}
    for path, body in (
        ("responses", {"input": SEA}),
        ("chat/completions", {"messages": [{"role": "user", "content": SEA}]}),
    ):
        found = httpx.post(f"{behind.v1}/{path}", json={"model": "planner", **body})
        assert found.status_code == 200
        assert "\\ud83d" in found.text


def test_a_foreign_host_and_a_foreign_page_are_turned_away(house: House) -> None:
    body = {"model": "planner", "input": QUESTION}
    foreign = httpx.post(f"{house.v1}/responses", json=body, headers={"host": "rebound.example"})
    page = httpx.post(f"{house.v1}/responses", json=body, headers={"origin": "https://evil.example"})
    typed = httpx.post(
        f"{house.v1}/responses", content=json.dumps(body), headers={"content-type": "text/plain"}
    )
    assert [foreign.status_code, page.status_code, typed.status_code] == [421, 403, 400]
