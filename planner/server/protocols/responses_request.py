"""Reads a request of OpenAI's Responses as a chat: the same questions, tools and limits in other words.

The body of ``POST /v1/responses`` is as OpenAI's reference has it, with the fields that are ours. Items and
tools are objects there, and what is wrong with them is said here in plain words.

What is asked for and cannot be had is refused by name: stored responses and conversations, tools that run on
the server. Thoughts of former answers are left out, as chat templates have no place for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from planner.server.protocols.reading import chat, list_of, object_of, text_of, unknown, wishes_of
from planner.server.refusal import Refusal
from planner.server.schema import MODEL, Body, ChatBody, Effort, Wishes

__all__ = [
    "Reasoning",
    "ResponsesBody",
    "TextConfig",
    "chat_of",
]

_INT64 = 2**63 - 1


class Reasoning(Body):
    """How much the model is to think."""

    effort: Effort | None = Field(None, description="As reasoning_effort of a chat.")


class TextConfig(Body):
    """What the text is to be."""

    format: dict[str, Any] | None = Field(
        None, description="text, json_object or json_schema; the last two are the policy's business."
    )
    verbosity: Literal["low", "medium", "high"] | None = None


class ResponsesBody(Wishes):
    """``POST /v1/responses``."""

    model: str = Field("planner", max_length=1024, description=MODEL)
    input: str | list[dict[str, Any]] = Field(
        description="A question, or items: messages, function calls and their outputs."
    )
    instructions: str | None = Field(None, description="A system message before all others.")
    max_output_tokens: int | None = Field(None, ge=1, le=_INT64, description="Of each solution, not of all.")
    temperature: float | None = Field(
        None, ge=0, le=2, description="Of single answers; a search draws as the planner was fitted."
    )
    top_p: float | None = Field(None, gt=0, le=1)
    top_logprobs: int | None = Field(None, ge=0, le=20, description="0: chat completions tell logprobs.")
    seed: int | None = Field(None, ge=-_INT64 - 1, le=_INT64, description="Not OpenAI's: as a chat has it.")
    stream: bool | None = Field(
        None, description="Events as OpenAI names them; progress comes as SSE comments between them."
    )
    reasoning: Reasoning | None = None
    text: TextConfig | None = None
    tools: list[dict[str, Any]] | None = Field(
        None, description="Functions only. With tools the policy answers once."
    )
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    store: bool | None = Field(None, description="Ignored: nothing is stored.")
    previous_response_id: str | None = Field(None, description="Refused: nothing is stored.")
    conversation: str | dict[str, Any] | None = Field(None, description="Refused: nothing is stored.")
    background: bool | None = Field(None, description="Refused if true.")
    prompt: dict[str, Any] | None = Field(None, description="Refused: no templates are kept.")
    metadata: dict[str, str] | None = Field(None, description="Comes back as it is.")
    user: str | None = None

    @field_validator("include", mode="before")
    @classmethod
    def _ours(cls, include: Any) -> Any:
        """OpenAI's own names, which all have a dot, ask for parts that these answers never have."""
        if not isinstance(include, list):
            return include
        return [name for name in include if not (isinstance(name, str) and "." in name)]


_Json = dict[str, Any]

_ROLES = ("user", "assistant", "system", "developer")
_ITEMS = ("message", "function_call", "function_call_output", "reasoning")
_PARTS = ("input_text", "output_text", "refusal", "input_image", "input_file", "input_audio")
_FORMATS = ("text", "json_object", "json_schema")
_CHOICES = ("none", "auto", "required")

#: fields that refer to something that a server would have to keep
_STORED = ("previous_response_id", "conversation", "prompt")


def chat_of(body: ResponsesBody) -> ChatBody:
    """The chat that a request asks for. Raises Refusal (400)."""
    for name in _STORED:
        if getattr(body, name) is not None:
            raise Refusal(
                f"{name} needs stored responses, and this server stores none: send the whole input",
                param=name,
                code="unsupported",
            )
    if body.background:
        raise Refusal("background needs stored responses, and this server stores none", param="background")
    if body.top_logprobs:
        raise Refusal("top_logprobs must be 0 here: ask /v1/chat/completions for them", param="top_logprobs")
    text, reasoning = body.text, body.reasoning
    fields = {
        **wishes_of(body),
        "model": body.model,
        "messages": list(_messages(body)),
        "max_tokens": body.max_output_tokens,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "seed": body.seed,
        "stream": body.stream,
        "stream_options": {"include_usage": True} if body.stream else None,
        "response_format": None if text is None else _format(text.format),
        "verbosity": None if text is None else text.verbosity,
        "user": body.user,
    }
    if reasoning is not None and reasoning.effort is not None:
        fields["reasoning_effort"] = reasoning.effort
    if body.tools:
        fields["tools"] = [_tool(tool, f"tools.{at}") for at, tool in enumerate(body.tools)]
        fields["tool_choice"] = _tool_choice(body.tool_choice)
        fields["parallel_tool_calls"] = body.parallel_tool_calls
    return chat(fields)


def _messages(body: ResponsesBody) -> Iterator[_Json]:
    """The conversation. Calls that follow one another, and what was said before them, are one message."""
    if body.instructions:
        yield {"role": "system", "content": body.instructions}
    if isinstance(body.input, str):
        yield {"role": "user", "content": body.input}
        return
    if not body.input:
        raise Refusal("input must be a text or at least one item, got none", param="input")
    said: _Json | None = None  # the assistant's message that is not complete yet
    for at, item in enumerate(body.input):
        place = f"input.{at}"
        kind = item.get("type", "message")
        if kind == "reasoning":
            continue
        if kind == "function_call":
            said = {"role": "assistant", "content": None} if said is None else said
            said.setdefault("tool_calls", []).append(_call(item, place))
            continue
        message = _output(item, place) if kind == "function_call_output" else None
        if message is None:
            if kind != "message":
                raise unknown(f"{place}.type", _ITEMS, kind)
            message = _message(item, place)
        if said is not None:
            yield said
        said = message if message["role"] == "assistant" else None
        if said is None:
            yield message
    if said is not None:
        yield said


def _message(item: Mapping[str, Any], place: str) -> _Json:
    role = text_of(item, "role", place)
    if role not in _ROLES:
        raise unknown(f"{place}.role", _ROLES, role)
    return {"role": role, "content": _content(item.get("content"), f"{place}.content")}


def _call(item: Mapping[str, Any], place: str) -> _Json:
    function = {"name": text_of(item, "name", place), "arguments": text_of(item, "arguments", place)}
    return {"id": text_of(item, "call_id", place), "type": "function", "function": function}


def _output(item: Mapping[str, Any], place: str) -> _Json:
    content = _content(item.get("output"), f"{place}.output")
    return {"role": "tool", "tool_call_id": text_of(item, "call_id", place), "content": content}


def _content(content: Any, place: str) -> str | list[_Json]:
    """A text, or parts; a single part that is text is a text, which every chat template takes."""
    if isinstance(content, str):
        return content
    parts = [_part(part, f"{place}.{at}") for at, part in enumerate(list_of(content, place))]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _part(part: Mapping[str, Any], place: str) -> _Json:
    kind = part.get("type")
    if kind in ("input_text", "output_text"):
        return {"type": "text", "text": text_of(part, "text", place)}
    if kind == "refusal":
        return {"type": "text", "text": text_of(part, "refusal", place)}
    if kind == "input_image":
        image = {"url": text_of(part, "image_url", place)}
        detail = part.get("detail")
        return {"type": "image_url", "image_url": image if detail is None else {**image, "detail": detail}}
    if kind == "input_file":
        known = ("file_data", "file_id", "filename")
        file = {name: text_of(part, name, place) for name in known if part.get(name) is not None}
        return {"type": "file", "file": file}
    if kind == "input_audio":
        audio = object_of(part.get("input_audio"), f"{place}.input_audio")
        return {"type": "input_audio", "input_audio": dict(audio)}
    raise unknown(f"{place}.type", _PARTS, kind)


def _tool(tool: Mapping[str, Any], place: str) -> _Json:
    if tool.get("type") != "function":
        raise unknown(f"{place}.type", ("function",), tool.get("type"))
    known = ("description", "parameters", "strict")
    more = {name: tool[name] for name in known if tool.get(name) is not None}
    return {"type": "function", "function": {"name": text_of(tool, "name", place), **more}}


def _tool_choice(choice: str | Mapping[str, Any] | None) -> str | _Json | None:
    if choice is None or isinstance(choice, str):
        if choice is not None and choice not in _CHOICES:
            raise unknown("tool_choice", _CHOICES, choice)
        return choice
    kind = choice.get("type")
    if kind == "function":
        return {"type": "function", "function": {"name": text_of(choice, "name", "tool_choice")}}
    if kind == "allowed_tools":
        tools = list_of(choice.get("tools"), "tool_choice.tools")
        allowed = [
            {"type": "function", "function": {"name": text_of(tool, "name", f"tool_choice.tools.{at}")}}
            for at, tool in enumerate(tools)
        ]
        mode = text_of(choice, "mode", "tool_choice")
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}
    raise unknown("tool_choice.type", ("function", "allowed_tools"), kind)


def _format(told: Mapping[str, Any] | None) -> _Json | None:
    if told is None:
        return None
    kind = told.get("type")
    if kind not in _FORMATS:
        raise unknown("text.format.type", _FORMATS, kind)
    if kind != "json_schema":
        return {"type": kind}
    known = ("schema", "strict", "description")
    more = {name: told[name] for name in known if told.get(name) is not None}
    return {"type": kind, "json_schema": {"name": text_of(told, "name", "text.format"), **more}}
