"""Why an answer ended is told as it was, in every protocol: planned answers too, whole and as a stream."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import httpx
import pytest
from houses import QUESTION, House, writes
from replay import Replay, call

from planner.planner import Planner
from planner.server.direct.upstream import Upstream
from planner.server.rules import Rules
from planner.server.service import Service
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.protocol import ChildFinished, Event, FinishReason, Request
from search.engines.scripted import ScriptedEngine
from search.plan import Plan
from search.remote.fake_server import FakeServer

#: why the policy ended -> (chat completions, Responses: status and reason, Messages)
REASONS = {
    FinishReason.END: ("stop", ("completed", None), "end_turn"),
    FinishReason.LENGTH: ("length", ("incomplete", "max_output_tokens"), "max_tokens"),
    FinishReason.FILTERED: ("content_filter", ("incomplete", "content_filter"), "refusal"),
}
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
SEA = "tell me about the sea"


class Ending(ScriptedEngine):
    """Every solution ends for ``reason``, but those with ``spared`` in them."""

    def __init__(self, reason: str, spared: str, name: str) -> None:
        super().__init__(writes, name=name, context=4096)
        self._ends_for, self._keeps = reason, spared

    def submit(self, request: Request) -> AsyncIterator[Event]:
        return self._ended(super().submit(request))

    async def _ended(self, events: AsyncIterator[Event]) -> AsyncGenerator[Event]:
        async for event in events:
            if isinstance(event, ChildFinished) and not (self._keeps and self._keeps in event.text):
                event = replace(event, finish_reason=self._ends_for)
            yield event


@pytest.fixture
def ending(
    planner: Planner, service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> Iterator[Callable[..., House]]:
    """A server before a policy's server whose answers end for a reason."""
    name = planner.stages[0].probe.policy
    running: list[FakeServer] = []

    def start(reason: str, spared: str = "") -> House:
        server = FakeServer(FakeOpenAI(Ending(reason, spared, name)))
        running.append(server)
        server.start()
        engine = OpenAIEngine.connect(server.url, parameters=planner.policies[name].parameters)
        engine.prompt(QUESTION)
        return serving(service_of({name: engine}))

    yield start
    for server in running:
        server.stop()


def posted(house: House, path: str, **body: Any) -> list[Any]:
    """The body of a response, or the data of its stream's events."""
    found = httpx.post(f"{house.v1}/{path}", json=body, timeout=60.0)
    assert found.status_code == 200, found.text
    if not body.get("stream"):
        return [found.json()]
    lines = [line.removeprefix("data: ") for line in found.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def told(house: House, question: str, **fields: Any) -> tuple[Any, Any, Any]:
    """Why an answer ended, by chat completions, Responses and Messages."""
    messages = [{"role": "user", "content": question}]
    chats = posted(house, "chat/completions", messages=messages, **fields)
    chat = [choice["finish_reason"] for one in chats for choice in one["choices"] if choice["finish_reason"]]
    responses = posted(house, "responses", input=question, **fields)[-1]
    response = responses.get("response", responses)
    details = response["incomplete_details"]
    events = posted(house, "messages", messages=messages, max_tokens=99, **fields)
    stops = [one.get("delta", one).get("stop_reason") for one in events]
    (reason,), (stop,) = chat, [one for one in stops if one]
    return reason, (response["status"], None if details is None else details["reason"]), stop


@STREAM
@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("model", ["planner", "planner/cot()", "planner/majority(n=3)"])
def test_a_planned_answer_says_why_it_ended(
    ending: Callable[..., House], reason: str, model: str, stream: bool
) -> None:
    found = told(ending(reason), QUESTION, model=model, stream=stream, budget={"samples": 4})
    assert found == REASONS[reason]


@STREAM
def test_the_reason_is_that_of_the_answer_that_was_chosen(ending: Callable[..., House], stream: bool) -> None:
    """Others were filtered, and are not drawn again: a filter lets no more of them out either."""
    house = ending(FinishReason.FILTERED, spared="# 51")
    fields = {"model": "planner/majority(n=8)", "seed": 1, "include": ["candidates"], "draw_all": True}
    assert told(house, QUESTION, stream=stream, **fields) == REASONS[FinishReason.END]
    messages = [{"role": "user", "content": QUESTION}]
    (body,) = posted(house, "chat/completions", messages=messages, **fields)
    reasons = [one["finish_reason"] for one in body["planner"]["candidates"]]
    assert len(reasons) == 8
    assert set(reasons) == {"end", "filtered"}


@STREAM
def test_a_search_that_ends_at_the_limit_of_steps_says_so(
    service_of: Callable[..., Service], serving: Callable[[Service], House], planner: Planner, stream: bool
) -> None:
    def on(text: str, rng: Random) -> str:
        return "3 + 41 = 44\n" * 200

    name = planner.stages[0].probe.policy
    house = serving(service_of({name: ScriptedEngine(on, name=name, context=2**16)}))
    model = "planner/beam_search(n=2, width=2, score=last)"
    assert told(house, QUESTION, model=model, policy=name, stream=stream) == REASONS[FinishReason.LENGTH]


#: what a policy's server calls it -> what clients are told; chat completions pass its own word on
THEIRS = {"content_filter": FinishReason.FILTERED, "refusal": FinishReason.FILTERED}
THEIRS |= dict.fromkeys(("length", "max_tokens", "model_length"), FinishReason.LENGTH)


@STREAM
@pytest.mark.parametrize("word", THEIRS)
def test_what_is_passed_on_says_why_it_ended(behind: House, replay: Replay, word: str, stream: bool) -> None:
    replay.reason = word
    assert told(behind, SEA, model="planner", stream=stream) == (word, *REASONS[THEIRS[word]][1:])


@STREAM
def test_a_call_that_a_filter_cut_off_is_no_error(behind: House, replay: Replay, stream: bool) -> None:
    replay.deltas, replay.reason = [call(0, "a", "f", '{"city": "Pa'), {}], "content_filter"
    replay.message = {"role": "assistant", "content": None, **call(None, "a", "f", '{"city": "Pa')}
    tools = [{"name": "f", "input_schema": {}}]
    messages = [{"role": "user", "content": SEA}]
    fields = {"model": "planner", "messages": messages, "max_tokens": 99, "tools": tools}
    found = posted(behind, "messages", stream=stream, **fields)
    assert "refusal" in [one.get("delta", one).get("stop_reason") for one in found]


@STREAM
@pytest.mark.parametrize("word", ["content_filter", "length"])
def test_a_structured_answer_says_why_it_ended(
    service_of: Callable[..., Service], serving: Callable[[Service], House], word: str, stream: bool
) -> None:
    replay = Replay()
    replay.deltas, replay.reason = [{"content": '{"a": 1}'}, {}], word
    with FakeServer(replay) as policy:
        upstream = Upstream(policy.url, "served", "small")
        house = serving(service_of(upstream=upstream, rules=Rules(structured_plan=Plan.of("majority", n=3))))
        messages = [{"role": "user", "content": SEA}]
        fields = {"model": "planner", "messages": messages, "response_format": {"type": "json_object"}}
        found = posted(house, "chat/completions", stream=stream, **fields)
    assert found[-1]["planner"]["reason"] == "structured"
    assert [one["choices"][0]["finish_reason"] for one in found][-1] == word
