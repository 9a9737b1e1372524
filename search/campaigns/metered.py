"""An engine and a PRM whose tokens are counted as they are spent (``search.campaigns.spending``)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import replace

from search.campaigns.spending import Meter, Usage
from search.engines.protocol import ChildFinished, Engine, Event, Request, RequestFinished, Tokens
from search.errors import EngineError, RewardError
from search.rewards.borrowed import BorrowedReward
from search.rewards.protocol import Handle, Reward, Scored
from search.thinking_budget import ThinkingBudget

__all__ = ["MeteredEngine", "MeteredReward"]


class MeteredEngine(Engine):
    """Wraps an engine for one run of a plan. Closing it closes nothing: the engine belongs to others.

    What does not fit into the limit is not sent: EngineError, and the meter is exhausted.

    Parameters
    ----------
    engine:
        Who writes.
    meter:
        Who counts, under the engine's name.
    on_child:
        Called as each solution ends.
    """

    def __init__(self, engine: Engine, meter: Meter, on_child: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._meter = meter
        self._on_child = on_child
        self._prompts: dict[tuple[int, ...], bool] = {}  # made for this run; whether it was sent
        self.card = engine.card
        self.equal_bits = engine.equal_bits
        self.concurrency = engine.concurrency

    @property
    def backend(self) -> str:
        return self._engine.backend

    def prompt(self, question: str) -> tuple[int, ...]:
        return self._made(self._engine.prompt(question))

    def turn(self, text: str) -> tuple[int, ...]:
        return self._made(self._engine.turn(text))

    def worded(self, question: str) -> str:
        return self._engine.worded(question)

    def submit(self, request: Request) -> AsyncIterator[Event]:
        sent = self._engine.most_sent(len(request.prompt), request.n, request.max_tokens)
        prompt = sent if self._meter.is_in_money else len(request.prompt)
        if not self._meter.check(self.card.name, prompt, request.n):
            raise EngineError(f"what is sent must fit into the limit, got {self._meter.limit}")
        asked = replace(request, stream=True) if self._meter.is_live else request
        events = self._engine.submit(asked)
        # at once: others that are sent side by side hear of it before they ask whether they fit
        usage, new = self._meter.usage(self.card.name), self._new(request.prompt)
        usage.runs += new > 0
        usage.first_prompt += new
        usage.prompt += sent
        return self._events(events, request, sent)

    def most_sent(self, prompt: int, n: int, max_tokens: int) -> int:
        return self._engine.most_sent(prompt, n, max_tokens)

    def refuses_thinking(self, wanted: ThinkingBudget) -> str | None:
        return self._engine.refuses_thinking(wanted)

    def thinking(self, wanted: ThinkingBudget) -> Engine:
        return MeteredEngine(self._engine.thinking(wanted), self._meter, self._on_child)

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        await self._engine.cancel(request_id, child)

    async def close(self) -> None:
        """Nothing."""

    async def _events(
        self, events: AsyncIterator[Event], request: Request, sent: int
    ) -> AsyncIterator[Event]:
        usage = self._meter.usage(self.card.name)
        flight = _Flight(usage, request, sent)
        try:
            async for event in events:
                flight.hear(event)
                self._meter.check()
                if isinstance(event, ChildFinished):
                    self._on_child()
                if request.stream or not isinstance(event, Tokens):
                    yield event
        finally:
            flight.land()
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    def _made(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        self._prompts.setdefault(prompt, False)
        return prompt

    def _new(self, sent: tuple[int, ...]) -> int:
        """Tokens of the prompt that a request begins with, 0 where it was sent before."""
        begun = [made for made in self._prompts if sent[: len(made)] == made]
        prompt = max(begun, key=len, default=sent if not self._prompts else ())
        is_sent, self._prompts[prompt] = self._prompts.get(prompt, False), True
        return 0 if is_sent else len(prompt)


class _Flight:
    """The tokens of one request on their way into a usage, its prompt left out."""

    def __init__(self, usage: Usage, request: Request, sent: int) -> None:
        self._usage = usage
        self._open = dict.fromkeys(range(request.n), 0)  # child -> tokens counted as they came
        self._prompt = sent
        self._generated = 0
        usage.open += request.n

    def hear(self, event: Event) -> None:
        if isinstance(event, Tokens):
            if event.child in self._open:
                self._open[event.child] += len(event.token_ids)
                self._add(len(event.token_ids))
        elif isinstance(event, ChildFinished):
            counted = self._open.pop(event.child, None)
            if counted is not None:
                self._usage.open -= 1
                self._usage.ended += 1
                self._add(len(event.token_ids) + event.lost_tokens - counted)
        elif isinstance(event, RequestFinished):
            told = event.usage
            self._usage.prompt += told.prompt_tokens - self._prompt
            self._usage.cached += told.cached_prompt_tokens
            self._add(max(0, told.generated_tokens - self._generated))

    def land(self) -> None:
        self._usage.open -= len(self._open)
        self._open.clear()

    def _add(self, tokens: int) -> None:
        self._generated += tokens
        self._usage.generated += tokens


class MeteredReward(BorrowedReward):
    """Wraps a PRM. Closing it closes nothing. A prompt counts once per question, as in a log; money counts
    all that is sent.

    What does not fit into the limit is not sent: RewardError, and the meter is exhausted.
    """

    def __init__(self, reward: Reward, meter: Meter) -> None:
        super().__init__(reward)
        self._meter = meter
        self._asked: set[str] = set()

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        need = self.reward.need(handle, steps)
        prompt = 0 if handle.question in self._asked else self.reward.count(handle.question, ())[0]
        read = prompt + need.tokens - need.written
        sent = self.reward.most_read(handle, steps)
        paid = sent if self._meter.is_in_money else read
        if not self._meter.fits((self.card.name, paid, need.written)):
            self._meter.exhausted.set()
            raise RewardError(f"what is scored must fit into the limit, got {self._meter.limit}")
        self._asked.add(handle.question)
        usage = self._meter.usage(self.card.name)
        usage.prompt += sent
        usage.first_prompt += read
        usage.generated += need.written
        scored = await self.reward.extend(handle, steps)
        rest = need.tokens - scored.usage.logical_tokens  # held, and not used
        unwritten = need.written - scored.usage.written_tokens
        usage.prompt -= sent - scored.usage.read_tokens
        usage.first_prompt -= rest - unwritten
        usage.generated -= unwritten
        return scored
