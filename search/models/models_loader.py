"""A loader of the models of a models file: any policy, PRM or judge, wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from search.cards import ModelCard
from search.engines.named import NamedEngine
from search.engines.protocol import Engine
from search.errors import CheckpointError
from search.loader import SourceLoader
from search.sources import PolicySource, PrmSource

__all__ = ["ConfiguredPolicy", "ModelsLoader"]


@dataclass(frozen=True, slots=True)
class ConfiguredPolicy(PolicySource):
    """A policy under the name that the file gives it, with sampling defaults of its own.

    Parameters
    ----------
    card_name:
        What its card says.
    source:
        Where it comes from.
    defaults:
        Sampling defaults, before those of the model.
    parameters:
        Number of weights, where the file says.
    thought_end:
        What ends its thoughts (``Engine.thought_end``).
    """

    card_name: str
    source: PolicySource
    defaults: Mapping[str, object] = field(default_factory=dict)
    parameters: int | None = None
    thought_end: str = ""

    def card(self) -> ModelCard:
        card = self.source.card()
        return replace(card, name=self.card_name, parameters=self.parameters or card.parameters)

    def open(self) -> Engine:
        engine = self.source.open()
        engine.thought_end = self.thought_end
        card = self.card() if engine.card.name != self.card_name or self.parameters else engine.card
        known = replace(card, context=engine.card.context, fingerprint=engine.card.fingerprint)
        return engine if known == engine.card else NamedEngine(engine, known)

    def chat_template(self) -> str:
        return self.source.chat_template()

    def generation_defaults(self) -> Mapping[str, object]:
        return {**self.source.generation_defaults(), **self.defaults}


class ModelsLoader(SourceLoader):
    """``SourceLoader`` with judges. Made by ``ModelsFile.loader``."""

    def __init__(
        self,
        policies: Mapping[str, PolicySource],
        prms: Mapping[str, PrmSource] = MappingProxyType({}),
        judges: Mapping[str, PolicySource] = MappingProxyType({}),
    ) -> None:
        super().__init__(policies, prms)
        self._judge_sources = dict(judges)
        self._judges: dict[str, Engine] = {}

    def chosen_sampling(self, name: str) -> Mapping[str, object]:
        source = self._policies.get(name)
        return source.defaults if isinstance(source, ConfiguredPolicy) else {}

    def judge_card(self, name: str) -> ModelCard:
        """The card of a judge's model. Raises CheckpointError for an unknown name."""
        if name not in self._judge_sources:
            known = ", ".join(self._judge_sources) or "none"
            raise CheckpointError(f"judge must be one of {known}, got {name!r}")
        return self._judge_sources[name].card()

    def judge(self, name: str) -> Engine:
        """The judge's model, connected. Raises CheckpointError for an unknown name."""
        if name not in self._judges:
            if name not in self._judge_sources:
                known = ", ".join(self._judge_sources) or "none"
                raise CheckpointError(f"judge must be one of {known}, got {name!r}")
            self._judges[name] = self._judge_sources[name].open()
        return self._judges[name]

    async def close(self) -> None:
        for engine in self._judges.values():
            await engine.close()
        self._judges.clear()
        await super().close()
