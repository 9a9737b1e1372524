"""Where a campaign gets its models from: cards at once, weights only when there is work for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from search.cards import ModelCard
from search.engines.protocol import Engine
from search.errors import CheckpointError
from search.rewards.prm_names import models_of
from search.rewards.protocol import Reward
from search.sources import EmbeddedPolicy, FolderPrm, PolicySource, PrmSource, asked_prm

__all__ = ["FolderLoader", "Loader", "PrmPlace", "ReadyLoader", "SourceLoader"]

T = TypeVar("T")

#: where a PRM lies: its folder, or of one that asks policies the folder of each by name
PrmPlace = str | Path | Mapping[str, str | Path]


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

    def chat_template(self, name: str) -> str:
        """A policy's chat template, without loading weights; "" where it is not known."""
        return ""

    def generation_defaults(self, name: str) -> Mapping[str, object]:
        """A policy's own sampling defaults, without loading weights; empty where they are not known."""
        return {}

    def chosen_sampling(self, name: str) -> Mapping[str, object]:
        """What a user chose for a policy, before what the model itself says; empty where nothing was chosen.

        The names are those of ``generation_defaults``.
        """
        return {}

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


class SourceLoader(Loader):
    """Models from their sources, opened when asked for.

    Parameters
    ----------
    policies, prms:
        Name -> source.
    """

    def __init__(
        self, policies: Mapping[str, PolicySource], prms: Mapping[str, PrmSource] = MappingProxyType({})
    ) -> None:
        self._policies, self._prms = dict(policies), dict(prms)
        self._policy_cards: dict[str, ModelCard] = {}
        self._prm_cards: dict[str, ModelCard] = {}
        self._engines: dict[str, Engine] = {}
        self._rewards: dict[str, Reward] = {}

    def policy_card(self, name: str) -> ModelCard:
        if name not in self._policy_cards:
            self._policy_cards[name] = _named(self._policies, name, "policy").card()
        return self._policy_cards[name]

    def prm_card(self, name: str) -> ModelCard:
        if name not in self._prm_cards:
            self._prm_cards[name] = _named(self._prms, name, "PRM").card()
        return self._prm_cards[name]

    def engine(self, name: str) -> Engine:
        if name not in self._engines:
            self._engines[name] = _named(self._policies, name, "policy").open()
        return self._engines[name]

    def chat_template(self, name: str) -> str:
        return _named(self._policies, name, "policy").chat_template()

    def generation_defaults(self, name: str) -> Mapping[str, object]:
        return _named(self._policies, name, "policy").generation_defaults()

    def reward(self, name: str) -> Reward:
        if name not in self._rewards:
            self._rewards[name] = _named(self._prms, name, "PRM").open_beside(self._beside)
        return self._rewards[name]

    def _beside(self, policy: str) -> Engine | None:
        return self.engine(policy) if policy in self._policies else None

    async def close(self) -> None:
        for engine in self._engines.values():
            await engine.close()
        for reward in self._rewards.values():
            await reward.close()
        self._engines.clear()
        self._rewards.clear()


class FolderLoader(SourceLoader):
    """Checkpoint folders, loaded by the embedded engine and the PRM's own family.

    Parameters
    ----------
    policies, prms:
        Name -> folder; for a PRM that asks policies (``search.rewards.prm_names``) their folders by name, or
        the one folder of the only policy.
    threads:
        Torch threads. Part of what makes a resumed campaign equal an unbroken one bit for bit.
    lent:
        Policies that PRMs ask and somebody else has opened, by name, and closes.
    """

    def __init__(
        self,
        policies: Mapping[str, str | Path],
        prms: Mapping[str, PrmPlace] | None = None,
        *,
        threads: int = 1,
        lent: Mapping[str, Engine] = MappingProxyType({}),
    ) -> None:
        options = {"threads": threads}

        def source(name: str, place: PrmPlace) -> PrmSource:
            models = models_of(name)
            if not models and not isinstance(place, Mapping):
                return FolderPrm(place, options)
            folders = place if isinstance(place, Mapping) else dict.fromkeys(models, place)
            return asked_prm(name, lambda model: EmbeddedPolicy(folders[model], options))

        super().__init__(
            {name: EmbeddedPolicy(folder, options) for name, folder in policies.items()},
            {name: source(name, place) for name, place in (prms or {}).items()},
        )
        self._lent = dict(lent)

    def _beside(self, policy: str) -> Engine | None:
        return self._lent.get(policy) or super()._beside(policy)


def _named(known: Mapping[str, T], name: str, kind: str) -> T:
    if name not in known:
        raise CheckpointError(f"{kind} must be one of {', '.join(known) or 'none'}, got {name!r}")
    return known[name]
