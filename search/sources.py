"""Sources: where one model comes from. A card at once, the model itself when there is work for it.

A policy source is what the word behind ``--engine`` names (``search.engines.registry``): it says itself what
it makes of a policy that a user names (``of``).

Engine libraries are imported as a model is opened and not before.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from search.cards import ModelCard
from search.checkpoint import generation_defaults, read_checkpoint
from search.engines.protocol import Engine
from search.engines.registry import ENGINES, AskedPolicy
from search.errors import EngineError, MissingExtraError
from search.prompts import chat_template
from search.rewards.computed.head_spec import HeadSpec, is_head, stateless
from search.rewards.families import open_reward, read_prm
from search.rewards.implicit_spec import ImplicitSpec, is_implicit
from search.rewards.judge_spec import JudgeSpec
from search.rewards.protocol import Reward

if TYPE_CHECKING:
    from search.engines.openai.engine import OpenAIEngine
    from search.rewards.served.http import HttpReward

__all__ = [
    "ENGINES",
    "PRM_ENGINES",
    "AskedPolicy",
    "EmbeddedPolicy",
    "FolderPrm",
    "ImplicitPrm",
    "JudgePrm",
    "LoadedPolicy",
    "PolicySource",
    "PrmSource",
    "ServedPolicy",
    "ServedPrm",
    "VllmPolicy",
    "VllmPrm",
    "asked_prm",
    "policy_source",
]

#: how PRMs can be run, apart from servers
PRM_ENGINES = ("embedded", "vllm")


class PolicySource(ABC):
    """One policy. Sources that ``--engine`` names set ``name`` and ``caption`` and say how they are made."""

    #: the word for ``--engine``
    name: ClassVar[str] = ""
    #: how it runs policies, for people
    caption: ClassVar[str] = ""
    #: whether the policy is behind a URL
    is_served: ClassVar[bool] = False
    #: whether a policy is a checkpoint folder (or a shipped one) and nothing else
    needs_folder: ClassVar[bool] = False

    @classmethod
    def of(cls, asked: AskedPolicy) -> PolicySource:
        """The source of a policy as a user names it. Raises EngineError, CheckpointError."""
        raise EngineError(f"an engine that is asked for by name says how (of), got {cls.__qualname__}")

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

    def open_beside(self, engines: Callable[[str], Engine | None]) -> Reward:
        """``open``, beside policies that are loaded: a policy that judges is not loaded again.

        ``engines``: the policy of a name, None where there is none.
        """
        return self.open()


@dataclass(frozen=True, slots=True)
class EmbeddedPolicy(PolicySource):
    """A folder, decoded in this process. ``options``: those of ``EmbeddedEngine.load``."""

    name = "embedded"
    caption = "a checkpoint folder, decoded in this process by torch"
    needs_folder = True

    folder: str | Path
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, asked: AskedPolicy) -> PolicySource:
        return cls(asked.checkpoint, {"threads": asked.threads, **asked.options})

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

    name = "vllm"
    caption = "a checkpoint folder, served in this process by vLLM"
    needs_folder = True

    folder: str | Path
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, asked: AskedPolicy) -> PolicySource:
        return cls(asked.checkpoint, asked.options)

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

    name = "openai"
    caption = "a model behind an OpenAI-compatible server"
    is_served = True

    base_url: str
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # the API key is among them
    _connected: OpenAIEngine | None = field(default=None, init=False, repr=False)
    _rendered: str | None = field(default=None, init=False, repr=False)

    @classmethod
    def of(cls, asked: AskedPolicy) -> PolicySource:
        if asked.base_url is None:
            raise EngineError(f"a policy needs its --base-url {asked.name}=URL, got none for it")
        common = {
            "name": asked.name,
            "tokenizer": asked.tokenizer or asked.folder,
            "api_key": asked.api_key,
            "patience": asked.patience,
        }
        model = asked.name if asked.folder is not None else asked.given
        return cls(asked.base_url, model, {**common, **asked.options})

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


@dataclass(slots=True)
class LoadedPolicy(PolicySource):
    """A policy that an engine class of somebody's loads itself: ``engine.load(model, **options)``.

    The card is the engine's, so asking for it loads the policy.
    """

    engine: type[Engine]
    model: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    _opened: Engine | None = field(default=None, init=False, repr=False)

    def card(self) -> ModelCard:
        if self._opened is None:
            self._opened = self._load()
        return self._opened.card

    def open(self) -> Engine:
        engine, self._opened = self._opened or self._load(), None
        return engine

    def _load(self) -> Engine:
        load: Callable[..., Engine] = self.engine.load  # type: ignore[attr-defined]
        word = getattr(self.engine, "name", "") or self.engine.__qualname__
        _check_options(word, load, self.options)
        made = load(self.model, **self.options)
        if not isinstance(made, Engine):
            raise EngineError(f"load must return an Engine, got {type(made).__name__} from {word}")
        return made


def policy_source(engine: str, asked: AskedPolicy) -> PolicySource:
    """The source of a policy under the engine of this name, or at this dotted path.

    Raises EngineError for an unknown engine, or a card that has another name than the policy was asked by;
    PluginError for a plug-in that cannot be loaded.
    """
    kind = ENGINES.get(engine)
    if issubclass(kind, PolicySource):
        return kind.of(asked)
    made = LoadedPolicy(kind, asked.given, asked.options)
    if made.card().name != asked.name:
        raise EngineError(
            f"the card of a policy has the name that it is asked by, got {made.card().name!r} "
            f"for {asked.name!r} of the {engine} engine"
        )
    return made


@dataclass(frozen=True, slots=True)
class FolderPrm(PrmSource):
    """A folder, scored in this process by its family. ``options``: those of ``open_reward``.

    A head beside its own policy, loaded by the embedded engine, computes with that engine's weights.
    """

    folder: str | Path
    options: Mapping[str, Any] = field(default_factory=dict)

    def card(self) -> ModelCard:
        return read_prm(self.folder, self.options.get("policy")).card

    def open(self) -> Reward:
        _check_options("embedded", open_reward, self.options)
        return open_reward(self.folder, **self.options)

    def open_beside(self, engines: Callable[[str], Engine | None]) -> Reward:
        if not is_head(Path(self.folder)):
            return self.open()
        engine = engines(HeadSpec.read(Path(self.folder)).policy)
        return replace(self, options={**self.options, "engine": engine}).open()


@dataclass(frozen=True, slots=True)
class VllmPrm(PrmSource):
    """A folder, served in this process by vLLM. ``options``: vLLM's engine arguments."""

    folder: str | Path
    options: Mapping[str, Any] = field(default_factory=dict)

    def card(self) -> ModelCard:
        if is_head(Path(self.folder)):
            raise stateless(Path(self.folder), "vLLM")
        return read_prm(self.folder).card

    def open(self) -> Reward:
        from search.rewards.served.vllm import VllmReward

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
            from search.rewards.served.http import HttpReward
        except ModuleNotFoundError as error:
            raise _missing("openai", error.name, "openai,lab") from error
        _check_options("openai", HttpReward.connect, self.options)
        return HttpReward.connect(self.base_url, self.folder, **self.options)


@dataclass(frozen=True, slots=True)
class JudgePrm(PrmSource):
    """A policy that is asked for verdicts. Where a loader has a policy of its name, that one is asked."""

    spec: JudgeSpec
    policy: PolicySource

    def card(self) -> ModelCard:
        return self.spec.card(self.policy.card())

    def open(self) -> Reward:
        from search.rewards.judge import Judge

        return Judge(self.policy.open(), self.spec)

    def open_beside(self, engines: Callable[[str], Engine | None]) -> Reward:
        from search.rewards.judge import Judge

        engine = engines(self.spec.model)
        return self.open() if engine is None else Judge(engine, self.spec, owns=False)


@dataclass(frozen=True, slots=True)
class ImplicitPrm(PrmSource):
    """Two policies that read solutions. Where a loader has one of them, that one is asked."""

    spec: ImplicitSpec
    policy: PolicySource
    reference: PolicySource

    def card(self) -> ModelCard:
        return self.spec.card(self.policy.card(), self.reference.card())

    def open(self) -> Reward:
        return self.open_beside(lambda name: None)

    def open_beside(self, engines: Callable[[str], Engine | None]) -> Reward:
        from search.rewards.implicit import ImplicitReward

        known = [engines(name) for name in (self.spec.policy, self.spec.reference)]
        policy = known[0] or self.policy.open()
        reference = known[1] or self.reference.open()
        owns = [
            engine.card.name
            for engine, found in zip((policy, reference), known, strict=True)
            if found is None
        ]
        return ImplicitReward(policy, reference, self.spec, owns=owns)


def asked_prm(name: str, source: Callable[[str], PolicySource]) -> PrmSource:
    """The source of a PRM that asks policies, by its name; ``source``: that of a policy of a name.

    Raises CheckpointError for a name that breaks a rule.
    """
    if is_implicit(name):
        spec = ImplicitSpec.parse(name)
        return ImplicitPrm(spec, source(spec.policy), source(spec.reference))
    judge = JudgeSpec.parse(name)
    return JudgePrm(judge, source(judge.model))


def _missing(what: str, name: str | None, extra: str) -> MissingExtraError:
    return MissingExtraError(
        f"the {what} engine needs the {extra} extra, got no {name}: pip install 'test-time-planner[{extra}]'"
    )


def _check_options(engine: str, load: Callable[..., object], options: Mapping[str, Any]) -> None:
    """Raises EngineError for an option that the engine does not know."""
    parameters = inspect.signature(load).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    known = [
        name for name, parameter in parameters.items() if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    for name in options:
        if name not in known:
            raise EngineError(
                f"an option of the {engine} engine must be one of {', '.join(known) or 'none'}, got {name!r}"
            )
