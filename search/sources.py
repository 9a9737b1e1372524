"""Sources: where one model comes from. A card at once, the model itself when there is work for it.

Engine libraries are imported as a model is opened and not before.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.cards import ModelCard
from search.checkpoint import generation_defaults, read_checkpoint
from search.engines.protocol import Engine
from search.errors import EngineError, MissingExtraError
from search.prompts import chat_template
from search.rewards.families import open_reward, read_prm
from search.rewards.protocol import Reward

if TYPE_CHECKING:
    from search.engines.openai.engine import OpenAIEngine
    from search.rewards.http import HttpReward

__all__ = [
    "ENGINES",
    "PRM_ENGINES",
    "EmbeddedPolicy",
    "FolderPrm",
    "PolicySource",
    "PrmSource",
    "ServedPolicy",
    "ServedPrm",
    "VllmPolicy",
    "VllmPrm",
]

#: how policies can be run
ENGINES = ("embedded", "vllm", "openai")
#: how PRMs can be run, apart from servers
PRM_ENGINES = ("embedded", "vllm")


class PolicySource(ABC):
    """One policy."""

    @abstractmethod
    def card(self) -> ModelCard:
        """What is known of it before it runs."""

    @abstractmethod
    def open(self) -> Engine:
        """The policy, loaded or connected; the caller closes it."""

    def chat_template(self) -> str:
        """Its chat template; "" where that is not known."""
        return ""

    def generation_defaults(self) -> Mapping[str, object]:
        """Its own sampling defaults (``generation_config.json``); empty where they are not known."""
        return {}


class PrmSource(ABC):
    """One PRM."""

    @abstractmethod
    def card(self) -> ModelCard:
        """What is known of it before it runs."""

    @abstractmethod
    def open(self) -> Reward:
        """The PRM, loaded or connected; the caller closes it."""


@dataclass(frozen=True, slots=True)
class EmbeddedPolicy(PolicySource):
    """A folder, decoded in this process. ``options``: those of ``EmbeddedEngine.load``."""

    folder: str | Path
    options: Mapping[str, Any] = field(default_factory=dict)

    def card(self) -> ModelCard:
        return read_checkpoint(self.folder).card

    def open(self) -> Engine:
        try:
            from search.engines.embedded import EmbeddedEngine
        except ModuleNotFoundError as error:
            raise _missing("embedded", error.name, "lab") from error
        _check_options("embedded", EmbeddedEngine.load, self.options)
        return EmbeddedEngine.load(self.folder, **self.options)

    def chat_template(self) -> str:
        return chat_template(self.folder)

    def generation_defaults(self) -> Mapping[str, object]:
        return generation_defaults(self.folder)


@dataclass(frozen=True, slots=True)
class VllmPolicy(PolicySource):
    """A folder, served in this process by vLLM. ``options``: vLLM's engine arguments."""

    folder: str | Path
    options: Mapping[str, Any] = field(default_factory=dict)

    def card(self) -> ModelCard:
        return read_checkpoint(self.folder).card

    def open(self) -> Engine:
        from search.engines.vllm import VllmEngine

        return VllmEngine.load(self.folder, **self.options)

    def chat_template(self) -> str:
        return chat_template(self.folder)

    def generation_defaults(self) -> Mapping[str, object]:
        return generation_defaults(self.folder)


@dataclass(slots=True)
class ServedPolicy(PolicySource):
    """A policy behind an OpenAI-compatible server. ``options``: those of ``OpenAIEngine.connect``.

    Its card is what the server tells, so asking for it connects.
    """

    base_url: str
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # the API key is among them
    _connected: OpenAIEngine | None = field(default=None, init=False, repr=False)
    _rendered: str | None = field(default=None, init=False, repr=False)

    def card(self) -> ModelCard:
        if self._connected is None:
            self._connected = self._connect()
        return self._connected.card

    def open(self) -> Engine:
        engine, self._connected = self._connected or self._connect(), None
        return engine

    def chat_template(self) -> str:
        folder = self.options.get("tokenizer")
        if folder is not None:
            return chat_template(folder)
        if self._rendered is None:
            self.card()
            assert self._connected is not None
            self._rendered = self._connected.rendered()  # no template, but it holds the same marks
        return self._rendered

    def generation_defaults(self) -> Mapping[str, object]:
        folder = self.options.get("tokenizer")
        return {} if folder is None else generation_defaults(folder)

    def _connect(self) -> OpenAIEngine:
        try:
            from search.engines.openai.engine import OpenAIEngine
        except ModuleNotFoundError as error:
            raise _missing("openai", error.name, "openai") from error
        _check_options("openai", OpenAIEngine.connect, self.options)
        return OpenAIEngine.connect(self.base_url, self.model, **self.options)


@dataclass(frozen=True, slots=True)
class FolderPrm(PrmSource):
    """A folder, scored in this process by its family. ``options``: those of ``open_reward``."""

    folder: str | Path
    options: Mapping[str, Any] = field(default_factory=dict)

    def card(self) -> ModelCard:
        return read_prm(self.folder).card

    def open(self) -> Reward:
        _check_options("embedded", open_reward, self.options)
        return open_reward(self.folder, **self.options)


@dataclass(frozen=True, slots=True)
class VllmPrm(PrmSource):
    """A folder, served in this process by vLLM. ``options``: vLLM's engine arguments."""

    folder: str | Path
    options: Mapping[str, Any] = field(default_factory=dict)

    def card(self) -> ModelCard:
        return read_prm(self.folder).card

    def open(self) -> Reward:
        from search.rewards.vllm import VllmReward

        return VllmReward.load(self.folder, **self.options)


@dataclass(slots=True)
class ServedPrm(PrmSource):
    """A PRM behind vLLM's ``/pooling``. ``options``: those of ``HttpReward.connect``."""

    base_url: str
    folder: str | Path
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # the API key is among them
    _connected: HttpReward | None = field(default=None, init=False, repr=False)

    def card(self) -> ModelCard:
        if self._connected is None:
            self._connected = self._connect()
        return self._connected.card

    def open(self) -> Reward:
        reward, self._connected = self._connected or self._connect(), None
        return reward

    def _connect(self) -> HttpReward:
        try:
            from search.rewards.http import HttpReward
        except ModuleNotFoundError as error:
            raise _missing("openai", error.name, "openai,lab") from error
        _check_options("openai", HttpReward.connect, self.options)
        return HttpReward.connect(self.base_url, self.folder, **self.options)


def _missing(what: str, name: str | None, extra: str) -> MissingExtraError:
    return MissingExtraError(
        f"the {what} engine needs the {extra} extra, got no {name}: pip install 'test-time-planner[{extra}]'"
    )


def _check_options(engine: str, load: Callable[..., object], options: Mapping[str, Any]) -> None:
    """Raises EngineError for an option that the engine does not know."""
    known = [
        name
        for name, parameter in inspect.signature(load).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    for name in options:
        if name not in known:
            raise EngineError(
                f"an option of the {engine} engine must be one of {', '.join(known)}, got {name!r}"
            )
