"""An engine under another card: the name that a user gives a model, or a number of weights."""

from __future__ import annotations

from search.engines.forwarding import ForwardingEngine
from search.engines.protocol import Engine

__all__ = ["NamedEngine"]


class NamedEngine(ForwardingEngine):
    """Wraps an engine; only the card differs. Closing it closes the other."""

    def around(self, engine: Engine) -> Engine:
        return NamedEngine(engine, self.card)
