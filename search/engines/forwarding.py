"""An engine that stands before another one and passes everything on: what wraps a policy begins with it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator

from search.cards import ModelCard
from search.engines.protocol import Engine, Event, PromptLogprobs, Request
from search.thinking_budget import ThinkingBudget

__all__ = ["ForwardingEngine"]


class ForwardingEngine(Engine):
    """Wraps an engine under a card. A subclass overrides what differs. Closing it closes the other."""

    def __init__(self, engine: Engine, card: ModelCard) -> None:
        self.engine = engine
        self.card = card
        self.equal_bits = engine.equal_bits
        self.concurrency = engine.concurrency
        self.tells_prompts = engine.tells_prompts

    @abstractmethod
    def around(self, engine: Engine) -> Engine:
        """The same around another engine: the policy told to think otherwise."""

    @property
    def backend(self) -> str:
        return self.engine.backend

    @property
    def last_failure(self) -> str:
        return self.engine.last_failure

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

    def most_sent(self, prompt: int, n: int, max_tokens: int) -> int:
        return self.engine.most_sent(prompt, n, max_tokens)

    def at_effort(self, effort: str) -> Engine:
        thinking = self.engine.at_effort(effort)
        return self if thinking is self.engine else self.around(thinking)

    def refuses_thinking(self, wanted: ThinkingBudget) -> str | None:
        return self.engine.refuses_thinking(wanted)

    def thinking(self, wanted: ThinkingBudget) -> Engine:
        return self.around(self.engine.thinking(wanted))

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        await self.engine.cancel(request_id, child)

    async def close(self) -> None:
        await self.engine.close()
