"""Writes answers as Anthropic's Messages: a message with blocks, or events that build one.

The events of a stream are those of Anthropic's reference: ``message_start``, ``ping``, for each block
``content_block_start``, ``content_block_delta`` and ``content_block_stop``, then ``message_delta`` with the
reason to stop, the usage and the receipt, and ``message_stop``. An ``error`` ends a stream that failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from planner.server.protocols.blocks import (
    Block,
    Blocks,
    Change,
    Closed,
    Opened,
    Used,
    arguments_of,
    blocks_of,
    reason_of,
)
from planner.server.refusal import Refusal, messages_error
from planner.server.request.shapes import CHAT, Shape, Writer, event

__all__ = ["MESSAGES", "MessagesShape", "MessagesWriter"]

_Json = dict[str, Any]

#: reasons of a chat to end -> those of a message to stop
_REASONS = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


@dataclass(frozen=True, slots=True)
class MessagesShape(Shape):
    """The endpoint."""

    def writer(self, response_id: str, created: int, model: str) -> Writer:
        return MessagesWriter(response_id, model)


MESSAGES = MessagesShape(
    endpoint="messages", path=CHAT.path, prefix="msg_", whole=CHAT.whole, chunk=CHAT.chunk
)


class MessagesWriter(Writer):
    """Writes one response."""

    silence = event("ping", {})

    def __init__(self, response_id: str, model: str) -> None:
        self._id = response_id
        self._model = model
        self._is_begun = False
        self._blocks = Blocks()
        self._reason: str | None = None
        self._stopped_by: str | None = None
        self._usage: Any = None
        self._receipt: Any = None

    def body(self, found: dict[str, Any]) -> dict[str, Any]:
        choice = found["choices"][0]
        self._hear(found, choice)
        content = [self._block(block) for block in blocks_of(choice["message"])]
        return self._message(content, self._usage_of(), {**self._stop, "planner": self._receipt})

    def chunk(self, chunk: dict[str, Any]) -> bytes:
        lines = self._begin()
        choice = next((each for each in chunk.get("choices") or () if each["index"] == 0), None)
        self._hear(chunk, choice)
        if choice is not None:
            for change in self._blocks.hear(choice.get("delta") or {}):
                lines.append(self._tell(change))
            if choice["finish_reason"]:
                for change in self._blocks.end():
                    lines.append(self._tell(change))
        return b"".join(lines)

    def done(self) -> bytes:
        usage = self._usage_of()
        delta = event("message_delta", {"delta": self._stop, "usage": usage, "planner": self._receipt})
        return b"".join([*self._begin(), delta, event("message_stop", {})])

    def error(self, refusal: Refusal) -> bytes:
        return event("error", {"error": messages_error(refusal)["error"]})

    def _hear(self, found: Mapping[str, Any], choice: Mapping[str, Any] | None) -> None:
        """What a body or a chunk tells beside its text."""
        self._usage = found.get("usage") or self._usage
        self._receipt = found.get("planner") or self._receipt
        if choice is not None and (reason := reason_of(choice)) is not None:
            self._reason = reason
            by = choice.get("stop_reason")  # vLLM tells which of the stop strings it was
            self._stopped_by = by if self._reason == "stop" and isinstance(by, str) else None

    def _begin(self) -> list[bytes]:
        """The first events, where nothing was sent."""
        if self._is_begun:
            return []
        self._is_begun = True
        message = self._message([], self._usage_of(), {"stop_reason": None, "stop_sequence": None})
        return [event("message_start", {"message": message}), self.silence]

    def _tell(self, change: Change) -> bytes:
        """The event of a change. Raises Refusal (502) for a call whose arguments came broken."""
        block, at = change.block, {"index": change.block.index}
        if isinstance(change, Opened):
            return event("content_block_start", {**at, "content_block": _empty(block)})
        if isinstance(change, Closed):
            if block.kind == "call":
                arguments_of(block, is_cut=self._is_cut)
            return event("content_block_stop", at)
        return event("content_block_delta", {**at, "delta": _delta(block, change.text)})

    def _block(self, block: Block) -> _Json:
        """A whole block. Raises as ``_tell``."""
        empty = _empty(block)
        if block.kind == "call":
            return {**empty, "input": arguments_of(block, is_cut=self._is_cut)}
        return {**empty, "text" if block.kind == "text" else "thinking": block.text}

    @property
    def _is_cut(self) -> bool:
        return self._reason in ("length", "content_filter")

    @property
    def _stop(self) -> _Json:
        reason = "stop_sequence" if self._stopped_by is not None else "end_turn"
        return {
            "stop_reason": _REASONS.get(self._reason or "", reason),
            "stop_sequence": self._stopped_by,
        }

    def _message(self, content: list[_Json], usage: _Json, more: _Json) -> _Json:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": content,
            **more,
            "usage": usage,
        }

    def _usage_of(self) -> _Json:
        """All counts; Anthropic's do not count what was cached among the input."""
        used = Used.of(self._usage)
        return {
            "input_tokens": used.prompt - used.cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": used.cached,
            "output_tokens": used.completion,
        }


def _empty(block: Block) -> _Json:
    """A block as it begins."""
    if block.kind == "call":
        return {"type": "tool_use", "id": block.call_id, "name": block.name, "input": {}}
    if block.kind == "thought":
        return {"type": "thinking", "thinking": "", "signature": ""}
    return {"type": "text", "text": ""}


def _delta(block: Block, text: str) -> _Json:
    if block.kind == "call":
        return {"type": "input_json_delta", "partial_json": text}
    if block.kind == "thought":
        return {"type": "thinking_delta", "thinking": text}
    return {"type": "text_delta", "text": text}
