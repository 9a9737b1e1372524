from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import BrokenError, GarbledError
from search.remote.events import Events


class Content:
    """A body that comes in these blocks."""

    def __init__(self, blocks: Sequence[bytes]) -> None:
        self._blocks = [block for block in blocks if block]

    async def readany(self) -> bytes:
        return self._blocks.pop(0) if self._blocks else b""

    def at_eof(self) -> bool:
        return not self._blocks


class Answer:
    url = "http://h/v1/completions"

    def __init__(self, blocks: Sequence[bytes], kind: str = "text/event-stream") -> None:
        self.headers = {"Content-Type": kind}
        self.content = Content(blocks)


def events(*blocks: bytes, kind: str = "text/event-stream; charset=utf-8") -> Events:
    return Events(cast(aiohttp.ClientResponse, Answer(blocks, kind)))


async def heard(stream: Events) -> list[Any]:
    return [event async for event in stream]


objects = st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.none(), max_size=3), max_size=5)


@given(
    objects, st.lists(st.integers(0, 2000), max_size=20), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans()
)
async def test_events_do_not_depend_on_how_a_body_is_cut(
    sent: list[Any], cuts: list[int], end: str, escaped: bool
) -> None:
    lines = [f"data: {json.dumps(each, ensure_ascii=escaped)}{end}{end}" for each in sent]
    body = "".join([*lines, f"data: [DONE]{end}{end}", "data: {}", end]).encode()
    places = sorted({0, *(min(cut, len(body)) for cut in cuts), len(body)})
    assert await heard(events(*(body[a:b] for a, b in pairwise(places)))) == sent


async def test_an_answer_is_read_to_its_end() -> None:
    stream = events(b"data: 1\n\ndata: [DONE]\n\n", b": bye\n\n")
    assert await heard(stream) == [1]
    assert stream._content.at_eof()
    assert await heard(stream) == []


async def test_a_stream_that_ends_early() -> None:
    stream = events(b"data: 1\n\n", b"data: 2")
    assert [await anext(stream), await anext(stream)] == [1, 2]  # a last line needs no line feed
    with pytest.raises(BrokenError, match=r"a stream must end with \[DONE\]"):
        await anext(stream)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"data: {]\n", "an event must be JSON"),
        (b"<html>\n", "a stream must be server-sent events"),
        (b"data: " + b"x" * (17 << 20), "a line of a stream must stay below"),
    ],
)
async def test_what_is_no_stream(body: bytes, words: str) -> None:
    with pytest.raises(GarbledError, match=words):
        await heard(events(body))


def test_another_type_is_no_stream() -> None:
    with pytest.raises(GarbledError, match="must be text/event-stream, got 'text/html'"):
        events(kind="text/html")


async def test_an_event_may_have_several_lines() -> None:
    stream = events(b'data: {"a":\ndata: [1,\n', b"data: 2]}\n\ndata: 3\n\ndata: [DONE]\n\n")
    assert await heard(stream) == [{"a": [1, 2]}, 3]


async def test_a_byte_order_mark_may_come_first() -> None:
    assert await heard(events(b"\xef", b"\xbb\xbfdata: 1\n\n", b"data: [DONE]\n\n")) == [1]


async def test_events_without_data_mean_nothing() -> None:
    assert await heard(events(b"data:\n\ndata: \n\nid: 3\n\ndata: 1\n\ndata: [DONE]\n\n")) == [1]


async def test_lines_need_no_empty_ones_between_them() -> None:
    assert await heard(events(b"data: 1\ndata: 2\ndata: [DONE]\n")) == [1, 2]


async def test_what_is_named_an_error_is_one() -> None:
    body = b'event: error\ndata: {"message": "boom"}\n\nevent: x\ndata: {"a": 1}\n\n'
    own = b'event: error\ndata: {"error": {"code": 5}}\n\ndata: [DONE]\n\n'
    assert await heard(events(body, own)) == [
        {"error": {"message": "boom"}},
        {"a": 1},
        {"error": {"code": 5}},
    ]


async def test_one_broken_event_is_told_with_the_first_of_its_lines() -> None:
    with pytest.raises(GarbledError, match=r"an event must be JSON, got b'\{nope"):
        await heard(events(b"data: {nope\n\ndata: [DONE]\n\n"))
