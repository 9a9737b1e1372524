"""Where a campaign gets its models from: cards at once, weights only when there is work for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from search.cards import ModelCard
from search.checkpoint import read_checkpoint
from search.engines.protocol import Engine
from search.errors import CheckpointError
from search.rewards.families import open_reward, read_prm
from search.rewards.protocol import Reward

__all__ = ["FolderLoader", "Loader", "ReadyLoader"]

T = TypeVar("T")


class Loader(ABC):
    """Models by the names that a grid uses. Asking twice for one model gives the same object."""

    @abstractmethod
    def policy_card(self, name: str) -> ModelCard:
        """The card, without loading weights. Raises CheckpointError for an unknown name."""

    @abstractmethod
    def prm_card(self, name: str) -> ModelCard:
        """The card, without loading weights. Raises CheckpointError for an unknown name."""

    @abstractmethod
    def engine(self, name: str) -> Engine:
        """The policy, loaded."""

    @abstractmethod
    def reward(self, name: str) -> Reward:
        """The PRM, loaded."""

    @abstractmethod
    async def close(self) -> None:
        """Close what this loader has loaded. Safe to call twice."""


class ReadyLoader(Loader):
    """Engines and rewards that the caller has loaded, and closes."""

    def __init__(self, engines: Iterable[Engine], rewards: Iterable[Reward] = ()) -> None:
        self._engines = {engine.card.name: engine for engine in engines}
        self._rewards = {reward.card.name: reward for reward in rewards}

    def policy_card(self, name: str) -> ModelCard:
        return self.engine(name).card

    def prm_card(self, name: str) -> ModelCard:
        return self.reward(name).card

    def engine(self, name: str) -> Engine:
        return _named(self._engines, name, "policy")

    def reward(self, name: str) -> Reward:
        return _named(self._rewards, name, "PRM")

    async def close(self) -> None:
        """Nothing: these models belong to the caller."""


class FolderLoader(Loader):
    """Checkpoint folders, loaded by the embedded engine and the PRM's own family when asked for.

    Parameters
    ----------
    policies, prms:
        Name -> folder.
    threads:
        Torch threads. Part of what makes a resumed campaign equal an unbroken one bit for bit.
    """

    def __init__(
        self,
        policies: Mapping[str, str | Path],
        prms: Mapping[str, str | Path] | None = None,
        *,
        threads: int = 1,
    ) -> None:
        self._folders = {"policy": dict(policies), "PRM": dict(prms or {})}
        self._cards: dict[tuple[str, str], ModelCard] = {}
        self._engines: dict[str, Engine] = {}
        self._rewards: dict[str, Reward] = {}
        self._threads = threads

    def policy_card(self, name: str) -> ModelCard:
        return self._card("policy", name)

    def prm_card(self, name: str) -> ModelCard:
        return self._card("PRM", name)

    def engine(self, name: str) -> Engine:
        if name not in self._engines:
            from search.engines.embedded import EmbeddedEngine

            folder = _named(self._folders["policy"], name, "policy")
            self._engines[name] = EmbeddedEngine.load(folder, threads=self._threads)
        return self._engines[name]

    def reward(self, name: str) -> Reward:
        if name not in self._rewards:
            folder = _named(self._folders["PRM"], name, "PRM")
            self._rewards[name] = open_reward(folder, threads=self._threads)
        return self._rewards[name]

    async def close(self) -> None:
        for engine in self._engines.values():
            await engine.close()
        for reward in self._rewards.values():
            await reward.close()
        self._engines.clear()
        self._rewards.clear()

    def _card(self, kind: str, name: str) -> ModelCard:
        if (kind, name) not in self._cards:
            read = read_checkpoint if kind == "policy" else read_prm
            self._cards[kind, name] = read(_named(self._folders[kind], name, kind)).card
        return self._cards[kind, name]


def _named(known: Mapping[str, T], name: str, kind: str) -> T:
    if name not in known:
        raise CheckpointError(f"{kind} must be one of {', '.join(known) or 'none'}, got {name!r}")
    return known[name]
