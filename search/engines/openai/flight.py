"""A flight: one request under way, from its connection to its events.

A server that cannot be reached, or takes no more work, is asked again within the patience: nothing was
computed. An answer that breaks off is not asked for again here, since what is lost must be paid by whoever
holds the budget: it raises BrokenError with the children as far as they came.

Cancelling all children closes the connection, and the server stops. A single child of several cannot be
stopped over HTTP (a request of its own per child would share no prefill): it ends here at once, the server
goes on with it as long as its siblings live, and what that may generate is in its ``lost_tokens``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from search.engines.openai.dialect import Dialect, Piece, ReportedUsage, usage_of
from search.engines.openai.tokenizer import Tokenizer
from search.engines.protocol import (
    ChildFinished,
    Event,
    FinishReason,
    Request,
    RequestFinished,
    Tokens,
    Usage,
)
from search.errors import BrokenError, EngineError, GarbledError, UnreachableError
from search.remote.client import Client

__all__ = ["Flight", "Line"]


@dataclass(frozen=True, slots=True)
class Line:
    """What all flights of an engine share.

    ``tokenizer``: where the server tells no token ids. ``deadline``: most seconds of a request, waiting
    included.
    """

    client: Client
    dialect: Dialect
    tokenizer: Tokenizer | None
    deadline: float


@dataclass(slots=True)
class _Child:
    """A child while it is written."""

    number: int
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


class Flight:
    """Starts at once, on the running loop; ``arrived`` fills with events, or with the error that ends it.

    ``on_end`` is called as the last of them is put there.
    """

    def __init__(self, request: Request, max_tokens: int, line: Line, on_end: Callable[[], object]) -> None:
        self.request = request
        self.arrived: asyncio.Queue[Event | EngineError] = asyncio.Queue()
        self._most = max_tokens
        self._line = line
        self._body = line.dialect.body(request, max_tokens)
        self._live = {number: _Child(number) for number in range(request.n)}
        self._seen = 0  # tokens, of children that ended here too
        self._is_left = False  # whether the server goes on with a child that ended here
        self._is_sent = False  # whether a server may be at work
        self._reported: ReportedUsage | None = None
        self.is_over = False
        self._on_end = on_end
        self._task = asyncio.get_running_loop().create_task(self._run())

    def cancel(self, child: int | None = None) -> None:
        """End a child, or all of them, as far as they came."""
        if self.is_over:
            return
        for number in [*self._live] if child is None else [child]:
            found = self._live.pop(number, None)
            if found is not None:
                self._is_left = True
                self._put(self._ended(found, FinishReason.CANCELLED, alone=child is not None))
        if not self._live:
            self._finish()
            self._task.cancel()

    async def landed(self) -> None:
        """Wait until the connection is closed or free."""
        await asyncio.wait([self._task])

    # -- the connection -------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(self._line.deadline):
                await self._fly()
        except BrokenError as error:
            if self._live:
                self._fail(BrokenError(str(error), self._lost()))
            else:  # only the end of the stream was lost
                self._finish()
        except EngineError as error:
            self._fail(error)
        except TimeoutError:
            late = f"a request must end within {self._line.deadline:g} s, got one that did not"
            self._fail(BrokenError(f"{late} from {self._line.client.root}"))
        except Exception as error:  # nobody may wait for ever
            self._fail(EngineError(f"the openai engine failed: {type(error).__name__}: {error}"))

    async def _fly(self) -> None:
        tries = self._line.client.tries()
        while True:
            await tries.enter()
            self._is_sent = True
            try:
                async with self._line.client.events(self._line.dialect.path, self._body) as events:
                    async for event in events:
                        tries.succeeded()
                        self._hear(event)
                        if self.is_over:
                            return
            except UnreachableError as error:
                self._is_sent = False
                await asyncio.sleep(tries.pause(error))
            except BrokenError:
                tries.broke()
                raise
            else:
                break
        if self._live:
            raise GarbledError(
                f"a stream must end all children, got {len(self._live)} of {self.request.n} that did not"
            )
        self._finish()

    def _hear(self, event: object) -> None:
        """One event of the stream."""
        if not isinstance(event, dict):
            raise GarbledError(f"an event must be an object, got {event!r:.80}")
        if event.get("error"):
            raise BrokenError(f"a stream must not end in an error, got {event['error']!r:.300}")
        try:
            self._reported = usage_of(event) or self._reported
            for piece in self._line.dialect.pieces(event):
                self._add(piece)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise GarbledError(f"an event must be a completion's, got {event!r:.200}") from error

    # -- children -------------------------------------------------------------------------------

    def _add(self, piece: Piece) -> None:
        if not 0 <= piece.child < self.request.n:
            raise GarbledError(f"a child must be below n={self.request.n}, got {piece.child}")
        reported = piece.token_ids
        if reported is not None:
            self._seen += len(reported)
            if self.request.logprobs and len(piece.logprobs) != len(reported):
                raise GarbledError(
                    f"a token must have one logprob, got {len(piece.logprobs)} for {len(reported)} tokens"
                )
        child = self._live.get(piece.child)
        if child is None:  # it ended here, and the server goes on
            return
        text, reason = piece.text, piece.finish_reason
        if self._line.dialect.cuts_stops:
            cut = _cut(child.text, text, self.request.stop)
            if cut is not None:
                text, reason, self._is_left = text[:cut], FinishReason.STOP, True
        child.text += text
        child.token_ids += reported or ()
        child.logprobs += piece.logprobs
        if self.request.stream and (text or reported):
            self._put(Tokens(child.number, text, self._encode(text) if reported is None else reported))
        if reason is not None:
            del self._live[child.number]
            self._put(self._ended(child, reason))
            if self._is_left and not self._live:
                self._finish()

    def _ended(self, child: _Child, reason: str, *, alone: bool = False) -> ChildFinished:
        ids, logprobs = tuple(child.token_ids), tuple(child.logprobs)
        if self._line.tokenizer is not None:
            ids = self._encode(child.text)
            end = self._line.tokenizer.end
            if reason == FinishReason.END and end is not None and len(logprobs) != len(ids):
                ids += (end,)
            ids = ids[: self._most]  # a text may be drawn by fewer tokens than it is parted into here
            if len(logprobs) != len(ids):
                logprobs = ()  # the server counts other tokens: whose probabilities these are is unknown
            self._seen += len(ids)
        lost = 0
        if reason in (FinishReason.CANCELLED, FinishReason.LOST) and self._is_sent:
            left = max(0, self._most - len(ids))
            lag = 1 if self.request.stream else self._line.dialect.lag
            lost = left if alone and self._live else min(left, lag)
        return ChildFinished(child.number, child.text, ids, logprobs, reason, lost)

    def _encode(self, text: str) -> tuple[int, ...]:
        return () if self._line.tokenizer is None or not text else self._line.tokenizer.encode(text)

    def _lost(self) -> tuple[ChildFinished, ...]:
        return tuple(self._ended(child, FinishReason.LOST) for child in self._live.values())

    # -- the end --------------------------------------------------------------------------------

    def _put(self, event: Event | EngineError) -> None:
        if not self.is_over:
            self.arrived.put_nowait(event)

    def _finish(self) -> None:
        reported = self._reported or ReportedUsage(len(self.request.prompt), 0, self._seen)
        self._put(
            RequestFinished(
                Usage(reported.prompt_tokens, reported.cached_prompt_tokens, reported.generated_tokens)
            )
        )
        self._end()

    def _fail(self, error: EngineError) -> None:
        self._put(error)
        self._end()

    def _end(self) -> None:
        self.is_over = True
        self._on_end()


def _cut(before: str, new: str, stop: tuple[str, ...]) -> int | None:
    """How much of ``new`` belongs to a text that ends with the first stop string; None without one."""
    if not stop:
        return None
    text = before + new
    ends = []
    for wanted in stop:
        found = text.find(wanted, max(0, len(before) - len(wanted) + 1))
        if found >= 0:
            ends.append(found + len(wanted))
    return min(ends) - len(before) if ends else None
