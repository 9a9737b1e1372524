"""A response that is sent as it comes, and ends all work for it as soon as its client has gone.

Starlette notices a client that has left only when it next sends; a search is silent for seconds. Progress
comes in lines of its own: SSE comments, which every OpenAI client skips.

    : planner {"type": "decided", "choice": 0, "stage": 0, ...}

A named event would not do: the official client takes any event's data for a chunk.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from planner.server.request.serialize import (
    advice_to_dict,
    known,
    probe_to_dict,
    spend_to_dict,
    votes_to_list,
)
from planner.solving.events import Decided, Drawn, Ended, Event, Grown, Lost, Probed, Pruned, Started

__all__ = [
    "DONE",
    "KEEP_ALIVE",
    "EventStream",
    "comment",
    "data",
    "gone",
    "progress_to_dict",
]

KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"


def data(value: Mapping[str, Any]) -> bytes:
    """A data line of a stream.

    >>> data({"a": "é"})
    b'data: {"a":"\\\\u00e9"}\\n\\n'
    """
    return f"data: {json.dumps(value, separators=(',', ':'), allow_nan=False)}\n\n".encode()


async def gone(receive: Receive) -> None:
    """Returns when the client has left."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return


class EventStream(Response):
    """Sends what ``source`` yields as ``text/event-stream``.

    ``first``: what comes before that; a line for which somebody has waited already. ``patience``: seconds
    that a client may take to accept a piece; then it counts as gone. The generator is closed (it is cancelled
    where it waits) as soon as the client leaves.
    """

    media_type = "text/event-stream"

    def __init__(self, source: AsyncGenerator[bytes], *, first: bytes = b"", patience: float = 30.0) -> None:
        self._first = first
        self._source = source
        self._patience = patience
        self.status_code = 200
        self.background = None
        self.body = b""
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Headers without a length, which nobody knows."""
        given = {"content-type": "text/event-stream; charset=utf-8", **(headers or {})}
        self.raw_headers = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in given.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pump = asyncio.ensure_future(self._pump(send))
        left = asyncio.ensure_future(gone(receive))
        try:
            await asyncio.wait((pump, left), return_when=asyncio.FIRST_COMPLETED)
            if pump.done():
                pump.result()
        finally:
            for task in (pump, left):
                task.cancel()
            await asyncio.gather(pump, left, return_exceptions=True)
            await self._source.aclose()

    async def _pump(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        if self._first:
            await self._piece(send, self._first)
        async for piece in self._source:
            await self._piece(send, piece)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _piece(self, send: Send, piece: bytes) -> None:
        async with asyncio.timeout(self._patience):
            await send({"type": "http.response.body", "body": piece, "more_body": True})


_Json = dict[str, Any]


def progress_to_dict(event: Event, choice: int = 0, usd: float | None = None) -> _Json | None:
    """An event in JSON; None for one that a client does not hear of. ``choice`` numbers the answers."""
    teller = _TELLERS.get(type(event))
    if teller is None:
        return None
    kind, body = teller(event)
    return {"type": kind, "choice": choice, **body, "spend": spend_to_dict(event.spend, usd)}


def comment(body: _Json) -> bytes:
    """A comment line of a stream."""
    line = json.dumps(body, separators=(",", ":"), allow_nan=False)
    return f": planner {line}\n\n".encode()


def _decided(event: Decided) -> tuple[str, _Json]:
    return "decided", {
        "stage": event.stage,
        "look": probe_to_dict(event.probe),
        "advice": advice_to_dict(event.advice),
    }


def _started(event: Started) -> tuple[str, _Json]:
    choice = event.choice
    return "started", {
        "policy": choice.policy,
        "prm": choice.prm,
        "plan": str(choice.plan),
        "look": probe_to_dict(event.probe),
    }


def _drawn(event: Drawn) -> tuple[str, _Json]:
    candidate = event.candidate
    return "drawn", {
        "draw": event.draw,
        "text": candidate.text,
        "answer": candidate.answer,
        "step_rewards": list(candidate.step_rewards),
        "tokens": candidate.tokens,
        "finish_reason": candidate.finish_reason,
        "votes": votes_to_list(event.votes),
        "missing": event.missing,
    }


def _grown(event: Grown) -> tuple[str, _Json]:
    return "grown", {
        "node": event.node,
        "parent": event.parent,
        "steps": event.steps,
        "text": event.text,
        "reward": known(event.reward),
        "tokens": event.tokens,
        "finish_reason": event.finish_reason,
        "answer": event.answer,
        "votes": votes_to_list(event.votes),
    }


def _pruned(event: Pruned) -> tuple[str, _Json]:
    return "pruned", {"kept": list(event.kept), "dropped": list(event.dropped)}


def _probed(event: Probed) -> tuple[str, _Json]:
    return "looked", {"look": probe_to_dict(event.probe), "candidates": event.candidates}


def _ended(event: Ended) -> tuple[str, _Json]:
    return "ended", {"why": str(event.why), "missing": event.missing}


def _lost(event: Lost) -> tuple[str, _Json]:
    return "lost", {"prm": event.prm}


_TELLERS: dict[type, Callable[[Any], tuple[str, _Json]]] = {
    Decided: _decided,
    Started: _started,
    Drawn: _drawn,
    Grown: _grown,
    Pruned: _pruned,
    Probed: _probed,
    Ended: _ended,
    Lost: _lost,
}
