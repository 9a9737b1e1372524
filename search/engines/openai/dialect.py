"""Dialects: how one request is spelled for a server, and what its events mean.

| dialect | sends | gets | stop strings |
|---|---|---|---|
| ``tokens`` | token ids to ``/v1/completions`` | text and token ids | the server's (vLLM), or cut here |
| ``text`` | text to ``/v1/completions`` | text; ids are the tokenizer's | cut here |
| ``chat`` | the question to ``/v1/chat/completions`` | text; ids are the tokenizer's, or none | cut here |

What a server does with a stop string (kept, left out, told apart from an end or not) is not part of the
protocol, so ``text`` and ``chat`` send none: children are watched and cut here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from search.engines.openai.logprobs import NONE, Logprobs
from search.engines.protocol import ChildFinished, FinishReason, Request
from search.errors import BrokenError, EngineError, GarbledError

__all__ = ["Dialect", "Piece", "ReportedUsage", "finish_of", "number", "usage_of"]

#: a child that ended by itself, in the words of OpenAI, TGI, Anthropic's likes
_ENDS = ("stop", "eos", "eos_token", "stop_sequence", "end_turn")
#: a child that ran into a limit, in the words of OpenAI, Anthropic's likes, Mistral
_LIMITS = ("length", "max_tokens", "model_length")
#: a child that a filter cut off, in the words of OpenAI, Anthropic's likes
_FILTERS = ("content_filter", "refusal")
#: a child that the server gave up, in the words of vLLM and SGLang
_GIVEN_UP = ("abort", "error")


@dataclass(frozen=True, slots=True)
class Piece:
    """What one event says of one child.

    ``thought``: text of a thought that the server parts by itself. ``token_ids`` is None where the server
    tells none. ``logprobs`` belong to the tokens of this piece as the server counts them.
    ``finish_reason``: a constant of ``FinishReason``, None while it goes on. ``count``: tokens of the whole
    child, where the last event of it tells them.
    """

    child: int
    text: str
    token_ids: tuple[int, ...] | None
    finish_reason: str | None
    logprobs: Logprobs = NONE
    thought: str = ""
    count: int | None = None


@dataclass(frozen=True, slots=True)
class ReportedUsage:
    """Usage as a server tells it at the end of a stream, in tokens. ``thought_tokens``: None if not told."""

    prompt_tokens: int
    cached_prompt_tokens: int
    generated_tokens: int
    thought_tokens: int | None = None

    def plus(self, other: ReportedUsage) -> ReportedUsage:
        """With the usage of another child of the same prompt."""
        thoughts = [told for told in (self.thought_tokens, other.thought_tokens) if told is not None]
        return ReportedUsage(
            max(self.prompt_tokens, other.prompt_tokens),
            min(self.cached_prompt_tokens, other.cached_prompt_tokens),
            self.generated_tokens + other.generated_tokens,
            sum(thoughts) if thoughts else None,
        )


class Dialect(ABC):
    """How a server is spoken to. Knows nothing of connections."""

    #: the path under the server's root
    path: str
    #: whether stop strings are found here and not by the server
    cuts_stops: bool
    #: most tokens that one event may be behind what the server has generated
    lag: int
    #: whether the server tells token ids
    tells_ids: bool = False
    #: whether token ids of characters that several tokens write are missing
    skips_ids: bool = False
    #: whether the usage of each child is told as it ends, and none that of all
    usage_per_child: bool = False
    #: whether a solution can be gone on with
    goes_on: bool = True
    #: whether a prompt can be asked for with its logprobs (``echo``)
    echoes: bool = False

    @abstractmethod
    def body(self, request: Request, n: int, max_tokens: int, seed: int) -> dict[str, Any]:
        """The JSON of a streamed request for ``n`` children. Raises EngineError for what cannot be asked."""

    def kept(self, request: Request, child: ChildFinished) -> ChildFinished:
        """A child that has ended, as it is told: a dialect may keep what it needs to go on after it."""
        return child

    def echo(self, tokens: tuple[int, ...]) -> dict[str, Any]:
        """The JSON that asks for a prompt with its logprobs, and one token more. Raises EngineError."""
        raise EngineError("a prompt with its logprobs is asked of completions, got another dialect")

    @abstractmethod
    def pieces(self, event: Mapping[str, Any]) -> Iterator[Piece]:
        """What an event says. Raises GarbledError, KeyError, TypeError or ValueError when it is none."""


def usage_of(event: Mapping[str, Any]) -> ReportedUsage | None:
    """The usage that an event tells, None when it tells none. Raises GarbledError."""
    usage = event.get("usage")
    if not usage:
        return None
    prompt, generated = number(usage, "prompt_tokens"), number(usage, "completion_tokens")
    details = usage.get("prompt_tokens_details") or {}
    cached = _maybe(details, "cached_tokens") or _maybe(usage, "prompt_cache_hit_tokens") or 0  # DeepSeek's
    thought = _maybe(usage.get("completion_tokens_details") or {}, "reasoning_tokens")
    if thought is None:
        thought = _maybe(usage, "reasoning_tokens")  # SGLang's
    return ReportedUsage(
        prompt, min(cached, prompt), generated, None if thought is None else min(thought, generated)
    )


def _maybe(content: Mapping[str, Any], key: str) -> int | None:
    return None if content.get(key) is None else number(content, key)


def number(content: Mapping[str, Any], key: str) -> int:
    """A count in an event. Raises GarbledError when it is none."""
    found = content.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise GarbledError(f"{key} must be a count, got {found!r}")
    return found


def finish_of(reason: object, stop_reason: object = None) -> str | None:
    """A constant of ``FinishReason`` for a server's ``finish_reason``. Raises GarbledError, and BrokenError
    where the server has given the child up."""
    if reason is None or reason == "":
        return None
    if reason in _ENDS:  # vLLM tells the stop string; an end-of-sequence token is None or its id
        return FinishReason.STOP if isinstance(stop_reason, str) else FinishReason.END
    if reason in _LIMITS:
        return FinishReason.LENGTH
    if reason in _FILTERS:
        return FinishReason.FILTERED
    if reason in _GIVEN_UP:
        raise BrokenError(f"a stream must not end in an error, got finish_reason {reason!r}")
    raise GarbledError(f"finish_reason must be stop or length, got {reason!r}")
