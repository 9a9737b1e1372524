"""An engine as one request wants it: its conversation, its stop strings, its sampling, metered.

Wraps any engine, so strategies need not know of conversations or stop strings. A child that writes one
of the request's stop strings ends there, as if the model had; the stop string is left out, as OpenAI's
API has it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Protocol

from planner.server.refusal import Refusal
from planner.server.request.ask import Render, Turns, ending, question_of
from search.engines.protocol import (
    ChildFinished,
    Engine,
    Event,
    FinishReason,
    Request,
    RequestFinished,
    Sampling,
    Tokens,
    Usage,
)
from search.errors import ContextError, EngineError
from search.thinking_budget import ThinkingBudget

__all__ = ["Meter", "Passed", "SampleObserver", "ShapedEngine", "StopFilter", "cut"]


class SampleObserver(Protocol):
    """Hears of the samples that a request asks policies for."""

    def on_asked(self, policy: str, request: Request) -> None:
        """Samples are asked for."""

    def on_finished(self, policy: str, request: Request, child: ChildFinished) -> None:
        """One of them has ended."""

    def on_ended(self, policy: str, request: Request, error: BaseException | None) -> None:
        """All of them have, or nobody waits for them any more."""


@dataclass(slots=True)
class Meter:
    """What the engines of one answer really did, in tokens. ``running``: requests that have not ended;
    ``passing``: the policy whose text is passed on as it is written; ``failure``: the last of a request,
    which may have been asked for again.

    ``prompts`` has the length of the conversation's prompt for each policy that it was made for; a strategy
    that never asks that has the length of the first that it asks.
    """

    running: int = 0
    passing: str | None = None
    failure: EngineError | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    prompts: dict[str, int] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)

    def add(self, policy: str, usage: Usage) -> None:
        """A request to a policy has ended."""
        self.prompt_tokens += usage.prompt_tokens
        self.cached_tokens += usage.cached_prompt_tokens
        self.generated_tokens += usage.generated_tokens
        if usage.prompt_tokens:
            self._read.add(policy)

    def leave(self, error: BaseException | None) -> None:
        """A request runs no longer. ``error``: what ended it."""
        self.running -= 1
        if isinstance(error, EngineError):
            self.failure = error

    @property
    def prompt(self) -> int:
        """The conversation's prompts, of those policies that have read one, each once."""
        return sum(self.prompts.get(policy, 0) for policy in self._read)


class ShapedEngine(Engine):
    """One request's view of an engine. Closing it closes nothing: the engine serves others.

    Parameters
    ----------
    render:
        The policy's chat template; None where only plain questions are possible.
    turns, stop:
        The request's own; what is asked further replaces what the user said last.
    greedy:
        What a greedy request is drawn with instead, where the client chose a sampling for its single
        answer; None: greedy.
    on_text:
        Hears of the text of a single child as it comes, while the meter says that it is passed on.
    policy, observers:
        What the engine is called, and who hears of the samples.
    """

    def __init__(
        self,
        engine: Engine,
        turns: Turns,
        meter: Meter,
        *,
        policy: str | None = None,
        render: Render | None = None,
        stop: Sequence[str] = (),
        greedy: Sampling | None = None,
        on_text: Callable[[str], None] | None = None,
        observers: Sequence[SampleObserver] = (),
    ) -> None:
        self.card = engine.card
        self._policy = policy or engine.card.name
        self._engine = engine
        self._turns, self._question = turns, question_of(turns)
        self._meter = meter
        self._render = render
        self._stop = tuple(stop)
        self._greedy = greedy
        self._on_text = on_text
        self._observers = tuple(observers)
        self._passed: dict[tuple[int, ...], str] = {}  # by prompt, of answers that are not whole

    def prompt(self, question: str) -> tuple[int, ...]:
        worded = self.worded(question)
        ids = self._engine.prompt(question) if self._is_plain else self._ids(worded)
        name, prompts = self._policy, self._meter.prompts
        if worded.strip() == self._question or name not in prompts:
            prompts[name] = len(ids)
        return ids

    def turn(self, text: str) -> tuple[int, ...]:
        ids = self._engine.turn(text) if self._is_plain else self._ids(text)
        self._meter.prompts.setdefault(self._policy, len(ids))
        return ids

    def worded(self, question: str) -> str:
        return self._engine.worded(question)

    @property
    def _is_plain(self) -> bool:
        """Whether there is nothing but the question."""
        return len(self._turns) == 1

    def _ids(self, text: str) -> tuple[int, ...]:
        """The conversation's prompt with ``text`` as what the user said last."""
        if self._render is None:
            raise Refusal(
                f"the policy {self.card.name} takes one user message, got {len(self._turns)} messages",
                param="messages",
            )
        ids = self._render(ending(self._turns, text))
        if len(ids) >= self.card.context:
            raise ContextError(
                f"a prompt must leave room for one token in a context of {self.card.context},"
                f" got {len(ids)} tokens"
            )
        return ids

    def submit(self, request: Request) -> AsyncIterator[Event]:
        sampling = request.sampling
        if sampling.temperature == 0 and self._greedy is not None:
            sampling = self._greedy
        stream = request.stream or (self._on_text is not None and request.n == 1)
        shaped = request
        if self._stop or sampling is not request.sampling or stream is not request.stream:
            stop = (*request.stop, *(text for text in self._stop if text not in request.stop))
            shaped = replace(request, stop=stop, sampling=sampling, stream=stream)
        return self._events(self._engine.submit(shaped), request, shaped)

    def most_sent(self, prompt: int, n: int, max_tokens: int) -> int:
        return self._engine.most_sent(prompt, n, max_tokens)

    def refuses_thinking(self, wanted: ThinkingBudget) -> str | None:
        return self._engine.refuses_thinking(wanted)

    def thinking(self, wanted: ThinkingBudget) -> ShapedEngine:
        made = copy(self)
        made._engine = self._engine.thinking(wanted)
        return made

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        await self._engine.cancel(request_id, child)

    async def close(self) -> None:
        """Nothing: the engine belongs to the server."""

    async def _events(
        self, events: AsyncIterator[Event], request: Request, shaped: Request
    ) -> AsyncGenerator[Event]:
        meter = self._meter
        meter.running += 1
        error: BaseException | None = None
        policy = self._policy
        passed = None if self._on_text is None else Passed(self._passed.get(request.prompt, ""))
        for observer in self._observers:
            observer.on_asked(policy, shaped)
        try:
            async for event in events:
                if isinstance(event, Tokens):
                    if passed is not None and self._on_text is not None and self._passes(request):
                        self._on_text(passed.new(event.text))
                        self._passed[request.prompt] = passed.text
                    if not request.stream:
                        continue
                elif isinstance(event, ChildFinished):
                    if passed is not None:
                        if event.finish_reason != FinishReason.CANCELLED:
                            passed.end()
                        self._passed.pop(request.prompt, None)
                    event = self._stopped(event)
                    for observer in self._observers:
                        observer.on_finished(policy, shaped, event)
                elif isinstance(event, RequestFinished):
                    meter.add(policy, event.usage)
                yield event
        except BaseException as failure:
            error = failure
            raise
        finally:
            meter.leave(error)
            for observer in self._observers:
                observer.on_ended(policy, shaped, error)
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()

    def _passes(self, request: Request) -> bool:
        """Whether the text of a request is passed on as it is written."""
        return request.n == 1 and self._meter.passing == self._policy

    def _stopped(self, event: ChildFinished) -> ChildFinished:
        if event.finish_reason != FinishReason.STOP or not self._stop:
            return event
        text = cut(event.text, self._stop)
        return event if text == event.text else replace(event, text=text, finish_reason=FinishReason.END)


class Passed:
    """The text of an answer as a client gets it, which may be drawn anew after its server broke off.

    ``before``: what the client has. It is not sent twice, and where the new text is another one, the answer
    cannot be gone on with: EngineError.

    >>> passed = Passed("one ")
    >>> [passed.new(piece) for piece in ("on", "e two", " three")], passed.text
    (['', 'two', ' three'], 'one two three')
    """

    def __init__(self, before: str = "") -> None:
        self._before = before
        self._heard = ""

    @property
    def text(self) -> str:
        """All that the client has."""
        return max(self._before, self._heard, key=len)

    def new(self, piece: str) -> str:
        """What of the next piece the client does not have. Raises EngineError."""
        had, self._heard = len(self.text), self._heard + piece
        if self._heard[: len(self._before)] != self._before[: len(self._heard)]:
            raise self._another
        return self._heard[had:]

    def end(self) -> None:
        """The text is whole. Raises EngineError where the client has more."""
        if self._heard and len(self._heard) < len(self._before):
            raise self._another

    @property
    def _another(self) -> EngineError:
        return EngineError(
            "a stream that broke off must go on with the text that was sent, got another text from the"
            " policy's server"
        )


def cut(text: str, stops: Sequence[str]) -> str:
    """A text up to the stop string that ends first, where a policy that writes on would have been stopped.

    Of those that end there, the longest.

    >>> cut("one, two; three", (";", ",")), cut("abc", ("abc", "b")), cut("abc", ("c", "bc"))
    ('one', 'a', 'a')
    """
    found = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(found)[1]] if found else text


class StopFilter:
    """Cuts a text that comes in pieces: what may be the beginning of a stop string is held back.

    >>> stopping = StopFilter(("END",))
    >>> [stopping.feed(piece) for piece in ("one E", "N two ", "EN", "D three")], stopping.rest()
    (['one ', 'EN two ', '', ''], '')
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self._ended = False

    def feed(self, text: str) -> str:
        """What can be passed on now."""
        if self._ended or not self._stops:
            return "" if self._ended else text
        text = self._held + text
        kept = cut(text, self._stops)
        if len(kept) < len(text):
            self._ended, self._held = True, ""
            return kept
        longest = max(
            (n for stop in self._stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0
        )
        self._held = text[len(text) - longest :]
        return text[: len(text) - longest]

    def rest(self) -> str:
        """What was held back when the text has ended."""
        held, self._held, self._ended = self._held, "", True
        return held
