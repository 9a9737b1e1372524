"""A connection that must say what it wants in time: uvicorn's own, which waits for headers for ever."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["patient"]


def patient(seconds: float) -> type[asyncio.Protocol]:
    """A protocol class whose connections are closed when a request's headers take longer than this."""

    class Patient(H11Protocol):
        _hasty: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._begin()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            # between requests uvicorn's own timer runs; in the middle of headers none does
            if self.conn.their_state is h11.IDLE:
                self._begin()
            else:
                self._end()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end()
            super().connection_lost(exc)

        def _begin(self) -> None:
            if self._hasty is None:
                self._hasty = self.loop.call_later(seconds, self.transport.close)

        def _end(self) -> None:
            if self._hasty is not None:
                self._hasty.cancel()
                self._hasty = None

    return Patient
