"""A flight: one request under way, from its connections to its events.

It has one leg, a connection that writes all children side by side, or several where the server takes no
``n``, or no such one. What a server refuses is left out, once it is known (``concessions``).

A server that cannot be reached, or takes no more work, is asked again within the patience: nothing was
computed. An answer that breaks off is not asked for again here, since what is lost must be paid by whoever
holds the budget: it raises BrokenError with the children as far as they came, once the other legs have ended.

Cancelling all children of a leg closes its connection, and the server stops. A single child of several cannot
be stopped over HTTP (a request of its own per child would share no prefill): it ends here at once, the server
goes on with it as long as its siblings live, and what that may generate is in its ``lost_tokens``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search.engines.openai.concessions import Concessions
from search.engines.openai.dialect import Dialect, Piece, ReportedUsage, usage_of
from search.engines.openai.draft import Counts, Draft, Sheet
from search.engines.openai.tokenizer import Tokenizer
from search.engines.protocol import Event, FinishReason, Request, RequestFinished, Usage
from search.errors import BrokenError, CutOffError, EngineError, GarbledError, RefusedError, UnreachableError
from search.remote.client import Client
from search.remote.refusal import failure_in_stream
from search.seeds import seed_of

__all__ = ["Flight", "Line"]

#: answers that may mean that less must be asked for
_LESS = (400, 403, 404, 405, 422, 501)


@dataclass(frozen=True, slots=True)
class Line:
    """What all flights of an engine share.

    ``tokenizer``: where the server tells no token ids; None where nobody can spell a text. ``deadline``: most
    seconds of a request, waiting included. ``speller``: where some ids are missing. ``opening``: the tokens
    by which prompts end that open a thought; () where they open none.
    """

    client: Client
    dialect: Dialect
    tokenizer: Tokenizer | None
    deadline: float
    concessions: Concessions
    speller: Tokenizer | None = None
    opening: tuple[int, ...] = ()


@dataclass(slots=True, eq=False)
class _Leg:
    """One connection. ``late``: children that have ended and wait for the usage to be counted."""

    numbers: tuple[int, ...]
    seed: int
    reported: ReportedUsage | None = None
    late: list[tuple[Draft, str]] = field(default_factory=list)
    written: int = 0  # tokens, where no usage tells
    is_left: bool = False  # whether nobody waits for it any more
    is_sent: bool = False  # whether its request is with the server
    task: asyncio.Task[None] | None = None


class Flight:
    """Starts at once, on the running loop; ``arrived`` fills with events, or with the error that ends it.

    ``on_end`` is called as the last of them is put there.
    """

    def __init__(self, request: Request, max_tokens: int, line: Line, on_end: Callable[[], object]) -> None:
        self.request = request
        self.arrived: asyncio.Queue[Event | EngineError] = asyncio.Queue()
        self.is_over = False
        self._line = line
        self._on_end = on_end
        self._most = max_tokens
        self._body([0], request.seed)  # what this dialect cannot ask is told before anything starts
        opening = line.opening
        sheet = self._sheet = Sheet(
            request,
            max_tokens,
            line.tokenizer,
            line.dialect.tells_ids,
            line.dialect.cuts_stops,
            bool(opening) and request.prompt[-len(opening) :] == opening,
            line.speller,
            self._wants_logprobs,
        )
        self._live = {number: Draft(number, sheet) for number in range(request.n)}
        self._legs: list[_Leg] = []
        self._broken: list[BrokenError | UnreachableError] = []
        self._task = asyncio.get_running_loop().create_task(self._run())

    def cancel(self, child: int | None = None) -> None:
        """End a child, or all of them, as far as they came."""
        if self.is_over:
            return
        for number in [*self._live] if child is None else [child]:
            draft = self._live.pop(number, None)
            if draft is not None:
                self._cancel(draft, alone=child is not None)
        if not self._live:
            self._finish()
            self._task.cancel()

    async def landed(self) -> None:
        """Wait until the connection is closed or free."""
        await asyncio.wait([self._task])

    # -- what is asked --------------------------------------------------------------------------

    def _wants_logprobs(self) -> bool:
        return self.request.logprobs and not self._line.concessions.lacks("logprobs")

    def _body(self, numbers: Sequence[int], seed: int) -> Mapping[str, Any]:
        return self._line.dialect.body(self.request, len(numbers), self._most, seed)

    def _split(self, numbers: Sequence[int]) -> list[_Leg]:
        """One leg, or as many as the server needs that takes no ``n``, or no such one."""
        most = self._line.concessions.most("n")
        size = len(numbers) if most is None else max(1, most)
        if size >= self.request.n == len(numbers):
            return [_Leg(tuple(numbers), self.request.seed)]
        groups = [tuple(numbers[at : at + size]) for at in range(0, len(numbers), size)]
        return [_Leg(group, seed_of(self.request.seed, group[0])) for group in groups]

    # -- the connections ------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(self._line.deadline):
                await self._fly(self._split(range(self.request.n)))
            self._land()
        except EngineError as error:
            self._fail(error)
        except TimeoutError:
            late = f"a request must end within {self._line.deadline:g} s, got one that did not"
            self._fail(BrokenError(f"{late} from {self._line.client.root}"))
        except Exception as error:  # nobody may wait for ever
            self._fail(EngineError(f"the openai engine failed: {type(error).__name__}: {error}"))

    def _land(self) -> None:
        """All legs have ended: tell what broke, or the end."""
        if not self._live:  # at most the end of a stream was lost
            self._finish()
            return
        first = self._broken[0]
        if len(self._live) == self.request.n and all(isinstance(e, UnreachableError) for e in self._broken):
            self._fail(first)
            return
        lag = 1 if self.request.stream else self._line.dialect.lag
        lost = tuple(draft.lost(lag, self._line.dialect.goes_on) for draft in self._live.values())
        kind = CutOffError if isinstance(first, CutOffError) else BrokenError
        for leg in self._legs:
            self._settle(leg)
        self._fail(kind(str(first), lost, self._usage()))

    async def _fly(self, legs: Sequence[_Leg]) -> None:
        """Fly legs side by side; whatever is no broken connection ends them all."""
        self._legs += legs
        if len(legs) == 1:
            await self._guarded(legs[0])
            return
        try:
            async with asyncio.TaskGroup() as group:
                for leg in legs:
                    leg.task = group.create_task(self._guarded(leg))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _guarded(self, leg: _Leg) -> None:
        try:
            await self._leg(leg)
        except (BrokenError, UnreachableError) as error:
            self._broken.append(error)
        except asyncio.CancelledError:
            if not leg.is_left or leg.task is None:
                raise
        self._settle(leg)

    async def _leg(self, leg: _Leg) -> None:
        tries = self._line.client.tries()
        while True:
            await tries.enter()
            full = self._body(leg.numbers, leg.seed)
            body = self._line.concessions.applied(full)
            self._sent(leg, is_sent=True)
            try:
                async with self._line.client.events(self._line.dialect.path, body) as events:
                    async for event in events:
                        tries.succeeded()
                        self._hear(leg, event)
                        if self.is_over or self._is_left(leg):
                            return
                break
            except UnreachableError as error:
                self._sent(leg, is_sent=False)
                await asyncio.sleep(tries.pause(error))
            except RefusedError as error:
                self._sent(leg, is_sent=False)
                if not self._asks_less(full, body, error):
                    raise
            except BrokenError as error:
                tries.broke(error)
                raise
            most = self._line.concessions.most("n")
            if most is not None and len(leg.numbers) > max(1, most):
                self._legs.remove(leg)
                await self._fly(self._split(leg.numbers))
                return
        await self._complete(leg)

    def _asks_less(self, full: Mapping[str, Any], body: Mapping[str, Any], error: RefusedError) -> bool:
        """Whether a refused request is worth another try with less in it."""
        conceded = self._line.concessions
        if error.status not in _LESS:
            return False
        return conceded.applied(full) != body or conceded.learn(full, error.words)

    async def _complete(self, leg: _Leg) -> None:
        """The stream has ended, and all its children must have, or the server has passed over ``n``."""
        missing = [number for number in leg.numbers if number in self._live]
        if not missing:
            if len(leg.numbers) > 1:
                self._line.concessions.prove("n")
            return
        if len(missing) == len(leg.numbers) - 1 and all(self._live[n].is_empty for n in missing):
            self._line.concessions.drop("n", "passed over by")
            leg.numbers = tuple(number for number in leg.numbers if number not in missing)
            await self._fly(self._split(missing))
            return
        raise CutOffError(
            f"a stream must end all children, got {len(missing)} of {len(leg.numbers)} that did not"
            f" from {self._line.client.root}"
        )

    def _sent(self, leg: _Leg, *, is_sent: bool) -> None:
        leg.is_sent = is_sent
        for number in leg.numbers:
            if number in self._live:
                self._live[number].is_sent = is_sent

    def _is_left(self, leg: _Leg) -> bool:
        """Whether its children have ended here and the server goes on with one of them."""
        return leg.is_left and not any(number in self._live for number in leg.numbers)

    def _hear(self, leg: _Leg, event: object) -> None:
        """One event of the stream."""
        if not isinstance(event, dict):
            raise GarbledError(f"an event must be an object, got {event!r:.80}")
        if event.get("object") == "error":  # as older vLLM says it
            event = {"error": event}
        if event.get("error"):
            raise self._told(leg, json.loads(self._line.client.unkeyed(json.dumps(event))))
        try:
            reported = usage_of(event)
            if reported is not None:
                together = leg.reported is not None and self._line.dialect.usage_per_child
                leg.reported = (
                    leg.reported.plus(reported) if together and leg.reported is not None else reported
                )
            for piece in self._line.dialect.pieces(event):
                self._add(leg, piece)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise GarbledError(f"an event must be a completion's, got {event!r:.200}") from error

    def _told(self, leg: _Leg, event: Mapping[str, Any]) -> EngineError:
        """The error that an event tells: a refusal of the request only where nothing has been written."""
        drafts = [self._live.get(number) for number in leg.numbers]
        if all(draft is not None and draft.is_empty for draft in drafts):
            return failure_in_stream(event, self._line.client.root)
        return BrokenError(f"a stream must not end in an error, got {event['error']!r:.300}")

    # -- children -------------------------------------------------------------------------------

    def _add(self, leg: _Leg, piece: Piece) -> None:
        if not 0 <= piece.child < len(leg.numbers):
            raise GarbledError(f"a child must be below n={len(leg.numbers)}, got {piece.child}")
        draft = self._live.get(leg.numbers[piece.child])
        if draft is None:  # it ended here, and the server goes on
            leg.written += len(piece.token_ids or ())
            return
        shown, reason = draft.add(piece)
        if shown is not None:
            self._put(shown)
        if reason is None:
            return
        del self._live[draft.number]
        leg.is_left = leg.is_left or draft.is_cut
        if self._sheet.counts_late and draft.counted is None:
            leg.late.append((draft, reason))
        else:
            self._end(leg, draft, reason)

    def _end(self, leg: _Leg, draft: Draft, reason: str, counts: Counts | None = None, lost: int = 0) -> None:
        child = self._line.dialect.kept(self.request, draft.ended(reason, counts, lost))
        leg.written += len(child.token_ids)
        self._put(child)

    def _cancel(self, draft: Draft, *, alone: bool) -> None:
        leg = next((leg for leg in self._legs if draft.number in leg.numbers), _Leg((), 0))
        siblings = [number for number in leg.numbers if number in self._live]
        leg.is_left = True
        lost = 0
        if draft.is_sent:
            lag = 1 if self.request.stream else self._line.dialect.lag
            lost = self._most if alone and siblings else lag
        self._end(leg, draft, FinishReason.CANCELLED, lost=lost)
        if not siblings and leg.task is not None:
            leg.task.cancel()

    def _settle(self, leg: _Leg) -> None:
        """Count the children that waited for the usage of their stream, and tell of them."""
        late, leg.late = leg.late, []
        if not late:
            return
        shares = _shares([draft.estimate for draft, _ in late], leg, self._most)
        thoughts = None
        if leg.reported is not None and leg.reported.thought_tokens is not None and len(late) == 1:
            thoughts = leg.reported.thought_tokens
        for (draft, reason), share in zip(late, shares, strict=True):
            self._end(leg, draft, reason, Counts(share, thoughts))

    # -- the end --------------------------------------------------------------------------------

    def _put(self, event: Event | EngineError) -> None:
        if not self.is_over:
            self.arrived.put_nowait(event)

    def _finish(self) -> None:
        for leg in self._legs:
            self._settle(leg)
        self._put(RequestFinished(self._usage()))
        self._over()

    def _usage(self) -> Usage:
        """What all connections took: as the server tells it, else the prompt and what was written."""
        prompt, cached, generated, is_estimated = 0, 0, 0, False
        for leg in self._legs:
            if not leg.is_sent and leg.reported is None:
                continue  # refused, or never sent
            reported = leg.reported or ReportedUsage(len(self.request.prompt), 0, leg.written)
            prompt += reported.prompt_tokens
            cached += reported.cached_prompt_tokens
            generated += reported.generated_tokens
            is_estimated = is_estimated or (leg.reported is None and self._sheet.counts_late)
        return Usage(prompt, cached, generated, is_estimated)

    def _fail(self, error: EngineError) -> None:
        for leg in self._legs:
            self._settle(leg)
        self._put(error)
        self._over()

    def _over(self) -> None:
        self.is_over = True
        self._on_end()


def _shares(estimates: Sequence[int], leg: _Leg, most: int) -> list[int]:
    """Tokens of each child of a leg: its part of what the usage tells, by length; without one, estimates."""
    if leg.reported is None:
        return list(estimates)
    total, whole = leg.reported.generated_tokens, sum(estimates)
    if len(estimates) == 1 and len(leg.numbers) == 1:
        return [min(total, most)]
    if len(estimates) < len(leg.numbers) or not whole:  # others of it ended before: theirs is not known
        return list(estimates)
    ends = [round(total * sum(estimates[: i + 1]) / whole) for i in range(len(estimates))]
    return [min(most, end - begin) for begin, end in zip([0, *ends], ends, strict=False)]
