"""The official clients of three protocols against every kind of upstream: one contract for all."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import openai
import pytest
from talk import PROTOCOLS, TOOL, Reply, Talk
from upstreams import Before, Upstream

SUM = "What is (13+64)+80?"
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@pytest.fixture(params=PROTOCOLS, ids=lambda talk: talk.name)
def talk(request: pytest.FixtureRequest) -> Talk:
    """Each protocol's official client."""
    found: Talk = request.param
    return found


def check(reply: Reply, *, stream: bool) -> None:
    """What every reply keeps."""
    assert reply.tokens == reply.receipt["spend"]["tokens"] > 0
    assert reply.ended in ("stop", "length", "calls")
    assert (reply.streamed is not None) == stream
    if reply.streamed is not None:  # the deltas are the whole
        text, arguments = reply.streamed
        assert text == reply.text
        assert len(arguments) == len(reply.calls)


@WAYS
def test_a_question_is_planned(before: Before, upstream: Upstream, talk: Talk, stream: bool) -> None:
    more = {"budget": {"samples": 3}, "domain": upstream.domain}
    reply = talk.ask(before.v1, [SUM], model="planner", stream=stream, extra_body=more)
    check(reply, stream=stream)
    assert reply.text
    assert reply.receipt["reason"] is None
    assert reply.receipt["plan"].startswith("adaptive_vote")
    assert reply.receipt["outcome"] in ("answered", "unreadable")


@WAYS
def test_a_forced_plan_runs(before: Before, talk: Talk, stream: bool) -> None:
    reply = talk.ask(before.v1, [SUM], model="planner/majority(n=3)", stream=stream, most=100)
    check(reply, stream=stream)
    assert reply.text
    assert (reply.receipt["reason"], reply.receipt["plan"]) == ("forced_plan", "majority(n=3)")


@WAYS
def test_the_policy_answers_by_its_name(before: Before, upstream: Upstream, talk: Talk, stream: bool) -> None:
    reply = talk.ask(before.v1, [SUM], model=upstream.policy, stream=stream, most=100)
    check(reply, stream=stream)
    assert reply.text
    assert (reply.receipt["policy"], reply.receipt["plan"]) == (upstream.policy, "cot()")


@WAYS
def test_a_conversation_goes_on(before: Before, upstream: Upstream, talk: Talk, stream: bool) -> None:
    turns = ["What is 1+2?", "1+2=3\n#3", SUM]
    reply = talk.ask(
        before.v1, turns, model=upstream.policy, stream=stream, most=100, system="Work in steps."
    )
    check(reply, stream=stream)
    assert reply.text


@WAYS
@pytest.mark.parametrize("model", ["policy", "planner/cot()"])
def test_a_limit_is_told(before: Before, upstream: Upstream, talk: Talk, stream: bool, model: str) -> None:
    named = upstream.policy if model == "policy" else model
    reply = talk.ask(before.v1, [SUM], model=named, stream=stream, most=3)
    check(reply, stream=stream)
    assert reply.ended == "length"


@WAYS
def test_a_stop_ends_an_answer(before: Before, upstream: Upstream, stream: bool) -> None:
    for talk in (talk for talk in PROTOCOLS if talk.name != "responses"):  # which have none
        free = talk.ask(before.v1, [SUM], model=upstream.policy, most=60, temperature=0.0)
        stop = next(letter for letter in free.text[2:] if letter.strip())
        reply = talk.ask(
            before.v1, [SUM], model=upstream.policy, stream=stream, most=60, temperature=0.0, stop=[stop]
        )
        check(reply, stream=stream)
        assert reply.ended == "stop"
        assert reply.text == free.text[: free.text.index(stop)]


def test_several_answers(before: Before, upstream: Upstream) -> None:
    with openai.OpenAI(base_url=before.v1, api_key="none", max_retries=0) as client:
        for model in (upstream.policy, "planner/cot()"):
            found: Any = client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": SUM}], n=2, max_tokens=60
            )
            assert [choice.index for choice in found.choices] == [0, 1]
            assert all(choice.message.content for choice in found.choices)
            assert found.usage.total_tokens == found.planner["spend"]["tokens"]


@WAYS
def test_tools_are_called_or_refused(before: Before, upstream: Upstream, talk: Talk, stream: bool) -> None:
    turns = ["What is the weather in Paris? Answer with the tool."]
    for model in ("planner", upstream.policy):
        if not upstream.is_served:
            with pytest.raises(talk.refused, match="tools"):
                talk.ask(before.v1, turns, model=model, stream=stream, tool=True)
            continue
        if not upstream.has_tools:
            pytest.skip("the policy knows no tools")
        reply = talk.ask(before.v1, turns, model=model, stream=stream, tool=True, most=100)
        check(reply, stream=stream)
        assert reply.ended == "calls"
        (call,) = reply.calls
        assert (call.name, set(call.values)) == (TOOL["name"], {"city"})
        assert call.call_id
        assert reply.receipt["reason"] in ("tools", "open_ended")


@WAYS
def test_the_result_of_a_tool_is_read(before: Before, upstream: Upstream, talk: Talk, stream: bool) -> None:
    if not upstream.has_tools:
        pytest.skip("the policy knows no tools")
    turns = ["What is the weather in Paris?"]
    called = talk.ask(before.v1, turns, model="planner", tool=True, most=100)
    after = talk.goes_on(turns, called, "It is sunny, 21 C.")
    reply = talk.ask(before.v1, after, model="planner", stream=stream, most=60)
    check(reply, stream=stream)
    assert reply.text
    assert reply.receipt["reason"] == "tools"


def test_errors_are_those_of_the_client(before: Before, upstream: Upstream, talk: Talk) -> None:
    with pytest.raises(talk.missing, match="nobody"):
        talk.ask(before.v1, [SUM], model="nobody")
    for stream in (False, True):
        with pytest.raises(talk.refused):
            talk.ask(before.v1, ["1+2 " * 20000], model=upstream.policy, stream=stream)
        with pytest.raises(talk.refused):
            talk.ask(before.v1, ["1+2 " * 20000], model="planner/majority(n=2)", stream=stream)


async def test_many_at_once(before: Before, upstream: Upstream) -> None:
    async with (
        openai.AsyncOpenAI(base_url=before.v1, api_key="none", max_retries=0) as chats,
        anthropic.AsyncAnthropic(base_url=before.url, api_key="none", max_retries=0) as messages,
    ):
        turns: Any = [{"role": "user", "content": SUM}]
        asked = [
            call
            for model in (upstream.policy, "planner/majority(n=2)")
            for call in (
                chats.chat.completions.create(model=model, messages=turns, max_tokens=40),
                chats.responses.create(model=model, input=SUM, max_output_tokens=40),
                messages.messages.create(model=model, messages=turns, max_tokens=40),
            )
        ]
        found: list[Any] = await asyncio.gather(*asked)
    receipts = [one.model_extra["planner"] for one in found]
    assert [one["plan"] for one in receipts] == ["cot()"] * 3 + ["majority(n=2)"] * 3
    assert len({one["id"] for one in receipts}) == 6


def test_tokens_are_counted(before: Before, upstream: Upstream) -> None:
    turns: Any = [{"role": "user", "content": SUM}]
    with anthropic.Anthropic(base_url=before.url, api_key="none", max_retries=0) as client:
        counted = client.messages.count_tokens(model=upstream.policy, messages=turns)
        asked = client.messages.create(model=upstream.policy, messages=turns, max_tokens=1)
    told = asked.usage.input_tokens + (asked.usage.cache_read_input_tokens or 0)
    assert counted.input_tokens == told
