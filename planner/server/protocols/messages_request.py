"""Reads a request of Anthropic's Messages as a chat: the same questions, tools and limits in other words.

The bodies of ``POST /v1/messages`` and of its token counter have Anthropic's fields, and ours. The newest
version of the API has no sampling fields any more. They are taken all the same. Messages, blocks and tools
are objects there, and what is wrong with them is said here in plain words.

Tools that run on Anthropic's servers, and documents, cannot be had here and are refused by name. Thoughts of
former answers are left out, as chat templates have no place for them; so is the mark of a tool's result that
it is an error: its text has to say so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from planner.server.protocols.reading import chat, list_of, object_of, text_of, unknown, wishes_of
from planner.server.schema import MODEL, Body, ChatBody, Wishes

__all__ = [
    "CountBody",
    "MessagesBody",
    "OutputConfig",
    "Thinking",
    "chat_of",
    "effort_of",
]

_INT64 = 2**63 - 1


class Thinking(Body):
    """How much may be thought, where neither a budget nor an effort says."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = Field(
        None,
        ge=1,
        le=_INT64,
        description="From 4096 on a high effort, from 2048 a medium one, else low.",
    )


class OutputConfig(Body):
    """What is written, and with how much effort."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="How much may be spent, where no budget says; max spends as xhigh."
    )
    format: dict[str, Any] | None = Field(None, description="A JSON schema, which is the policy's business.")


class CountBody(Wishes):
    """``POST /v1/messages/count_tokens``."""

    model: str = Field("planner", max_length=1024, description=MODEL)
    messages: list[dict[str, Any]] = Field(
        min_length=1, description="The last text that the user says is the question."
    )
    system: str | list[dict[str, Any]] | None = None
    thinking: Thinking | None = None
    tools: list[dict[str, Any]] | None = Field(
        None, description="Tools of the client's. With tools the policy answers once."
    )
    tool_choice: dict[str, Any] | None = None
    output_config: OutputConfig | None = None


class MessagesBody(CountBody):
    """``POST /v1/messages``."""

    max_tokens: int = Field(ge=1, le=_INT64, description="Of each solution, not of all.")
    temperature: float | None = Field(
        None, ge=0, le=1, description="Of single answers; a search draws as the planner was fitted."
    )
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0, le=_INT64)
    seed: int | None = Field(None, ge=-_INT64 - 1, le=_INT64, description="Ours: as a chat has it.")
    stop_sequences: list[str] | None = None
    stream: bool | None = Field(
        None, description="Events as Anthropic names them; progress comes as SSE comments between them."
    )
    metadata: dict[str, Any] | None = None


_Json = dict[str, Any]

_ROLES = ("user", "assistant", "system")
_ASKED = ("text", "image", "tool_result")
_ANSWERED = ("text", "tool_use", "thinking", "redacted_thinking")
_SHOWN = ("text", "image")
_SOURCES = ("base64", "url")
#: choices of a tool -> those of a chat
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
#: tokens of a thought, at least -> the effort; LiteLLM's proxy draws the same lines
_EFFORTS = ((4096, "high"), (2048, "medium"))


def chat_of(body: CountBody) -> ChatBody:
    """The chat that a request asks for. Raises Refusal (400)."""
    effort = effort_of(body)
    fields = {
        **wishes_of(body),
        "model": body.model,
        "messages": list(_messages(body)),
        "response_format": _format(body.output_config),
        # that nothing is to be thought is no word that every policy knows
        "reasoning_effort": body.reasoning_effort or (None if effort == "none" else effort),
    }
    if isinstance(body, MessagesBody):
        fields |= {
            "max_tokens": body.max_tokens,
            "temperature": body.temperature,
            "top_p": body.top_p,
            "top_k": body.top_k or None,
            "seed": body.seed,
            "stop": body.stop_sequences or None,
            "stream": body.stream,
            "stream_options": {"include_usage": True} if body.stream else None,
        }
    if body.tools:
        fields["tools"] = [_tool(tool, f"tools.{at}") for at, tool in enumerate(body.tools)]
        choice = body.tool_choice
        if choice is not None:
            fields["tool_choice"] = _tool_choice(choice)
            if choice.get("disable_parallel_tool_use") is True:
                fields["parallel_tool_calls"] = False
    return chat(fields)


def effort_of(body: CountBody) -> str | None:
    """How much may be spent, in OpenAI's words; None where nothing says.

    An effort counts before a thought. No thought at all is an effort of ``none``: one sample.
    """
    said = body.reasoning_effort or (body.output_config and body.output_config.effort)
    if said:
        return said
    thinking = body.thinking
    if thinking is None or thinking.type in ("adaptive", "between_tools"):
        return None
    if thinking.type == "disabled":
        return "none"
    tokens = thinking.budget_tokens or 0
    return next((effort for least, effort in _EFFORTS if tokens >= least), "low")


def _messages(body: CountBody) -> Iterator[_Json]:
    if body.system:
        yield {"role": "system", "content": _system(body.system, "system")}
    for at, message in enumerate(body.messages):
        place = f"messages.{at}"
        role = text_of(message, "role", place)
        if role not in _ROLES:
            raise unknown(f"{place}.role", _ROLES, role)
        content = message.get("content")
        if isinstance(content, str):
            yield {"role": role, "content": content}
            continue
        blocks = list_of(content, f"{place}.content")
        if role == "system":
            yield {
                "role": "system",
                "content": _system([dict(block) for block in blocks], f"{place}.content"),
            }
        elif role == "user":
            yield from _asked(blocks, f"{place}.content")
        else:
            yield _answered(blocks, f"{place}.content")


def _system(system: str | list[_Json], place: str) -> str:
    if isinstance(system, str):
        return system
    return "\n".join(text_of(block, "text", f"{place}.{at}") for at, block in enumerate(system))


def _asked(blocks: list[Mapping[str, Any]], place: str) -> Iterator[_Json]:
    """What a user says: results of tools, each a message of its own, and the rest, in order."""
    parts: list[_Json] = []
    for at, block in enumerate(blocks):
        kind, here = block.get("type"), f"{place}.{at}"
        if kind != "tool_result":
            if kind not in _ASKED:
                raise unknown(f"{here}.type", _ASKED, kind)
            parts.append(_part(block, here))
            continue
        if parts:
            yield {"role": "user", "content": _content(parts)}
            parts = []
        result = block.get("content")
        if result is None:
            result = ""
        elif not isinstance(result, str):
            inner = enumerate(list_of(result, f"{here}.content"))
            result = _content([_part(each, f"{here}.content.{number}") for number, each in inner])
        yield {"role": "tool", "tool_call_id": text_of(block, "tool_use_id", here), "content": result}
    if parts or not blocks:
        yield {"role": "user", "content": _content(parts)}


def _answered(blocks: list[Mapping[str, Any]], place: str) -> _Json:
    """What the policy said: its texts, and the tools that it called."""
    texts: list[_Json] = []
    calls: list[_Json] = []
    for at, block in enumerate(blocks):
        kind, here = block.get("type"), f"{place}.{at}"
        if kind not in _ANSWERED:
            raise unknown(f"{here}.type", _ANSWERED, kind)
        if kind == "text":
            texts.append(_part(block, here))
        elif kind == "tool_use":
            asked = object_of(block.get("input"), f"{here}.input")
            function = {
                "name": text_of(block, "name", here),
                "arguments": json.dumps(asked, ensure_ascii=False),
            }
            calls.append({"id": text_of(block, "id", here), "type": "function", "function": function})
    content = _content(texts) if texts or not calls else None
    return {"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {})}


def _content(parts: list[_Json]) -> str | list[_Json]:
    """Parts, or a text: a single part that is text, which every chat template takes."""
    if not parts:
        return ""
    return str(parts[0]["text"]) if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(block: Mapping[str, Any], place: str) -> _Json:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "text": text_of(block, "text", place)}
    if kind != "image":
        raise unknown(f"{place}.type", _SHOWN, kind)
    source = object_of(block.get("source"), f"{place}.source")
    if source.get("type") == "url":
        url = text_of(source, "url", f"{place}.source")
    elif source.get("type") == "base64":
        media = text_of(source, "media_type", f"{place}.source")
        inner = text_of(source, "data", f"{place}.source")
        url = f"data:{media};base64,{inner}"
    else:
        raise unknown(f"{place}.source.type", _SOURCES, source.get("type"))
    return {"type": "image_url", "image_url": {"url": url}}


def _tool(tool: Mapping[str, Any], place: str) -> _Json:
    if tool.get("type") not in (None, "custom"):
        raise unknown(f"{place}.type", ("custom",), tool.get("type"))
    schema = object_of(tool.get("input_schema"), f"{place}.input_schema")
    function = {"name": text_of(tool, "name", place), "parameters": dict(schema)}
    more = {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
    return {"type": "function", "function": {**function, **more}}


def _tool_choice(choice: Mapping[str, Any]) -> str | _Json:
    kind = choice.get("type")
    if kind == "tool":
        return {"type": "function", "function": {"name": text_of(choice, "name", "tool_choice")}}
    if not isinstance(kind, str) or kind not in _CHOICES:
        raise unknown("tool_choice.type", (*_CHOICES, "tool"), kind)
    return _CHOICES[kind]


def _format(config: OutputConfig | None) -> _Json | None:
    if config is None or config.format is None:
        return None
    if config.format.get("type") != "json_schema":
        raise unknown("output_config.format.type", ("json_schema",), config.format.get("type"))
    schema = object_of(config.format.get("schema"), "output_config.format.schema")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}
