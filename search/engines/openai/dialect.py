"""Dialects: how one request is spelled for a server, and what its events mean.

| dialect | sends | gets | stop strings |
|---|---|---|---|
| ``tokens`` | token ids to ``/v1/completions`` | text and token ids (vLLM) | the server's, kept in the text |
| ``text`` | text to ``/v1/completions`` | text; ids are the tokenizer's | cut here |
| ``chat`` | the question to ``/v1/chat/completions`` | text; ids are the tokenizer's | cut here |

What a server does with a stop string (kept, left out, told apart from an end or not) is not part of the
protocol, so ``text`` and ``chat`` send none: children are watched and cut here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from search.engines.protocol import FinishReason, Request
from search.errors import GarbledError

__all__ = ["Dialect", "Piece", "ReportedUsage", "finish_of", "number", "usage_of"]


@dataclass(frozen=True, slots=True)
class Piece:
    """What one event says of one child.

    ``token_ids`` is None where the server tells none. ``logprobs`` belong to the tokens of this piece as
    the server counts them. ``finish_reason``: a constant of ``FinishReason``, None while it goes on.
    """

    child: int
    text: str
    token_ids: tuple[int, ...] | None
    logprobs: tuple[float, ...]
    finish_reason: str | None


@dataclass(frozen=True, slots=True)
class ReportedUsage:
    """Usage as a server tells it at the end of a stream, in tokens."""

    prompt_tokens: int
    cached_prompt_tokens: int
    generated_tokens: int


class Dialect(ABC):
    """How a server is spoken to. Knows nothing of connections."""

    #: the path under the server's root
    path: str
    #: whether stop strings are found here and not by the server
    cuts_stops: bool
    #: most tokens that one event may be behind what the server has generated
    lag: int

    @abstractmethod
    def body(self, request: Request, max_tokens: int) -> dict[str, Any]:
        """The JSON of a streamed request. Raises EngineError for what this dialect cannot ask."""

    @abstractmethod
    def pieces(self, event: Mapping[str, Any]) -> Iterator[Piece]:
        """What an event says. Raises GarbledError, KeyError, TypeError or ValueError when it is none."""


def usage_of(event: Mapping[str, Any]) -> ReportedUsage | None:
    """The usage that an event tells, None when it tells none. Raises GarbledError."""
    usage = event.get("usage")
    if not usage:
        return None
    details = usage.get("prompt_tokens_details") or {}
    prompt = number(usage, "prompt_tokens")
    cached = number(details, "cached_tokens") if details.get("cached_tokens") is not None else 0
    return ReportedUsage(prompt, min(cached, prompt), number(usage, "completion_tokens"))


def number(content: Mapping[str, Any], key: str) -> int:
    """A count in an event. Raises GarbledError when it is none."""
    found = content.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise GarbledError(f"{key} must be a count, got {found!r}")
    return found


def finish_of(reason: object, stop_reason: object = None) -> str | None:
    """A constant of ``FinishReason`` for a server's ``finish_reason``. Raises GarbledError."""
    if reason is None:
        return None
    if reason == "stop":  # vLLM tells the stop string; an end-of-sequence token is None or its id
        return FinishReason.STOP if isinstance(stop_reason, str) else FinishReason.END
    if reason == "length":
        return FinishReason.LENGTH
    raise GarbledError(f"finish_reason must be stop or length, got {reason!r}")
