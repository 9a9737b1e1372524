"""An engine call: one request to the engine, with reservations for drawing and scoring its children.

Each child is paid for as it ends, and what was sent as the request ends: by the usage that the engine tells.
A call that is halted, or whose owner is cancelled, is cancelled at the
engine and charged for the tokens that the engine confirms; without a confirmation in time it is charged in
full.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

from search.engines.protocol import (
    ChildFinished,
    Engine,
    Event,
    FinishReason,
    Request,
    RequestFinished,
    Usage,
)
from search.errors import BrokenError, ContextError, EngineError, RefusedError, UnreachableError
from search.ledger import Ledger, Reservation

__all__ = ["EngineCall"]

#: errors of requests that were never taken, so that nothing was computed
_UNSENT = (UnreachableError, RefusedError, ContextError)


class EngineCall:
    """Sent by ``send``, again where that failed and nothing was computed.

    Parameters
    ----------
    drawing, scoring:
        What is held per child.
    sending:
        What is held for the prompt, however many children share it.
    on_child:
        Hears of each child that ends by itself, and of what is held for scoring it.
    halted:
        Done when nothing more is wanted.
    cancel_within:
        Seconds that the engine has to end what was cancelled.

    ``cut`` counts the children that were not heard of since they were cancelled.
    """

    def __init__(
        self,
        request: Request,
        engine: Engine,
        ledger: Ledger,
        *,
        drawing: Sequence[Reservation],
        scoring: Sequence[Reservation],
        sending: Reservation,
        on_child: Callable[[ChildFinished, Reservation], None],
        halted: asyncio.Future[None],
        cancel_within: float,
    ) -> None:
        self.request = request
        self.cut = 0
        self._engine = engine
        self._ledger = ledger
        self._drawing, self._scoring, self._sending = drawing, scoring, sending
        self._on_child = on_child
        self._halted = halted
        self._cancel_within = cancel_within
        self._arrived = 0  # tokens of children that have ended
        self._is_finished = False
        self._is_left = False

    @property
    def open(self) -> list[int]:
        """Children that are not paid for."""
        return [child for child, held in enumerate(self._drawing) if held.is_open]

    async def send(self) -> EngineError | None:
        """Ask the engine, once: what broke it, or None. What it took is charged, whatever comes.

        Where nothing was computed, nothing is charged and all stays held. Errors that are no engine's are
        raised.
        """
        reading = asyncio.ensure_future(self._read(self._engine.submit(self.request)))
        try:
            try:
                await asyncio.wait((reading, self._halted), return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                self._is_left = True
                raise
            finally:
                if not self._is_finished:
                    await self._call_off(reading)
        finally:
            error = self._charge(reading)
        if error is not None and not isinstance(error, EngineError):
            raise error
        return error

    def give_back(self) -> None:
        """It will not be sent again: release what is held for children that are not paid for."""
        for child in self.open:
            self._drawing[child].release()
            self._scoring[child].release()
        if self._sending.is_open:
            self._sending.release()

    async def _read(self, events: AsyncIterator[Event]) -> None:
        try:
            async for event in events:
                if isinstance(event, ChildFinished):
                    spent = len(event.token_ids) + event.lost_tokens
                    self._arrived += spent
                    self._drawing[event.child].settle(policy_tokens=spent)
                    if event.finish_reason == FinishReason.CANCELLED or self._is_left:
                        self.cut += 1
                        self._scoring[event.child].release()
                    else:
                        self._on_child(event, self._scoring[event.child])
                elif isinstance(event, RequestFinished):
                    usage = event.usage
                    self._ledger.record_work(
                        policy_tokens=usage.prompt_tokens
                        - usage.cached_prompt_tokens
                        + usage.generated_tokens
                    )
                    self._is_finished = True
                    self._pay(usage)
        finally:
            if not self._is_finished and isinstance(events, AsyncGenerator):
                await events.aclose()

    async def _call_off(self, reading: asyncio.Task[None]) -> None:
        """Cancel at the engine and hear how far it came; an engine that does not listen is left alone."""
        cancelling = asyncio.ensure_future(self._engine.cancel(self.request.request_id))
        try:
            await asyncio.wait((cancelling, reading), timeout=self._cancel_within)
        finally:
            cancelling.cancel()
            reading.cancel()
            await asyncio.gather(cancelling, reading, return_exceptions=True)

    def _charge(self, reading: asyncio.Task[None]) -> BaseException | None:
        """Charge what it took, as far as anybody knows; what broke it."""
        error = reading.exception() if reading.done() and not reading.cancelled() else None
        if isinstance(error, _UNSENT) and not self._arrived:
            return error
        self._pay(error.usage if isinstance(error, BrokenError) else None)
        unheard = len(self.open)
        if isinstance(error, BrokenError) and error.partial:
            self._charge_partial(error.partial)
        lost, count = self.open, self.request.n
        for child in lost:
            self._drawing[child].forfeit()
            self._scoring[child].release()
        if self._halted.done() and (error is None or isinstance(error, EngineError)):
            self.cut += unheard
            return None
        if lost and isinstance(error, BrokenError):
            return BrokenError(str(error))  # not all that was lost is known: nothing to go on with
        if lost and error is None:
            return EngineError(f"all children must finish, got {count - len(lost)} of {count}")
        if error is None and not self._is_finished:
            return EngineError(f"a request must finish, got its {count} children and no end")
        return error

    def _pay(self, usage: Usage | None) -> None:
        """Pay for what was sent; None: nobody knows how much that is."""
        if not self._sending.is_open:
            return
        if usage is None:
            self._sending.forfeit()
            return
        self._sending.settle(policy_sent=usage.prompt_tokens, policy_cached=usage.cached_prompt_tokens)

    def _charge_partial(self, partial: Sequence[ChildFinished]) -> None:
        work = len(self.request.prompt) + self._arrived
        for part in partial:
            spent = len(part.token_ids) + part.lost_tokens
            work += spent
            self._drawing[part.child].settle(policy_tokens=spent)
            self._scoring[part.child].release()
        self._ledger.record_work(policy_tokens=work)
