"""A policy under a prompting: an engine that asks another engine in the words of ``search.prompts``."""

from __future__ import annotations

from collections.abc import AsyncIterator

from search.engines.protocol import Engine, Event, PromptLogprobs, Request
from search.prompts import Prompting
from search.thinking_budget import ThinkingBudget

__all__ = ["PromptedEngine"]


class PromptedEngine(Engine):
    """Wraps an engine; only prompts and the card's fingerprint differ. Closing it closes the other.

    Parameters
    ----------
    engine:
        Who writes.
    prompting:
        What stands around a question.
    """

    def __init__(self, engine: Engine, prompting: Prompting) -> None:
        self._engine = engine
        self.prompting = prompting
        self.card = prompting.card(engine.card)
        self.equal_bits = engine.equal_bits
        self.concurrency = engine.concurrency
        self.tells_prompts = engine.tells_prompts

    @property
    def engine(self) -> Engine:
        """The policy itself, asked plainly."""
        return self._engine

    @property
    def backend(self) -> str:
        return self._engine.backend

    def prompt(self, question: str) -> tuple[int, ...]:
        return self._engine.prompt(self.prompting.ask(question))

    def turn(self, text: str) -> tuple[int, ...]:
        return self._engine.turn(text)

    def worded(self, question: str) -> str:
        return self.prompting.ask(question)

    def written(self, text: str) -> tuple[int, ...]:
        return self._engine.written(text)

    async def prompt_logprobs(self, tokens: tuple[int, ...], start: int) -> PromptLogprobs:
        return await self._engine.prompt_logprobs(tokens, start)

    def submit(self, request: Request) -> AsyncIterator[Event]:
        return self._engine.submit(request)

    def at_effort(self, effort: str) -> Engine:
        thinking = self._engine.at_effort(effort)
        return self if thinking is self._engine else PromptedEngine(thinking, self.prompting)

    def refuses_thinking(self, wanted: ThinkingBudget) -> str | None:
        return self._engine.refuses_thinking(wanted)

    def thinking(self, wanted: ThinkingBudget) -> Engine:
        return PromptedEngine(self._engine.thinking(wanted), self.prompting)

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        await self._engine.cancel(request_id, child)

    async def close(self) -> None:
        await self._engine.close()
