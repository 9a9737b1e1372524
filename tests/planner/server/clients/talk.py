"""One way to ask, through the official clients of three protocols, and one shape for what comes back."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai

__all__ = ["PROTOCOLS", "TOOL", "Call", "Chat", "Messages", "Reply", "Responses", "Talk"]

#: a tool in the words of no protocol
TOOL: dict[str, Any] = {
    "name": "get_weather",
    "description": "Says the weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


@dataclass(frozen=True)
class Call:
    """A call of a tool."""

    call_id: str
    name: str
    arguments: str

    @property
    def values(self) -> Any:
        """What its arguments say."""
        return json.loads(self.arguments)


@dataclass(frozen=True)
class Reply:
    """What came back.

    ``ended`` is ``stop``, ``length`` or ``calls``; ``streamed`` is what the deltas of a stream add up to: the
    text, and the arguments of each call.
    """

    text: str
    ended: str
    receipt: Mapping[str, Any]
    tokens: int
    calls: tuple[Call, ...] = ()
    streamed: tuple[str, tuple[str, ...]] | None = None
    raw: Any = field(default=None, compare=False, repr=False)


class Talk(ABC):
    """A protocol, by its official client."""

    #: where it is served
    name: str
    #: of the client, for a request that is refused (400), a model that is not there (404)
    refused: type[Exception]
    missing: type[Exception]

    @abstractmethod
    def ask(self, v1: str, turns: Sequence[Any], *, stream: bool = False, **more: Any) -> Reply:
        """Ask. ``turns``: texts of user and assistant in turns, or what ``goes_on`` gave.

        ``more``: ``model``, ``most`` (tokens), ``system``, ``stop``, ``tool`` (bool: that it must be called)
        and whatever the protocol has.
        """

    @abstractmethod
    def goes_on(self, turns: Sequence[Any], reply: Reply, result: str) -> list[Any]:
        """The turns after a call, with its result."""

    def _turns(self, turns: Sequence[Any]) -> list[Any]:
        roles = ("user", "assistant")
        return [
            {"role": roles[at % 2], "content": turn} if isinstance(turn, str) else turn
            for at, turn in enumerate(turns)
        ]


class Chat(Talk):
    """Chat completions."""

    name = "chat"
    refused, missing = openai.BadRequestError, openai.NotFoundError

    def ask(self, v1: str, turns: Sequence[Any], *, stream: bool = False, **more: Any) -> Reply:
        said = {"role": "system", "content": more.pop("system")} if "system" in more else None
        asked: dict[str, Any] = {"messages": [*([said] if said else []), *self._turns(turns)]}
        if "most" in more:
            asked["max_tokens"] = more.pop("most")
        if more.pop("tool", False):
            asked["tools"] = [{"type": "function", "function": TOOL}]
            asked["tool_choice"] = "required"  # llama.cpp passes over the name of a tool
        with openai.OpenAI(base_url=v1, api_key="none", max_retries=0) as client:
            if not stream:
                return self._whole(client.chat.completions.create(**asked, **more))
            options = {"include_usage": True}
            chunks = list(
                client.chat.completions.create(**asked, **more, stream=True, stream_options=options)
            )
        return self._streamed(chunks)

    def _whole(self, found: Any) -> Reply:
        choice = found.choices[0]
        calls = tuple(
            Call(call.id, call.function.name, call.function.arguments)
            for call in choice.message.tool_calls or ()
        )
        return Reply(
            choice.message.content or "",
            "calls" if calls else choice.finish_reason,
            found.model_extra["planner"],
            found.usage.total_tokens,
            calls,
            raw=choice.message.model_dump(exclude_none=True),
        )

    def _streamed(self, chunks: Sequence[Any]) -> Reply:
        text, ended, receipt = "", "", {}
        calls: dict[int, list[str]] = {}
        for chunk in chunks:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for piece in choice.delta.tool_calls or ():
                    call = calls.setdefault(piece.index, ["", "", ""])
                    call[0] += piece.id or ""
                    call[1] += (piece.function and piece.function.name) or ""
                    call[2] += (piece.function and piece.function.arguments) or ""
                ended = choice.finish_reason or ended
            receipt = (chunk.model_extra or {}).get("planner", receipt)
        found = tuple(Call(*calls[index]) for index in sorted(calls))
        usage = chunks[-1].usage
        streamed = text, tuple(call.arguments for call in found)
        return Reply(text, "calls" if found else ended, receipt, usage.total_tokens, found, streamed)

    def goes_on(self, turns: Sequence[Any], reply: Reply, result: str) -> list[Any]:
        told = {"role": "tool", "tool_call_id": reply.calls[0].call_id, "content": result}
        return [*self._turns(turns), reply.raw, told]


class Responses(Talk):
    """OpenAI's Responses."""

    name = "responses"
    refused, missing = openai.BadRequestError, openai.NotFoundError

    def ask(self, v1: str, turns: Sequence[Any], *, stream: bool = False, **more: Any) -> Reply:
        asked: dict[str, Any] = {"input": self._turns(turns)}
        for ours, theirs in (("most", "max_output_tokens"), ("system", "instructions")):
            if ours in more:
                asked[theirs] = more.pop(ours)
        if more.pop("tool", False):
            asked["tools"] = [{"type": "function", **TOOL}]
            asked["tool_choice"] = "required"
        with openai.OpenAI(base_url=v1, api_key="none", max_retries=0) as client:
            if not stream:
                return self._reply(client.responses.create(**asked, **more), None)
            with client.responses.stream(**asked, **more) as events:
                text, calls, whole = "", dict[int, str](), None
                for event in events:
                    if event.type in ("response.completed", "response.incomplete"):
                        whole = event.response  # the client's own final one is of completed ones only
                    elif event.type == "response.output_text.delta":
                        text += event.delta
                    elif event.type == "response.function_call_arguments.delta":
                        calls[event.output_index] = calls.get(event.output_index, "") + event.delta
                streamed = text, tuple(calls[index] for index in sorted(calls))
                return self._reply(whole, streamed)

    def _reply(self, found: Any, streamed: tuple[str, tuple[str, ...]] | None) -> Reply:
        calls = tuple(
            Call(item.call_id, item.name, item.arguments)
            for item in found.output
            if item.type == "function_call"
        )
        ended = "length" if found.status == "incomplete" else "calls" if calls else "stop"
        items = [item.model_dump(exclude_none=True) for item in found.output]
        planner = found.model_extra["planner"]
        return Reply(found.output_text, ended, planner, found.usage.total_tokens, calls, streamed, raw=items)

    def goes_on(self, turns: Sequence[Any], reply: Reply, result: str) -> list[Any]:
        told = {"type": "function_call_output", "call_id": reply.calls[0].call_id, "output": result}
        return [*self._turns(turns), *reply.raw, told]


class Messages(Talk):
    """Anthropic's Messages."""

    name = "messages"
    refused, missing = anthropic.BadRequestError, anthropic.NotFoundError

    def ask(self, v1: str, turns: Sequence[Any], *, stream: bool = False, **more: Any) -> Reply:
        asked: dict[str, Any] = {"messages": self._turns(turns), "max_tokens": more.pop("most", 300)}
        if "stop" in more:
            asked["stop_sequences"] = more.pop("stop")
        if more.pop("tool", False):
            asked["tools"] = [
                {
                    "name": TOOL["name"],
                    "description": TOOL["description"],
                    "input_schema": TOOL["parameters"],
                }
            ]
            asked["tool_choice"] = {"type": "any"}
        extra = {name: more.pop(name) for name in ("seed", "temperature") if name in more}
        given = more.pop("extra_body", {}) | extra
        with anthropic.Anthropic(base_url=v1.removesuffix("/v1"), api_key="none", max_retries=0) as client:
            if not stream:
                found = client.messages.create(**asked, **more, extra_body=given)
                return self._reply(found, found.model_extra["planner"], None)
            with client.messages.stream(**asked, **more, extra_body=given) as events:
                text, calls, receipt = "", dict[int, str](), {}
                for event in events:
                    if event.type == "message_delta":  # the client's own final message leaves it out
                        receipt = (event.model_extra or {}).get("planner", receipt)
                    elif event.type == "content_block_delta":
                        if event.delta.type == "text_delta":
                            text += event.delta.text
                        elif event.delta.type == "input_json_delta":
                            calls[event.index] = calls.get(event.index, "") + event.delta.partial_json
                streamed = text, tuple(calls[index] for index in sorted(calls))
                return self._reply(events.get_final_message(), receipt, streamed)

    def _reply(self, found: Any, receipt: Any, streamed: tuple[str, tuple[str, ...]] | None) -> Reply:
        ends = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "calls"}
        calls = tuple(
            Call(block.id, block.name, json.dumps(block.input))
            for block in found.content
            if block.type == "tool_use"
        )
        usage = found.usage
        tokens = usage.input_tokens + usage.output_tokens + (usage.cache_read_input_tokens or 0)
        return Reply(
            "".join(block.text for block in found.content if block.type == "text"),
            ends[found.stop_reason],
            receipt,
            tokens,
            calls,
            streamed,
            raw=[block.model_dump(exclude_none=True) for block in found.content],
        )

    def goes_on(self, turns: Sequence[Any], reply: Reply, result: str) -> list[Any]:
        told = {"type": "tool_result", "tool_use_id": reply.calls[0].call_id, "content": result}
        said = {"role": "assistant", "content": reply.raw}
        return [*self._turns(turns), said, {"role": "user", "content": [told]}]


PROTOCOLS: tuple[Talk, ...] = (Chat(), Responses(), Messages())
