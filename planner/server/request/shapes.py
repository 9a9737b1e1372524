"""How responses are written: bodies and chunks of chat and of completions, as OpenAI's reference has them.

Both endpoints differ in names only, so each is a ``Shape``. All work speaks OpenAI's completions; other
protocols write them their way, each by a ``Writer`` of its own.
"""

from __future__ import annotations

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from planner.server.refusal import Refusal
from planner.server.request.ask import TOOL_CALL
from planner.server.request.structured import message_of
from planner.solving.solution import Solution
from search.engines.protocol import FinishReason
from search.plan import Plan
from search.result import Candidate, Outcome
from search.strategies.trees.tree import TreeSearch

__all__ = [
    "CHAT",
    "COMPLETION",
    "DONE",
    "KEEP_ALIVE",
    "Answers",
    "ChunkWriter",
    "Shape",
    "Writer",
    "data",
    "event",
    "said",
    "shown",
    "whole",
]


_Json = dict[str, Any]

KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"


def data(value: Mapping[str, Any]) -> bytes:
    """A data line of a stream.

    >>> data({"a": "é"})
    b'data: {"a":"\\\\u00e9"}\\n\\n'
    """
    return f"data: {json.dumps(value, separators=(',', ':'), allow_nan=False)}\n\n".encode()


class Writer(ABC):
    """Writes one response, whole or as a stream. It keeps what it has written: each response has its own."""

    #: what a stream sends where it has been silent for long
    silence: bytes = KEEP_ALIVE

    @abstractmethod
    def body(self, found: dict[str, Any]) -> dict[str, Any]:
        """A whole completion as this protocol has it. Raises Refusal (502) for one that it cannot hold."""

    @abstractmethod
    def chunk(self, chunk: dict[str, Any]) -> bytes:
        """The lines for a chunk of a stream; perhaps none. Raises Refusal (502), as ``body``."""

    @abstractmethod
    def done(self) -> bytes:
        """The last lines of a stream that is whole."""

    @abstractmethod
    def error(self, refusal: Refusal) -> bytes:
        """The last lines of a stream that failed after it had begun."""


class ChunkWriter(Writer):
    """Writes what it is given: OpenAI's completions and chat completions.

    >>> ChunkWriter().chunk({"choices": []})
    b'data: {"choices":[]}\\n\\n'
    """

    def body(self, found: dict[str, Any]) -> dict[str, Any]:
        return found

    def chunk(self, chunk: dict[str, Any]) -> bytes:
        return data(chunk)

    def done(self) -> bytes:
        return DONE

    def error(self, refusal: Refusal) -> bytes:
        return data(refusal.body)


def event(kind: str, value: Mapping[str, Any]) -> bytes:
    """A named event of a stream, which its data names too.

    >>> event("ping", {})
    b'event: ping\\ndata: {"type":"ping"}\\n\\n'
    """
    line = json.dumps({"type": kind, **value}, separators=(",", ":"), allow_nan=False)
    return f"event: {kind}\ndata: {line}\n\n".encode()


def whole(found: Mapping[str, Any]) -> Response:
    """A body, in ASCII: what a policy's server said may hold halves of characters, which UTF-8 does not.

    >>> whole({"text": "\\ud83d"}).body
    b'{"text":"\\\\ud83d"}'
    """
    line = json.dumps(found, separators=(",", ":"), allow_nan=False)
    return Response(line.encode(), media_type="application/json")


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything a response holds: a solution for each of its choices."""

    solutions: tuple[Solution, ...]
    usage: dict[str, Any]
    receipt: dict[str, Any]


def said(solution: Solution) -> tuple[str, str, tuple[_Json, ...]]:
    """What a solution says: a text, why it ended, and calls of tools.

    It ends with ``stop``, ``tool_calls``, ``length`` (a limit of tokens or of steps cut it off) or
    ``content_filter``. It is of the candidate that was chosen, or of the first where no answer can be read.
    """
    if not solution.candidates:  # the budget let nothing finish
        return "", "stop" if solution.outcome == Outcome.ABSTAINED else "length", ()
    candidate = solution.candidates[solution.chosen or 0]
    reason = _reason(candidate, solution.choice.plan)
    if solution.domain != TOOL_CALL:
        return candidate.text, reason, ()
    message = message_of(candidate.text)
    calls = tuple(message.get("tool_calls") or ())
    return message["content"] or "", "tool_calls" if calls and reason == "stop" else reason, calls


def _reason(candidate: Candidate, plan: Plan) -> str:
    """Why a candidate ended, in OpenAI's words."""
    ended = candidate.finish_reason
    if ended == FinishReason.FILTERED:
        return "content_filter"
    if ended in FinishReason.TRUNCATED or (ended == FinishReason.STOP and _grows(plan)):
        return "length"
    return "stop"


def _grows(plan: Plan) -> bool:
    """Whether a plan or a part of it is a tree search, whose solutions end between two steps at a limit."""
    plans = (plan, *(part.plan for part in plan.walk()))
    return any(isinstance(one.described, TreeSearch) for one in plans)


def shown(solution: Solution) -> int:
    """Tokens of what a solution says."""
    return solution.candidates[solution.chosen or 0].tokens if solution.candidates else 0


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
        answers: Answers,
    ) -> _Json:
        """A whole response."""
        return {
            "id": response_id,
            "object": self.whole,
            "created": created,
            "model": model,
            "choices": [self._choice(place, one) for place, one in enumerate(answers.solutions)],
            "usage": answers.usage,
            "system_fingerprint": None,
            "planner": answers.receipt,
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

    def _choice(self, place: int, solution: Solution) -> _Json:
        text, reason, calls = said(solution)
        choice: _Json = {"index": place, "logprobs": None, "finish_reason": reason}
        if self.is_chat:
            message: _Json = {"role": "assistant", "content": text, "refusal": None}
            if calls:
                message |= {"content": text or None, "tool_calls": [*calls]}
            choice["message"] = message
        else:
            choice["text"] = text
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
