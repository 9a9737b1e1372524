"""What the chunks of a stream say that it cost, as different servers tell it."""

from __future__ import annotations

from typing import Any

import pytest

from planner.server.direct.passthrough_cost import StreamUsage


def ends(index: int, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}], **more}


def piece(index: int, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": {"content": "2"}, "finish_reason": None}], **more}


def told(completion: int) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": 43, "completion_tokens": completion, "total_tokens": 43 + completion}}


def alone(completion: int) -> dict[str, Any]:
    return {"choices": [], **told(completion)}


STREAMS = [
    ([piece(0), piece(1), ends(0), ends(1), alone(4)], 4),  # vLLM, recorded: one usage, after all
    ([piece(1), piece(0), ends(1), alone(2), ends(0), alone(2)], 4),  # llama.cpp, recorded: one a choice
    ([piece(0), ends(0, **told(5))], 5),  # DeepSeek: with the last chunk
    ([piece(0, **told(1)), piece(0, **told(2)), ends(0, **told(3)), alone(3)], 3),  # a running total
    ([piece(0, **told(0)), ends(0, **told(0)), alone(7)], 7),  # Ollama's completions: nothing, then all
    ([piece(0), {"choices": None}, ends(0), alone(2)], 2),
]


@pytest.mark.parametrize(("chunks", "completion"), STREAMS)
def test_every_server_is_charged_what_it_wrote(chunks: list[dict[str, Any]], completion: int) -> None:
    usage = StreamUsage()
    for chunk in chunks:
        usage.hear(chunk)
    assert usage.tokens == {"prompt_tokens": 43, "completion_tokens": completion}


def test_a_stream_without_usage_tells_nothing() -> None:
    usage = StreamUsage()
    for chunk in (piece(0), ends(0), {"choices": [], "usage": "many"}):
        usage.hear(chunk)
    assert usage.tokens is None
