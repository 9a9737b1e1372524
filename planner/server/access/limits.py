"""How large a request may be. Beyond it a request is refused before any work is done for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from planner.server.refusal import Refusal
from search.errors import ServeError

__all__ = ["Sizes"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Most of everything a client decides about.

    Parameters
    ----------
    body, header:
        Bytes of the body, and of all header lines together.
    messages, question:
        Messages of a conversation; characters of all of them together.
    choices:
        ``n``.
    stops, stop:
        Stop strings, and characters of each.
    samples:
        ``n`` of a plan that a request forces.
    batch:
        Questions of one call of ``/v1/plan``, prompts of one completion.
    seconds:
        For the body to arrive, and for headers.
    """

    body: int = 1 << 20
    header: int = 16 << 10
    messages: int = 256
    question: int = 100_000
    choices: int = 16
    stops: int = 16
    stop: int = 256
    samples: int = 256
    batch: int = 256
    seconds: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ServeError(f"a limit must be above 0, got {field.name}={getattr(self, field.name)}")

    def check(
        self,
        *,
        messages: int = 0,
        characters: int = 0,
        choices: int = 1,
        stops: Sequence[str] = (),
        batch: int = 0,
    ) -> None:
        """Raise Refusal (400) for the first figure beyond its limit."""
        longest = max((len(text) for text in stops), default=0)
        for name, param, most, got in (
            ("messages", "messages", self.messages, messages),
            ("characters", "messages", self.question, characters),
            ("choices", "n", self.choices, choices),
            ("stop strings", "stop", self.stops, len(stops)),
            ("characters in a stop string", "stop", self.stop, longest),
            ("questions in a call", "questions", self.batch, batch),
        ):
            if got > most:
                raise Refusal(f"there are at most {most} {name}, got {got}", param=param, code="too_large")
