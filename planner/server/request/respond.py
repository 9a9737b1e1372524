"""Answers a request: whole or as a stream, planned or by the policy's own server, until its client leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from planner.server.access.keys import Key
from planner.server.refusal import Refusal, refusal_of
from planner.server.request.ask import Ask
from planner.server.request.budget import RequestBudget
from planner.server.request.shapes import Shape, Writer, whole
from planner.server.request.shaping import StopFilter
from planner.server.request.stream import EventStream, comment, gone, progress_to_dict
from planner.server.request.work import Answers, Work
from planner.server.service import Service
from planner.solving.events import Drawn, Event, Grown
from search.strategies.running.steps import split

__all__ = ["begun", "respond", "while_connected"]

#: seconds of silence after which a stream says that it lives
_SILENCE = 10.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a stream. ``begins``: whether it tells that the policy writes, so that a stream may begin."""

    content: bytes
    begins: bool


_News = _Line | Answers | Exception


async def respond(
    service: Service, shape: Shape, ask: Ask, granted: RequestBudget, key: Key, request: Request
) -> Response:
    """The response to a request that has been read and let in. Raises Refusal."""
    response_id, created = shape.new_id(), int(time.time())
    writer = shape.writer(response_id, created, ask.model)
    if ask.stream:
        lines: asyncio.Queue[_News] = asyncio.Queue()
        sender = _Sender(shape, writer, ask, response_id, created, lines.put_nowait)
        work = Work(
            service,
            ask,
            granted,
            key,
            shape.endpoint,
            response_id,
            listener=sender.hear,
            on_text=sender.text,
            on_queue=sender.queued,
        )
        patience = service.rules.sizes.seconds
        held = None if "progress" in ask.include else patience
        return await begun(_sent(work, lines, sender, held), request, patience)
    work = Work(service, ask, granted, key, shape.endpoint, response_id)
    answers = await while_connected(work.run(), request)
    found = shape.body(response_id, created, ask.model, answers.answers, answers.usage, answers.receipt)
    return whole(writer.body(found))


async def begun(source: AsyncGenerator[bytes], request: Request, patience: float) -> EventStream:
    """A stream that has something to say. Until then an error raises, as for an answer that comes whole."""
    try:
        first = await while_connected(anext(source), request)
    except BaseException:
        await source.aclose()
        raise
    return EventStream(source, first=first, patience=patience)


async def while_connected(work: Awaitable[T], request: Request) -> T:
    """What the work returns. It is cancelled, and Refusal (499) raised, when the client leaves."""
    task = asyncio.current_task()
    assert task is not None
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        await gone(request.receive)
        has_left = True
        task.cancel()

    watching = asyncio.create_task(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if has_left and task.uncancel() == 0:
            raise Refusal(
                "a client waits for its answer, got one that left", 499, code="client_left"
            ) from None
        raise
    finally:
        watching.cancel()


class _Sender:
    """Turns what happens into lines of a stream."""

    def __init__(
        self,
        shape: Shape,
        writer: Writer,
        ask: Ask,
        response_id: str,
        created: int,
        put: Callable[[_News], None],
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
        last = len(answers.answers) - 1
        for place, answer in enumerate(answers.answers):
            sent = self._sent[place]
            # a text that came as it was written is not sent again
            left = answer.text[len(sent) :] if answer.text.startswith(sent) else ""
            lines += [self._piece(place, piece) for piece in _pieces(left)]
            if not self._begun[place]:
                lines.append(self._piece(place, ""))
            if answer.calls:
                lines.append(self.writer.chunk(self._shape.piece(*self._head, place, calls=answer.calls)))
            more = {"planner": answers.receipt} if place == last else None
            lines.append(
                self.writer.chunk(
                    self._shape.piece(*self._head, place, finish_reason=answer.finish_reason, more=more)
                )
            )
        if self._ask.include_usage:
            lines.append(self.writer.chunk(self._shape.usage(*self._head, answers.usage)))
        return [*lines, self.writer.done()]

    def _piece(self, place: int, text: str) -> bytes:
        first = not self._begun[place]
        self._begun[place] = True
        return self.writer.chunk(self._shape.piece(*self._head, place, text=text, first=first))


async def _sent(
    work: Work, lines: asyncio.Queue[_News], sender: _Sender, held: float | None
) -> AsyncGenerator[bytes]:
    """The lines of a stream. Closing the generator ends the work.

    ``held``: seconds for which nothing is yielded before the policy has written something, and an error
    raises; None: not even one.
    """

    async def run() -> None:
        try:
            lines.put_nowait(await work.run())
        except Exception as error:
            lines.put_nowait(error)

    early: list[bytes] | None = None if held is None else []
    clock = asyncio.get_running_loop().time
    until = clock() + (held or 0.0)
    task = asyncio.ensure_future(run())
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
