"""Responses as OpenAI's reference has them: bodies and chunks of chat and of completions.

Both endpoints differ in names only, so each is a ``Shape``.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.server.request.work import Answer
from planner.server.request.writer import ChunkWriter, Writer

__all__ = ["CHAT", "COMPLETION", "Shape"]

_Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """An endpoint's names.

    Parameters
    ----------
    endpoint, path:
        As decisions name it; where the policy's own server has it.
    prefix:
        Of response ids, with what parts it from the rest.
    whole, chunk:
        The ``object`` of a body and of a chunk.
    """

    endpoint: str
    path: str
    prefix: str
    whole: str
    chunk: str

    @property
    def is_chat(self) -> bool:
        """Whether answers are messages."""
        return self.path == CHAT.path

    def new_id(self) -> str:
        """An id for a response."""
        return f"{self.prefix}{secrets.token_hex(12)}"

    def writer(self, response_id: str, created: int, model: str) -> Writer:
        """What writes one response."""
        return ChunkWriter()

    def body(
        self,
        response_id: str,
        created: int,
        model: str,
        answers: Sequence[Answer],
        usage: _Json,
        receipt: Any,
    ) -> _Json:
        """A whole response."""
        return {
            "id": response_id,
            "object": self.whole,
            "created": created,
            "model": model,
            "choices": [self._choice(place, answer) for place, answer in enumerate(answers)],
            "usage": usage,
            "system_fingerprint": None,
            "planner": receipt,
        }

    def piece(
        self,
        response_id: str,
        created: int,
        model: str,
        place: int,
        *,
        text: str | None = None,
        first: bool = False,
        calls: Sequence[_Json] = (),
        finish_reason: str | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> _Json:
        """A chunk of choice ``place``."""
        choice: _Json = {"index": place, "logprobs": None, "finish_reason": finish_reason}
        if self.is_chat:
            delta: _Json = {}
            if first:
                delta["role"] = "assistant"
            if text is not None or first:
                delta["content"] = text or ""
            if calls:
                delta["tool_calls"] = [{"index": at, **call} for at, call in enumerate(calls)]
            choice["delta"] = delta
        else:
            choice["text"] = text or ""
        return {
            "id": response_id,
            "object": self.chunk,
            "created": created,
            "model": model,
            "choices": [choice],
            **(more or {}),
        }

    def usage(self, response_id: str, created: int, model: str, usage: _Json) -> _Json:
        """The last chunk, with no choices."""
        return {
            "id": response_id,
            "object": self.chunk,
            "created": created,
            "model": model,
            "choices": [],
            "usage": usage,
        }

    def _choice(self, place: int, answer: Answer) -> _Json:
        choice: _Json = {"index": place, "logprobs": None, "finish_reason": answer.finish_reason}
        if self.is_chat:
            message: _Json = {"role": "assistant", "content": answer.text, "refusal": None}
            if answer.calls:
                message |= {"content": answer.text or None, "tool_calls": [*answer.calls]}
            choice["message"] = message
        else:
            choice["text"] = answer.text
        return choice


CHAT = Shape(
    endpoint="chat",
    path="/chat/completions",
    prefix="chatcmpl-",
    whole="chat.completion",
    chunk="chat.completion.chunk",
)
COMPLETION = Shape(
    endpoint="completions",
    path="/completions",
    prefix="cmpl-",
    whole="text_completion",
    chunk="text_completion",
)
