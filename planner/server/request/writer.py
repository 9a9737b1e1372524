"""How a response is written: all work speaks OpenAI's completions, other protocols write them their way."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from planner.server.refusal import Refusal
from planner.server.request.stream import DONE, KEEP_ALIVE, data

__all__ = ["ChunkWriter", "Writer", "event", "whole"]


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
