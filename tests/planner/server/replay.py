"""A policy's own server that answers as it is told to, and streams as real servers write."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from search.remote.fake_server import Asked, Json, Stream

USAGE = {
    "prompt_tokens": 70,
    "completion_tokens": 12,
    "total_tokens": 82,
    "prompt_tokens_details": {"cached_tokens": 64},
}

CHAT = "/v1/chat/completions"


def call(number: int | None, call_id: str | None = None, name: str | None = None, said: Any = None) -> Any:
    """A delta with a piece of a call."""
    function = {key: value for key, value in (("name", name), ("arguments", said)) if value is not None}
    piece: dict[str, Any] = {"function": function}
    if number is not None:
        piece["index"] = number
    if call_id is not None:
        piece |= {"id": call_id, "type": "function"}
    return {"tool_calls": [piece]}


#: the same two calls after a text, as several servers write them
PARIS, ROME = '{"city": "Paris", "days": 2}', '{"city": "Rome"}'
CALLS: dict[str, list[Any]] = {
    "vllm": [
        {"role": "assistant", "content": ""},
        {"content": "Let me "},
        {"content": "look."},
        call(0, "call-a", "get_weather"),
        call(0, said='{"city": "'),
        call(0, said='Paris", "days": 2}'),
        call(1, "call-b", "get_weather"),
        call(1, said='{"city": "Rome"'),
        call(1, said="}"),
        {"content": ""},
    ],
    "llama.cpp": [
        {"role": "assistant", "content": None},
        {"content": "Let me look."},
        call(0, "call-a", "get_weather", "{"),
        call(0, said='"city": "Paris'),
        call(0, said='", "days": 2}'),
        call(1, "call-b", "get_weather", '{"city": "Rome"}'),
        {},
    ],
    "openai": [
        {"role": "assistant", "content": "Let me look.", "refusal": None},
        call(0, "call-a", "get_weather", ""),
        *(call(0, said=piece) for piece in ('{"', "city", '": "Paris", "days": 2', "}")),
        call(1, "call-b", "get_weather", ""),
        *(call(1, said=piece) for piece in ('{"city": "', 'Rome"}')),
        {},
    ],
    "by turns": [
        {"role": "assistant", "content": "Let me look."},
        {"tool_calls": [*call(0, "call-a", "get_weather", '{"city"')["tool_calls"]]},
        call(1, "call-b", "get_weather", '{"city": '),
        call(0, said=': "Paris", "days": 2}'),
        call(1, said='"Rome"}'),
        {},
    ],
    "at once, unnumbered": [
        {"role": "assistant", "content": "Let me look."},
        call(None, "call-a", "get_weather", PARIS),
        call(None, "call-b", "get_weather", ROME),
        {},
    ],
}

#: those calls in a whole message
MESSAGE: dict[str, Any] = {
    "role": "assistant",
    "content": "Let me look.",
    "tool_calls": [
        {"id": call_id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
        for call_id, arguments in (("call-a", PARIS), ("call-b", ROME))
    ],
}


class Replay:
    """Answers each request with ``message``, or with ``deltas`` one by one, and ends for ``reason``."""

    def __init__(self) -> None:
        self.message: Any = {"role": "assistant", "content": "It is wide."}
        self.deltas: list[Any] = [
            {"role": "assistant", "content": ""},
            {"content": "It is "},
            {"content": "wide."},
        ]
        self.reason = "stop"
        self.more: dict[str, Any] = {}
        self.usage: Any = USAGE

    async def __call__(self, asked: Asked) -> Json | Stream:
        head = {"id": "theirs", "created": 1, "model": asked.body["model"]}
        if not asked.body.get("stream"):
            choice = {"index": 0, "finish_reason": self.reason, "message": self.message, **self.more}
            return Json({**head, "object": "chat.completion", "choices": [choice], "usage": self.usage})

        async def chunks() -> AsyncGenerator[Any]:
            last = len(self.deltas) - 1
            for at, delta in enumerate(self.deltas):
                end = {"finish_reason": self.reason, **self.more} if at == last else {"finish_reason": None}
                choice = {"index": 0, "delta": delta, **end}
                yield {**head, "object": "chat.completion.chunk", "choices": [choice]}
            yield {**head, "object": "chat.completion.chunk", "choices": [], "usage": self.usage}

        return Stream(chunks())
