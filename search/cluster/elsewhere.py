"""A PRM in actors of its own, as a policy's actor sees it; and a loader that hands it out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import count as counting
from typing import Any, Protocol

from search.cards import ModelCard
from search.cluster.messages import Failed
from search.engines.protocol import Engine
from search.errors import RewardError
from search.loader import Loader
from search.rewards.protocol import Handle, Need, Reward, Scored

__all__ = ["Ask", "RewardElsewhere", "SharedLoader"]


class Ask(Protocol):
    """Calls a method of one of a PRM's actors. Retries where an actor dies; raises RewardError at last."""

    def now(self, turn: int, method: str, *values: Any) -> Any:
        """Wait for it on this thread."""

    async def soon(self, turn: int, method: str, *values: Any) -> Any:
        """Wait for it on this loop."""


class RewardElsewhere(Reward):
    """Keeps no state: a prefix is scored again by whichever actor is asked, and told as physical work.

    Never promises equal bits, since what shares a batch there depends on all who ask.
    """

    def __init__(self, card: ModelCard, ask: Ask) -> None:
        self.card = card
        self._ask = ask
        self._turns = counting()
        self._counted = lru_cache(maxsize=4096)(self._count)

    def count(self, question: str, steps: Sequence[str]) -> tuple[int, int]:
        return self._counted(question, tuple(steps))

    def need(self, handle: Handle, steps: Sequence[str]) -> Need:
        found: Need = self._ask.now(next(self._turns), "need", handle.question, handle.steps, tuple(steps))
        return found

    def worst(self, question: str, tokens: int, before: int = 0) -> Need:
        found: Need = self._ask.now(next(self._turns), "worst", question, tokens, before)
        return found

    def fits(self, question: str, steps: Sequence[str]) -> bool:
        return bool(self._ask.now(next(self._turns), "fits", question, tuple(steps)))

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        turn = next(self._turns)
        reply = await self._ask.soon(turn, "extend", handle.question, handle.steps, tuple(steps))
        if isinstance(reply, Failed):
            error = reply.error()
            raise error if isinstance(error, RewardError) else RewardError(str(error)) from error
        scored: Scored = reply
        return scored

    async def close(self) -> None:
        """Nothing: the actors belong to the campaign."""
        await asyncio.sleep(0)

    def _count(self, question: str, steps: tuple[str, ...]) -> tuple[int, int]:
        prompt, rest = self._ask.now(next(self._turns), "count", question, steps)
        return prompt, rest


class SharedLoader(Loader):
    """Wraps a loader: PRMs that have actors of their own are asked there."""

    def __init__(self, loader: Loader, elsewhere: Mapping[str, Callable[[ModelCard], Reward]]) -> None:
        self._loader = loader
        self._elsewhere = dict(elsewhere)
        self._rewards: dict[str, Reward] = {}

    def policy_card(self, name: str) -> ModelCard:
        return self._loader.policy_card(name)

    def prm_card(self, name: str) -> ModelCard:
        return self._loader.prm_card(name)

    def engine(self, name: str) -> Engine:
        return self._loader.engine(name)

    def reward(self, name: str) -> Reward:
        if name not in self._elsewhere:
            return self._loader.reward(name)
        if name not in self._rewards:
            self._rewards[name] = self._elsewhere[name](self.prm_card(name))
        return self._rewards[name]

    def chat_template(self, name: str) -> str:
        return self._loader.chat_template(name)

    def generation_defaults(self, name: str) -> Mapping[str, object]:
        return self._loader.generation_defaults(name)

    def chosen_sampling(self, name: str) -> Mapping[str, object]:
        return self._loader.chosen_sampling(name)

    async def close(self) -> None:
        await self._loader.close()
