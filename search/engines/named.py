"""An engine under another card: the name that a user gives a model, or a number of weights."""

from __future__ import annotations

from collections.abc import AsyncIterator

from search.cards import ModelCard
from search.engines.protocol import Engine, Event, PromptLogprobs, Request
from search.thinking_budget import ThinkingBudget

__all__ = ["NamedEngine"]


class NamedEngine(Engine):
    """Wraps an engine; only the card differs. Closing it closes the other."""

    def __init__(self, engine: Engine, card: ModelCard) -> None:
        self.engine = engine
        self.card = card
        self.equal_bits = engine.equal_bits
        self.concurrency = engine.concurrency
        self.tells_prompts = engine.tells_prompts

    @property
    def backend(self) -> str:
        return self.engine.backend

    def prompt(self, question: str) -> tuple[int, ...]:
        return self.engine.prompt(question)

    def turn(self, text: str) -> tuple[int, ...]:
        return self.engine.turn(text)

    def worded(self, question: str) -> str:
        return self.engine.worded(question)

    def written(self, text: str) -> tuple[int, ...]:
        return self.engine.written(text)

    async def prompt_logprobs(self, tokens: tuple[int, ...], start: int) -> PromptLogprobs:
        return await self.engine.prompt_logprobs(tokens, start)

    def submit(self, request: Request) -> AsyncIterator[Event]:
        return self.engine.submit(request)

    def at_effort(self, effort: str) -> Engine:
        thinking = self.engine.at_effort(effort)
        return self if thinking is self.engine else NamedEngine(thinking, self.card)

    def refuses_thinking(self, wanted: ThinkingBudget) -> str | None:
        return self.engine.refuses_thinking(wanted)

    def thinking(self, wanted: ThinkingBudget) -> Engine:
        return NamedEngine(self.engine.thinking(wanted), self.card)

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        await self.engine.cancel(request_id, child)

    async def close(self) -> None:
        await self.engine.close()
