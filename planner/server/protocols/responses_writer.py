"""Writes answers as OpenAI's Responses: an object with items, or events that build one.

The events of a stream are those of OpenAI's reference, numbered by ``sequence_number``: ``response.created``,
``response.in_progress``, for each item ``response.output_item.added`` to ``response.output_item.done``, and
at last ``response.completed``, ``response.incomplete`` (a limit was reached) or ``response.failed``. Only the
last has the usage and the receipt. A stream ends with it: there is no ``[DONE]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from planner.server.protocols.blocks import Block, Blocks, Change, Closed, Opened, Used, blocks_of, reason_of
from planner.server.protocols.responses_request import ResponsesBody
from planner.server.refusal import Refusal
from planner.server.request.shapes import CHAT, Shape, Writer, event

__all__ = ["ResponsesShape", "ResponsesWriter"]

_Json = dict[str, Any]

#: reasons of a chat to end before the end -> those of a response
_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}

#: kind of a block -> what its item's id begins with
_PREFIXES = {"text": "msg", "call": "fc", "thought": "rs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesShape(Shape):
    """The endpoint, for one request: answers repeat what was asked."""

    endpoint: str = "responses"
    path: str = CHAT.path
    prefix: str = "resp_"
    whole: str = CHAT.whole
    chunk: str = CHAT.chunk
    asked: ResponsesBody

    def writer(self, response_id: str, created: int, model: str) -> Writer:
        return ResponsesWriter(self.asked, response_id, created)


class ResponsesWriter(Writer):
    """Writes one response. ``created``: seconds since the epoch."""

    def __init__(self, asked: ResponsesBody, response_id: str, created: int) -> None:
        self._asked = asked
        self._id = response_id
        self._created = created
        self._serial = 0
        self._blocks = Blocks()
        self._reason: str | None = None
        self._usage: Any = None
        self._receipt: Any = None

    def body(self, found: dict[str, Any]) -> dict[str, Any]:
        choice = found["choices"][0]
        self._hear(found, choice)
        blocks = blocks_of(choice["message"])
        return self._response(self._status, self._items(blocks))

    def chunk(self, chunk: dict[str, Any]) -> bytes:
        lines = self._begin()
        choice = next((each for each in chunk.get("choices") or () if each["index"] == 0), None)
        self._hear(chunk, choice)
        if choice is not None:
            for change in self._blocks.hear(choice.get("delta") or {}):
                lines += self._tell(change)
            if choice["finish_reason"]:
                for change in self._blocks.end():
                    lines += self._tell(change)
        return b"".join(lines)

    def done(self) -> bytes:
        response = self._response(self._status, self._items(self._blocks.blocks))
        return b"".join([*self._begin(), self._event(f"response.{self._status}", response=response)])

    def error(self, refusal: Refusal) -> bytes:
        told = refusal.body["error"]
        code = "server_error" if refusal.status >= 500 else "invalid_prompt"
        response = self._response("failed", self._items(self._blocks.blocks))
        response["error"] = {
            "code": "rate_limit_exceeded" if refusal.status == 429 else code,
            "message": told["message"],
            "param": told["param"],
            "type": told["type"],
        }
        return b"".join([*self._begin(), self._event("response.failed", response=response)])

    @property
    def _status(self) -> str:
        return "incomplete" if self._reason in _CUT else "completed"

    def _hear(self, found: Mapping[str, Any], choice: Mapping[str, Any] | None) -> None:
        """What a body or a chunk tells beside its text."""
        self._usage = found.get("usage") or self._usage
        self._receipt = found.get("planner") or self._receipt
        if choice is not None:
            self._reason = reason_of(choice) or self._reason

    def _begin(self) -> list[bytes]:
        """The first events, where nothing was sent."""
        if self._serial:
            return []
        response = self._response("in_progress", [])
        return [self._event(f"response.{name}", response=response) for name in ("created", "in_progress")]

    def _tell(self, change: Change) -> list[bytes]:
        """The events of a change."""
        block = change.block
        if isinstance(change, Opened):
            return self._opened(block)
        if isinstance(change, Closed):
            return self._closed(block)
        kind = _KINDS[block.kind]
        more = _beside(block)
        return [self._event(f"response.{kind}.delta", **self._at(block), delta=change.text, **more)]

    def _opened(self, block: Block) -> list[bytes]:
        item = self._item(block, "in_progress", text="")
        parts: _Json = {"content": []} if block.kind != "call" else {}
        added = self._event("response.output_item.added", output_index=block.index, item={**item, **parts})
        if block.kind == "call":
            return [added]
        part = _part(block, "")
        return [added, self._event("response.content_part.added", **self._at(block), part=part)]

    def _closed(self, block: Block) -> list[bytes]:
        kind, at = _KINDS[block.kind], self._at(block)
        if block.kind == "call":
            events = [self._event(f"response.{kind}.done", **at, name=block.name, arguments=block.text)]
        else:
            more = _beside(block)
            events = [
                self._event(f"response.{kind}.done", **at, text=block.text, **more),
                self._event("response.content_part.done", **at, part=_part(block, block.text)),
            ]
        item = self._item(block, self._item_status(block, self._blocks.blocks))
        return [*events, self._event("response.output_item.done", output_index=block.index, item=item)]

    def _at(self, block: Block) -> _Json:
        """Where an event of a block belongs."""
        place = {} if block.kind == "call" else {"content_index": 0}
        return {"item_id": self._item_id(block), "output_index": block.index, **place}

    def _item_id(self, block: Block) -> str:
        return f"{_PREFIXES[block.kind]}_{self._id.partition('_')[2]}{block.index:02d}"

    def _items(self, blocks: Iterable[Block]) -> list[_Json]:
        every = list(blocks)
        return [self._item(block, self._item_status(block, every)) for block in every]

    def _item_status(self, block: Block, every: list[Block]) -> str:
        """Whether an item came whole: the last one does not where a limit was reached."""
        is_last = block.index == len(every) - 1
        is_cut = self._reason in _CUT and is_last and not (block.kind == "call" and block.is_whole)
        return "incomplete" if is_cut or not block.is_closed else "completed"

    def _item(self, block: Block, status: str, text: str | None = None) -> _Json:
        said = block.text if text is None else text
        head = {"id": self._item_id(block), "status": status}
        if block.kind == "call":
            call = {"call_id": block.call_id, "name": block.name, "arguments": said}
            return {**head, "type": "function_call", **call}
        if block.kind == "thought":
            return {**head, "type": "reasoning", "summary": [], "content": [_part(block, said)]}
        return {**head, "type": "message", "role": "assistant", "content": [_part(block, said)]}

    def _event(self, kind: str, **fields: Any) -> bytes:
        line = event(kind, {"sequence_number": self._serial, **fields})
        self._serial += 1
        return line

    def _response(self, status: str, output: list[_Json]) -> _Json:
        """The object, with what OpenAI's has, and the receipt."""
        asked = self._asked
        cut = _CUT.get(self._reason or "") if status == "incomplete" else None
        reasoning = None if asked.reasoning is None else asked.reasoning.effort
        text = {} if asked.text is None else asked.text.model_dump(exclude_none=True)
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None if cut is None else {"reason": cut},
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "metadata": asked.metadata or {},
            "model": asked.model,
            "output": output,
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "previous_response_id": None,
            "reasoning": {"effort": reasoning, "summary": None},
            "store": False,
            "temperature": asked.temperature,
            "text": {"format": {"type": "text"}, **text},
            "tool_choice": asked.tool_choice or "auto",
            "tools": asked.tools or [],
            "top_p": asked.top_p,
            "truncation": "disabled",
            "usage": None if status == "in_progress" else self._used(),
            "user": asked.user,
            **({} if self._receipt is None else {"planner": self._receipt}),
        }

    def _used(self) -> _Json | None:
        if self._usage is None:
            return None
        used = Used.of(self._usage)
        return {
            "input_tokens": used.prompt,
            "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": 0},
            "output_tokens": used.completion,
            "output_tokens_details": {"reasoning_tokens": used.reasoning},
            "total_tokens": used.prompt + used.completion,
        }


#: kind of a block -> what the events of its text are called
_KINDS = {"text": "output_text", "call": "function_call_arguments", "thought": "reasoning_text"}


def _beside(block: Block) -> _Json:
    """What events of a text have beside it."""
    return {"logprobs": []} if block.kind == "text" else {}


def _part(block: Block, text: str) -> _Json:
    if block.kind == "thought":
        return {"type": "reasoning_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
