"""Blocks: every way to send calls gives the same blocks, one after another."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay import CALLS, MESSAGE, PARIS, ROME, call

from planner.server.protocols.blocks import Block, Blocks, Closed, Opened, Written, arguments_of, blocks_of
from planner.server.refusal import Refusal

#: kind, text, id and name
SAID = [
    ("text", "Let me look.", "", ""),
    ("call", PARIS, "call-a", "get_weather"),
    ("call", ROME, "call-b", "get_weather"),
]


def told(blocks: list[Block]) -> list[tuple[str, str, str, str]]:
    return [(block.kind, block.text, block.call_id, block.name) for block in blocks]


def changes(deltas: list[Any]) -> tuple[Blocks, list[Any]]:
    blocks = Blocks()
    every = [change for delta in deltas for change in blocks.hear(delta)]
    return blocks, [*every, *blocks.end()]


def check_order(every: list[Any]) -> None:
    """One block after another: begun, written, ended."""
    at, is_open, texts = -1, False, dict[int, str]()
    for change in every:
        if isinstance(change, Opened):
            assert not is_open
            at, is_open = at + 1, True
            texts[at] = ""
        else:
            assert is_open
            is_open = isinstance(change, Written)
        assert change.block.index == at
        if isinstance(change, Written):
            texts[at] += change.text
        if isinstance(change, Closed):
            assert texts[at] == change.block.text
    assert not is_open


@pytest.mark.parametrize("name", CALLS)
def test_all_servers_mean_the_same(name: str) -> None:
    blocks, every = changes(CALLS[name])
    check_order(every)
    assert told(blocks.blocks) == SAID


def test_a_whole_message_has_the_same_blocks() -> None:
    assert told(blocks_of(MESSAGE)) == SAID


def test_calls_that_come_one_after_another_are_told_as_they_come() -> None:
    for name in ("vllm", "llama.cpp", "openai"):
        blocks = Blocks()
        for delta in CALLS[name]:
            list(blocks.hear(delta))
            waiting = [block for block in blocks.blocks if not block.is_closed]
            assert len(waiting) <= 1
        assert len(blocks.blocks) == 3


def test_a_message_that_says_nothing_is_an_empty_text() -> None:
    assert told(blocks_of({"role": "assistant", "content": None})) == [("text", "", "", "")]
    thought = blocks_of({"role": "assistant", "reasoning_content": "hm", "content": ""})
    assert [block.kind for block in thought] == ["thought", "text"]


def test_thoughts_come_before_texts_whatever_they_are_called() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "7"},
    ]
    for message in ({"reasoning": "hm", "content": "7"}, {"content": parts}):
        assert [(b.kind, b.text) for b in blocks_of(message)] == [("thought", "hm"), ("text", "7")]


def test_arguments_may_come_as_an_object_or_not_at_all() -> None:
    (one,) = blocks_of({"tool_calls": [call(0, "a", "f", {"x": 1})["tool_calls"][0]]})
    assert arguments_of(one, is_cut=False) == {"x": 1}
    (none,) = blocks_of({"tool_calls": [call(0, "a", "f")["tool_calls"][0]]})
    assert arguments_of(none, is_cut=False) == {}
    (unnamed,) = blocks_of(call(0, None, "f", "{}"))
    assert unnamed.call_id.startswith("call_")


@pytest.mark.parametrize(
    "delta",
    [
        "text",
        {"content": 3},
        {"content": [3]},
        {"tool_calls": "f"},
        {"tool_calls": ["f"]},
        {"tool_calls": [{"function": "f"}]},
        call(0, "a", None, "{}"),
        {"tool_calls": [{"id": 3, "function": {"name": "f", "arguments": "{}"}}]},
    ],
)
def test_what_is_no_message_is_the_servers_fault(delta: Any) -> None:
    with pytest.raises(Refusal, match="the policy's server must answer") as broken:
        blocks_of(delta)
    assert broken.value.status == 502


def test_a_call_that_goes_on_too_late_is_an_error_and_not_lost() -> None:
    blocks = Blocks()
    list(blocks.hear(call(0, "a", "f", '{"x": 1}')))
    list(blocks.hear(call(1, "b", "f", "{}")))
    list(blocks.hear(call(0, said=" \n")))
    with pytest.raises(Refusal, match="goes on after the next one"):
        list(blocks.hear(call(0, said=', "y": 2}')))


@pytest.mark.parametrize(
    "text", ["[1]", "{", "nothing", '{"x": NaN}', '{"x": 1e999}', "9" * 5000, "[" * 5000]
)
def test_arguments_that_are_no_object_are_an_error(text: str) -> None:
    with pytest.raises(Refusal, match="no JSON object"):
        arguments_of(Block("call", text=text), is_cut=False)


@given(
    st.lists(st.sampled_from(["content", "reasoning"]), max_size=4),
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), max_size=30),
    st.lists(st.text('ab \\"{}', max_size=8), min_size=3, max_size=3),
)
def test_no_piece_is_lost_or_mixed(said: list[str], order: list[tuple[int, int]], values: list[str]) -> None:
    """Pieces of three calls in any order, after texts and thoughts: what comes out is what went in."""
    calls = {number: json.dumps({"key": value}) for number, value in enumerate(values)}
    left, begun = dict(calls), set[int]()
    deltas: list[Any] = [{what: what} for what in said]
    for number, size in [*order, *((number, 99) for number in range(3))]:
        piece, left[number] = left[number][:size], left[number][size:]
        head = () if number in begun else (f"id{number}", "f")
        begun.add(number)
        deltas.append(call(number, *head, said=piece) if head else call(number, said=piece))
    blocks, every = changes(deltas)
    check_order(every)
    assert {b.call_id: b.text for b in blocks.blocks if b.kind == "call"} == {
        f"id{number}": text for number, text in calls.items()
    }
    assert "".join(b.text for b in blocks.blocks if b.kind != "call") == "".join(said)
