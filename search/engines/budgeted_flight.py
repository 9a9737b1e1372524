"""One request under a budget of thought: its children's pieces, each a request to the engine.

A thought that has come to its most tokens is closed; one that ends too early has its end taken away and
``WAIT`` put in its place (``search.engines.budgeted``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from search.engines.confidence import UNKNOWN, Confidence, merge
from search.engines.protocol import (
    ChildFinished,
    Event,
    FinishReason,
    Request,
    RequestFinished,
    Tokens,
    Usage,
)
from search.engines.thinking import part
from search.errors import BrokenError, ContextError, EngineError
from search.seeds import seed_of

if TYPE_CHECKING:
    from search.engines.budgeted import BudgetedEngine

__all__ = ["FINAL", "MOST_WAITS", "PIECES", "TAIL", "WAIT", "Flight"]

#: what stands in the place of an end that came too early (s1's word)
WAIT = "\nWait,"
#: most ends that are taken away from one thought
MOST_WAITS = 8
#: further pieces of a solution, each a request: the thought, the answer, and the rest of either
PIECES = 3
#: tokens in which a model that opens its thought itself has done so, and in which a prompt's tag stands
TAIL = 16
#: what begins the final channel of harmony's format
FINAL = "<|end|><|start|>assistant<|channel|>final<|message|>"
#: part of a child's tokens that is kept for the answer
_ANSWER = 8


@dataclass(slots=True)
class _Draft:
    """One child: what it has become so far. ``spent`` counts what was thrown away too."""

    thought_so_far: int
    is_inside: bool
    ids: tuple[int, ...] = ()
    text: str = ""
    thought: str = ""
    thought_tokens: int = 0
    logprobs: tuple[float, ...] | None = ()
    sure: tuple[Confidence, int] | None = None
    spent: int = 0
    waits: int = 0
    pieces: int = 0
    is_cut: bool = False

    def put_in(self, ids: tuple[int, ...]) -> None:
        """Tokens of ours."""
        self.ids += ids
        self.spent += len(ids)
        self.logprobs = None if self.logprobs is None else self.logprobs + (0.0,) * len(ids)
        self.thought_tokens += len(ids)

    def add(self, piece: ChildFinished, kept: int | None = None) -> None:
        """A piece that the engine wrote, or its first ``kept`` tokens."""
        ids = piece.token_ids if kept is None else piece.token_ids[:kept]
        whole = len(piece.logprobs) == len(piece.token_ids)
        self.logprobs = (
            self.logprobs + piece.logprobs[: len(ids)] if self.logprobs is not None and whole else None
        )
        told = (
            Confidence(piece.mean_entropy, piece.mean_confidence, piece.lowest_confidence),
            len(piece.token_ids),
        )
        if self.sure is None:
            self.sure = told
        else:
            self.sure = merge(*self.sure, *told), self.sure[1] + told[1]
        self.ids += ids
        self.spent += len(piece.token_ids) + piece.lost_tokens
        self.pieces += 1


@dataclass(slots=True, eq=False)
class Flight:
    """One request under way: its children's pieces, each a request to the engine."""

    owner: BudgetedEngine
    request: Request
    arrived: asyncio.Queue[Event | EngineError] = field(default_factory=asyncio.Queue)
    drafts: dict[int, _Draft] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    usage: Usage = field(default_factory=lambda: Usage(0, 0, 0))
    _sent: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _error: EngineError | None = None
    _is_over: bool = False

    def start(self) -> None:
        thought, is_inside = self.owner.begun(self.request.prompt)
        self.drafts = {i: _Draft(thought, is_inside) for i in range(self.request.n)}
        draft = self.drafts[0]
        closing = self._closing(draft)
        if is_inside and self._left(draft) < 1 and self._room(draft) > len(closing):
            for one in self.drafts.values():
                self._close(one, closing)
        self._send(tuple(self.drafts), self._next(draft, self.request.seed, "all", len(self.drafts)))

    async def cancel(self, child: int | None) -> None:
        wanted = set(self.drafts) if child is None else {child} & set(self.drafts)
        self.cancelled |= wanted
        for name, numbers in list(self._sent.items()):
            for place, number in enumerate(numbers):
                if number in wanted:
                    await self.owner.engine.cancel(name, place)

    async def stop(self) -> None:
        """End what is under way, as nobody listens."""
        self._is_over = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- pieces

    def _left(self, draft: _Draft) -> int:
        """Tokens that the thought may still take until something is decided."""
        least = self.owner.least
        return (least if draft.thought_so_far < least else self.owner.most) - draft.thought_so_far

    def _room(self, draft: _Draft) -> int:
        """Tokens that the child may still take."""
        return self.request.max_tokens - draft.spent

    def _next(self, draft: _Draft, seed: int, who: int | str, n: int = 1) -> Request:
        """The request for the next piece of a child."""
        most = self._room(draft)
        if draft.is_inside:
            kept = len(self._closing(draft)) + max(1, self.request.max_tokens // _ANSWER)
            most = max(1, min(self._left(draft), most - kept))
        elif not draft.ids and not self.owner.thought_end:
            # whether it will open a thought is not known
            wanted = self.owner.least or self.owner.most
            most = min(most, max(wanted - draft.thought_so_far, TAIL))
        return replace(
            self.request,
            prompt=(*self.request.prompt, *draft.ids),
            n=n,
            max_tokens=most,
            seed=seed,
            request_id=f"{self.request.request_id}~{who}.{draft.pieces}",
        )

    def _send(self, numbers: tuple[int, ...], request: Request) -> None:
        events = self.owner.engine.submit(request)
        self._sent[request.request_id] = numbers
        task = asyncio.get_running_loop().create_task(self._hear(numbers, request, events))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hear(self, numbers: tuple[int, ...], request: Request, events: AsyncIterator[Event]) -> None:
        try:
            async for event in events:
                if isinstance(event, Tokens):
                    number = numbers[event.child]
                    hidden = replace(event, text="") if self.drafts[number].is_inside else event
                    self.arrived.put_nowait(replace(hidden, child=number))
                elif isinstance(event, ChildFinished):
                    self._take(numbers[event.child], event, request)
                elif isinstance(event, RequestFinished):
                    self._used(event.usage)
        except EngineError as error:
            if isinstance(error, BrokenError):
                self._used(error.usage or Usage(len(request.prompt), 0, 0))
            await self._fail(numbers, error)
        finally:
            self._sent.pop(request.request_id, None)
            if isinstance(events, AsyncGenerator):
                await events.aclose()
            self._conclude()

    def _used(self, told: Usage) -> None:
        usage = self.usage
        self.usage = Usage(
            usage.prompt_tokens + told.prompt_tokens,
            usage.cached_prompt_tokens + told.cached_prompt_tokens,
            usage.generated_tokens + told.generated_tokens,
            usage.is_estimated or told.is_estimated,
        )

    def _take(self, number: int, piece: ChildFinished, request: Request) -> None:
        """A piece has ended: what follows it."""
        draft = self.drafts[number]
        is_closed = self._is_closed(draft, piece)
        if (
            is_closed
            and number not in self.cancelled
            and self._error is None
            and piece.finish_reason != FinishReason.CANCELLED
            and self._wait(draft, piece)
        ):
            self._go_on(number)
            return
        draft.add(piece)
        was_inside = draft.is_inside
        opened = piece.finish_reason == FinishReason.STOP and part(piece.text).is_open
        draft.is_inside = (
            piece.finish_reason == FinishReason.THOUGHT or opened or (was_inside and not is_closed)
        )
        self._count(draft, piece, was_inside=was_inside)
        is_full = len(request.prompt) + len(piece.token_ids) >= self.owner.card.context
        ended = piece.finish_reason not in FinishReason.TRUNCATED or is_full
        if number in self.cancelled or piece.finish_reason == FinishReason.CANCELLED:
            self._end(number, piece, FinishReason.CANCELLED)
        elif self._error is not None:
            return  # it is told of with the error
        elif ended or self._room(draft) < 1:
            self._end(
                number, piece, FinishReason.THOUGHT if self._is_lost(draft, piece) else piece.finish_reason
            )
        else:
            self._go_on(number)

    def _go_on(self, number: int) -> None:
        """Ask for the next piece: of the thought, of the answer after a full one, or of the rest."""
        draft = self.drafts[number]
        if draft.is_inside:
            closing = self._closing(draft)
            is_full = draft.thought_so_far >= self.owner.most
            kept = len(closing) + max(1, self.request.max_tokens // _ANSWER)
            if is_full or self._room(draft) <= kept:
                if self._room(draft) <= len(closing):
                    self._end(number, None, FinishReason.THOUGHT)
                    return
                self._close(draft, closing)
        seed = seed_of(self.request.seed, "piece", number, draft.pieces)
        try:
            self._send((number,), self._next(draft, seed, number))
        except ContextError:
            self._end(number, None, FinishReason.THOUGHT if draft.is_inside else FinishReason.LENGTH)

    def _is_closed(self, draft: _Draft, piece: ChildFinished) -> bool:
        """Whether the thought has ended by itself within a piece."""
        if self.owner.thought_end:
            return draft.is_inside and self.owner.thought_end in piece.text
        if piece.finish_reason == FinishReason.THOUGHT or (draft.ids and not draft.is_inside):
            return False
        return piece.thought_tokens > 0 or self._place_of_end(draft, piece) is not None

    def _wait(self, draft: _Draft, piece: ChildFinished) -> bool:
        """Whether an end that came too early was taken away."""
        place = self._place_of_end(draft, piece)
        if place is None or draft.thought_so_far + place >= self.owner.least or draft.waits >= MOST_WAITS:
            return False
        put_in = self.owner.ids(WAIT)
        spent = draft.spent + len(piece.token_ids) + piece.lost_tokens + len(put_in)
        kept = len(self._closing(draft)) + max(1, self.request.max_tokens // _ANSWER)
        if not put_in or self.request.max_tokens - spent <= kept:
            return False
        draft.add(piece, place)
        draft.thought_tokens += place
        words = self.owner.spelled(piece.token_ids[:place]) + WAIT
        if self.owner.thought_end:
            draft.text += words
        else:
            draft.thought += part(words).thought or words
        draft.put_in(put_in)
        draft.thought_so_far += place + len(put_in)
        draft.waits += 1
        draft.is_inside = True
        return True

    def _place_of_end(self, draft: _Draft, piece: ChildFinished) -> int | None:
        """At which token of a piece the end of the thought begins; None where it cannot be told."""
        text = self.owner.end_of(self.request.prompt, draft.ids + piece.token_ids)
        end, ids = self.owner.ids(text), piece.token_ids
        places = range(len(ids) - len(end) + 1) if end else ()
        found = next((place for place in places if ids[place : place + len(end)] == end), None)
        return self._place_of_text(text, ids) if found is None else found

    def _place_of_text(self, end: str, ids: tuple[int, ...]) -> int | None:
        """The same where the end's tokens are not those of the text alone: a space before it may be part of
        them. That token goes with the end."""
        at = self.owner.spelled(ids).find(end)
        if at < 0:
            return None
        first, last = 0, len(ids)
        while first < last:  # the most tokens whose text is no longer than what stands before the end
            middle = (first + last + 1) // 2
            if len(self.owner.spelled(ids[:middle])) <= at:
                first = middle
            else:
                last = middle - 1
        return first

    def _closing(self, draft: _Draft) -> tuple[int, ...]:
        """What a thought is closed with."""
        end = self.owner.end_of(self.request.prompt, draft.ids)
        if end == FINAL:
            return self.owner.ids(end)
        return self.owner.ids(f"\n{end}" if self.owner.thought_end else f"\n{end}\n\n")

    def _close(self, draft: _Draft, closing: tuple[int, ...]) -> None:
        if self.owner.thought_end:
            draft.text += f"\n{self.owner.thought_end}"
        draft.put_in(closing)
        draft.is_inside, draft.is_cut = False, True

    def _count(self, draft: _Draft, piece: ChildFinished, *, was_inside: bool) -> None:
        """Part what a piece wrote into thought and answer."""
        if self.owner.thought_end:
            thought = len(piece.token_ids) if draft.is_inside else 0
            if was_inside and not draft.is_inside:
                thought = self._place_of_end(draft, piece) or 0
            draft.text += piece.text
        elif was_inside and draft.is_inside and piece.finish_reason != FinishReason.STOP:
            thought = len(piece.token_ids)
            draft.thought += piece.thought or piece.text
        else:
            thought = piece.thought_tokens or (len(piece.token_ids) if draft.is_inside else 0)
            draft.thought += piece.thought
            draft.text += piece.text
        draft.thought_tokens += thought
        draft.thought_so_far += thought

    def _is_lost(self, draft: _Draft, piece: ChildFinished) -> bool:
        return draft.is_inside and piece.finish_reason in FinishReason.TRUNCATED

    # ---- the end

    def _end(self, number: int, piece: ChildFinished | None, reason: str) -> None:
        draft = self.drafts.pop(number)
        if reason == FinishReason.STOP:  # a step: it may be gone on with
            prompt = (*self.request.prompt, *draft.ids)
            self.owner.keep(prompt, draft.thought_so_far, draft.is_inside)
        sure = UNKNOWN if draft.sure is None else draft.sure[0]
        self._put(
            ChildFinished(
                child=number,
                text=draft.text,
                token_ids=draft.ids,
                logprobs=(draft.logprobs or ()) if self.request.logprobs else (),
                finish_reason=reason,
                lost_tokens=max(0, draft.spent - len(draft.ids)),
                mean_entropy=sure.mean_entropy,
                mean_confidence=sure.mean_confidence,
                lowest_confidence=sure.lowest_confidence,
                thought=draft.thought,
                thought_tokens=min(draft.thought_tokens, len(draft.ids)),
                thought_cut=draft.is_cut or reason == FinishReason.THOUGHT,
            )
        )

    async def _fail(self, numbers: Sequence[int], error: EngineError) -> None:
        """A piece failed: the others are called off, and what all had written is told."""
        if self._error is not None:
            return
        self._error = error
        for piece in error.partial if isinstance(error, BrokenError) else ():
            self.drafts[numbers[piece.child]].add(piece)
        for name in [name for name, own in self._sent.items() if own != tuple(numbers)]:
            await self.owner.engine.cancel(name)

    def _conclude(self) -> None:
        """After the last piece: the request's end, or the error with what had been written."""
        if self._sent or self._is_over:
            return
        self._is_over = True
        if self._error is None:
            self.arrived.put_nowait(RequestFinished(self.usage))
        elif not any(draft.spent for draft in self.drafts.values()) and len(self.drafts) == self.request.n:
            self.arrived.put_nowait(self._error)
        else:
            lost = tuple(map(self._lost, list(self.drafts)))
            self.arrived.put_nowait(BrokenError(str(self._error), lost, self.usage))

    def _lost(self, number: int) -> ChildFinished:
        draft = self.drafts[number]
        self.owner.keep((*self.request.prompt, *draft.ids), draft.thought_so_far, draft.is_inside)
        text = self.owner.spelled(draft.ids) if draft.ids else ""
        lost = max(0, draft.spent - len(draft.ids))
        known: dict[str, Any] = {"logprobs": draft.logprobs or ()}
        return ChildFinished(
            number, text, draft.ids, finish_reason=FinishReason.LOST, lost_tokens=lost, **known
        )

    def _put(self, event: Event | EngineError) -> None:
        if not self._is_over:
            self.arrived.put_nowait(event)
