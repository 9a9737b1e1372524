"""A loader whose policies are asked under their prompting: by their chat template, or as a grid says."""

from __future__ import annotations

from collections.abc import Mapping

from search.cards import ModelCard
from search.engines.prompted import PromptedEngine
from search.engines.protocol import Engine
from search.loader import Loader
from search.prompts import AUTO, Prompting, choose
from search.rewards.protocol import Reward

__all__ = ["PromptedLoader"]


class PromptedLoader(Loader):
    """Wraps a loader. A policy that is asked plainly is that loader's own engine.

    Parameters
    ----------
    loader:
        Where models come from.
    prompt, template, delimiter:
        As ``search.prompts.choose`` takes them, for every policy.
    """

    def __init__(
        self,
        loader: Loader,
        prompt: str = AUTO,
        template: str | None = None,
        delimiter: str | None = None,
    ) -> None:
        self._loader = loader
        self._chosen = (prompt, template, delimiter)
        self._promptings: dict[str, Prompting] = {}
        self._engines: dict[str, tuple[Engine, Engine]] = {}

    def prompting(self, name: str) -> Prompting:
        """How a policy is asked. Raises GridError."""
        if name not in self._promptings:
            prompt, template, delimiter = self._chosen
            chat = self._loader.chat_template(name) if prompt == AUTO else ""
            self._promptings[name] = choose(prompt, chat, template=template, delimiter=delimiter)
        return self._promptings[name]

    def chat_template(self, name: str) -> str:
        return self._loader.chat_template(name)

    def generation_defaults(self, name: str) -> Mapping[str, object]:
        return self._loader.generation_defaults(name)

    def chosen_sampling(self, name: str) -> Mapping[str, object]:
        return self._loader.chosen_sampling(name)

    def policy_card(self, name: str) -> ModelCard:
        return self.prompting(name).card(self._loader.policy_card(name))

    def prm_card(self, name: str) -> ModelCard:
        return self._loader.prm_card(name)

    def engine(self, name: str) -> Engine:
        inner = self._loader.engine(name)
        if self.prompting(name).is_plain:
            return inner
        known = self._engines.get(name)
        if known is None or known[0] is not inner:
            known = self._engines[name] = (inner, PromptedEngine(inner, self.prompting(name)))
        return known[1]

    def reward(self, name: str) -> Reward:
        return self._loader.reward(name)

    async def close(self) -> None:
        await self._loader.close()
