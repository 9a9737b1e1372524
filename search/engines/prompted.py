"""A policy under a prompting: an engine that asks another engine in the words of ``search.prompts``."""

from __future__ import annotations

from search.engines.forwarding import ForwardingEngine
from search.engines.protocol import Engine
from search.prompts import Prompting

__all__ = ["PromptedEngine"]


class PromptedEngine(ForwardingEngine):
    """Wraps an engine; only prompts and the card's fingerprint differ. Closing it closes the other.

    Parameters
    ----------
    engine:
        Who writes: the policy itself, asked plainly.
    prompting:
        What stands around a question.
    """

    def __init__(self, engine: Engine, prompting: Prompting) -> None:
        super().__init__(engine, prompting.card(engine.card))
        self.prompting = prompting

    def around(self, engine: Engine) -> Engine:
        return PromptedEngine(engine, self.prompting)

    def prompt(self, question: str) -> tuple[int, ...]:
        return self.engine.prompt(self.prompting.ask(question))

    def worded(self, question: str) -> str:
        return self.prompting.ask(question)
