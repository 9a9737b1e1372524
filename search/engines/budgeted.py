"""Budget forcing: an engine whose policy's thoughts are ended, or gone on with, by us.

After s1 (Muennighoff et al., arXiv 2501.19393, section 3.1). A thought that has come to ``think`` tokens is
closed with the model's own end-of-thought text, after which it writes the answer. One that ends before
``wait`` tokens has its end taken away and ``WAIT`` put in its place, ``MOST_WAITS`` times at most.

It needs an engine whose solutions can be gone on with after a text of ours: those in this process, and
servers that take completions. What stands for a thought:

| thought | closed with |
|---|---|
| after a tag of ``search.engines.thinking.TAGS``, in the prompt or written by the model | its closing tag |
| harmony's analysis channel (gpt-oss) | the beginning of its final channel |
| all of a solution, where the engine has a ``thought_end`` of its own | that text |

No child takes more tokens than its request allows, what is thrown away and what is put in included; an
eighth of them is kept for the answer. The tokens that are put in have the logprob 0.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from search.bounded import Bounded
from search.engines.budgeted_flight import FINAL, MOST_WAITS, PIECES, TAIL, Flight
from search.engines.protocol import Engine, Event, Request, RequestFinished
from search.engines.thinking import TAGS, opens
from search.errors import EngineError
from search.thinking_budget import ThinkingBudget

__all__ = ["BudgetedEngine", "budgeted", "fault_of"]

#: unfinished solutions that are remembered, tokens of them in all, and the newest whatever their length
_KEPT, _TOKENS, _LEAST = 16384, 1 << 21, 256
_CHANNEL = "<|channel|>"


def fault_of(engine: Engine, wanted: ThinkingBudget) -> str | None:
    """What speaks against thinking so, for an engine that no server tells to; None where nothing does."""
    if wanted.effort:
        name = engine.card.name
        return f"effort needs a served policy, got effort={wanted.effort} for {name!r}, which is none"
    if wanted.think is not None and engine.continuation("") is None:
        return (
            f"think needs a policy that goes on after a text of ours, got {wanted} for {engine.card.name!r}"
        )
    return None


def budgeted(engine: Engine, wanted: ThinkingBudget) -> Engine:
    """An engine whose thoughts keep to a budget; itself where there is none. Raises EngineError."""
    fault = fault_of(engine, wanted)
    if fault is not None:
        raise EngineError(fault)
    return engine if wanted.think is None else BudgetedEngine(engine, wanted)


class BudgetedEngine(Engine):
    """Wraps an engine. Closing it closes the other.

    Parameters
    ----------
    engine:
        Who writes; its solutions can be gone on with.
    wanted:
        With a ``think``; its effort is not looked at.
    """

    def __init__(self, engine: Engine, wanted: ThinkingBudget) -> None:
        if wanted.think is None:
            raise ValueError(f"a budget of thought needs think, got {wanted}")
        self._engine = engine
        self._most, self._least = wanted.think, wanted.wait
        self.card = engine.card
        self.equal_bits = engine.equal_bits
        self.concurrency = engine.concurrency
        self.thought_end = engine.thought_end
        self._flights: dict[str, Flight] = {}
        # prompt of an unfinished solution -> (tokens thought so far, whether it is in its thought)
        self._begun = Bounded[tuple[int, ...], tuple[int, bool]](
            entries=_KEPT, size=_TOKENS, weigh=lambda prompt, _: len(prompt), least=_LEAST
        )

    @property
    def backend(self) -> str:
        return self._engine.backend

    def prompt(self, question: str) -> tuple[int, ...]:
        return self._engine.prompt(question)

    def turn(self, text: str) -> tuple[int, ...]:
        return self._engine.turn(text)

    def worded(self, question: str) -> str:
        return self._engine.worded(question)

    def continuation(self, text: str) -> tuple[int, ...] | None:
        return self._engine.continuation(text)

    def spelled(self, tokens: Sequence[int]) -> str:
        return self._engine.spelled(tokens)

    def submit(self, request: Request) -> AsyncIterator[Event]:
        if request.request_id in self._flights:
            raise EngineError(f"a request id is used once at a time, got {request.request_id!r} twice")
        flight = Flight(self, request)
        flight.start()  # what cannot be asked is refused now
        self._flights[request.request_id] = flight
        return self._events(flight)

    def most_sent(self, prompt: int, n: int, max_tokens: int) -> int:
        """All children share the first piece; each then goes on in requests of its own."""
        pieces = PIECES + (MOST_WAITS if self._least else 0)
        own = self._engine.most_sent(prompt + max_tokens, 1, max_tokens)
        return self._engine.most_sent(prompt, n, max_tokens) + n * pieces * own

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        flight = self._flights.get(request_id)
        if flight is not None:
            await flight.cancel(child)

    async def close(self) -> None:
        await self._engine.close()

    async def _events(self, flight: Flight) -> AsyncGenerator[Event]:
        try:
            while True:
                event = await flight.arrived.get()
                if isinstance(event, EngineError):
                    raise event
                if isinstance(event, RequestFinished):  # whoever hears of the end may use the id again
                    self._flights.pop(flight.request.request_id, None)
                yield event
                if isinstance(event, RequestFinished):
                    return
        finally:
            self._flights.pop(flight.request.request_id, None)
            await flight.stop()

    # ---- for flights

    def begun(self, prompt: tuple[int, ...]) -> tuple[int, bool]:
        """(tokens thought so far, whether it is inside its thought) of a prompt."""
        found = self._begun.get(prompt)
        if found is not None:
            return found
        if self.thought_end:
            return 0, True
        return 0, opens(self.spelled(prompt[-TAIL:]))

    def keep(self, prompt: tuple[int, ...], thought: int, is_inside: bool) -> None:
        """Remember where a solution that can be gone on with stands."""
        self._begun.put(prompt, (thought, is_inside))

    def end_of(self, prompt: tuple[int, ...], written: tuple[int, ...]) -> str:
        """The text that ends the thought in which this stands."""
        if self.thought_end:
            return self.thought_end
        # tags stand at the end of a prompt, or where a solution begins
        text = self.spelled(prompt[-TAIL:]) + self.spelled(written[: 2 * TAIL])
        if _CHANNEL in text:
            return FINAL
        found = [(text.rfind(opening), closing) for opening, closing in TAGS]
        return max(found)[1] if max(found)[0] >= 0 else TAGS[0][1]

    def ids(self, text: str) -> tuple[int, ...]:
        """A text of ours as tokens."""
        return self._engine.continuation(text) or ()

    @property
    def engine(self) -> Engine:
        """Who writes."""
        return self._engine

    @property
    def most(self) -> int:
        """Most tokens of a thought."""
        return self._most

    @property
    def least(self) -> int:
        """Fewest tokens of a thought."""
        return self._least
