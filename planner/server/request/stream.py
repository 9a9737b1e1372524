"""A response that is sent as it comes, and ends all work for it as soon as its client has gone.

Starlette notices a client that has left only when it next sends; a search is silent for seconds. Progress
comes in lines of its own: SSE comments, which every OpenAI client skips.

    : planner {"type": "decided", "choice": 0, "stage": 0, ...}

A named event would not do: the official client takes any event's data for a chunk.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from planner.server.refusal import refusal_of
from planner.server.request.ask import Ask
from planner.server.request.serialize import (
    advice_to_dict,
    known,
    probe_to_dict,
    spend_to_dict,
    votes_to_list,
)
from planner.server.request.shapes import Answers, Shape, Writer, said
from planner.server.request.shaping import StopFilter
from planner.solving.events import Decided, Drawn, Ended, Event, Grown, Lost, Probed, Pruned, Started
from search.scores import split

__all__ = [
    "EventStream",
    "News",
    "Sender",
    "comment",
    "gone",
    "progress_to_dict",
    "sent",
]

#: seconds of silence after which a stream says that it lives
_SILENCE = 10.0

_Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a stream. ``begins``: whether it tells that the policy writes, so that a stream may begin."""

    content: bytes
    begins: bool


News = _Line | Answers | Exception


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


class Sender:
    """Turns what happens into lines of a stream."""

    def __init__(
        self,
        shape: Shape,
        writer: Writer,
        ask: Ask,
        response_id: str,
        created: int,
        put: Callable[[News], None],
    ) -> None:
        self.writer = writer
        self._shape = shape
        self._ask = ask
        self._head = response_id, created, ask.model
        self._put = put
        self._filters = [StopFilter(ask.stop) for _ in range(ask.n)]
        self._sent = [""] * ask.n
        self._begun = [False] * ask.n

    def queued(self, waiting: int) -> None:
        """The request waits for its turn."""
        self._put(_Line(comment({"type": "queued", "choice": 0, "waiting": waiting}), False))

    def hear(self, event: Event, place: int) -> None:
        """Tell of progress."""
        body = progress_to_dict(event, place)
        if body is not None:
            self._put(_Line(comment(body), isinstance(event, Drawn | Grown)))

    def text(self, text: str, place: int) -> None:
        """Pass text on that the policy has just written."""
        passed = self._filters[place].feed(text)
        if passed:
            self._sent[place] += passed
            self._put(_Line(self._piece(place, passed), True))

    def rest(self, answers: Answers) -> list[bytes]:
        """What is left to be sent once all is known."""
        lines: list[bytes] = []
        last = len(answers.solutions) - 1
        for place, solution in enumerate(answers.solutions):
            text, reason, calls = said(solution)
            sent = self._sent[place]
            # a text that came as it was written is not sent again
            left = text[len(sent) :] if text.startswith(sent) else ""
            lines += [self._piece(place, piece) for piece in _pieces(left)]
            if not self._begun[place]:
                lines.append(self._piece(place, ""))
            if calls:
                lines.append(self.writer.chunk(self._shape.piece(*self._head, place, calls=calls)))
            more = {"planner": answers.receipt} if place == last else None
            lines.append(
                self.writer.chunk(self._shape.piece(*self._head, place, finish_reason=reason, more=more))
            )
        if self._ask.include_usage:
            lines.append(self.writer.chunk(self._shape.usage(*self._head, answers.usage)))
        return [*lines, self.writer.done()]

    def _piece(self, place: int, text: str) -> bytes:
        first = not self._begun[place]
        self._begun[place] = True
        return self.writer.chunk(self._shape.piece(*self._head, place, text=text, first=first))


async def sent(
    run: Callable[[], Awaitable[Answers]],
    lines: asyncio.Queue[News],
    sender: Sender,
    held: float | None,
) -> AsyncGenerator[bytes]:
    """The lines of a stream. Closing the generator ends the work, which is what ``run`` awaits.

    ``held``: seconds for which nothing is yielded before the policy has written something, and an error
    raises; None: not even one.
    """

    async def work() -> None:
        try:
            lines.put_nowait(await run())
        except Exception as error:
            lines.put_nowait(error)

    early: list[bytes] | None = None if held is None else []
    clock = asyncio.get_running_loop().time
    until = clock() + (held or 0.0)
    task = asyncio.ensure_future(work())
    try:
        while True:
            try:
                async with asyncio.timeout(_SILENCE if early is None else max(0.0, until - clock())):
                    line = await lines.get()
            except TimeoutError:
                for each in early or ():
                    yield each
                early = None
                yield sender.writer.silence
                continue
            if isinstance(line, Exception):
                if early is not None:
                    raise line
                yield sender.writer.error(refusal_of(line))
                return
            if early is not None and isinstance(line, _Line) and not line.begins:
                early.append(line.content)
                continue
            for each in early or ():
                yield each
            early = None
            if isinstance(line, Answers):
                for piece in sender.rest(line):
                    yield piece
                return
            yield line.content
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _pieces(text: str) -> list[str]:
    """A text in its steps, which read like the writing of it."""
    return text.splitlines(keepends=True) if len(split(text, "\n")) > 1 else [text] if text else []
