"""Where the models of a command run: its engine options as one value, and the loader they mean."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.models import find_model
from search.errors import CheckpointError, EngineError, GridError

if TYPE_CHECKING:
    from search.loader import SourceLoader
    from search.sources import PolicySource, PrmSource

__all__ = ["API_KEY", "Sourcing"]

#: environment variable that holds the key of the servers, unless another one is named
API_KEY = "PLANNER_API_KEY"


@dataclass(frozen=True, slots=True)
class Sourcing:
    """What the options of a command say about where models run.

    Parameters
    ----------
    engine:
        A name of ``search.engines.registry.ENGINES``, or a dotted path to one.
    policies, prms:
        As given: folders, names of shipped models, or (openai) names that a server knows.
    base_urls, prm_urls, tokenizers:
        ``VALUE`` for all models, or ``NAME=VALUE`` for one.
    prm_engine:
        One of ``search.sources.PRM_ENGINES``, for PRMs without an URL.
    options, prm_options:
        ``KEY=VALUE`` for the engine, and for what runs the PRMs.
    threads:
        Torch threads of what runs in this process.
    patience:
        Seconds to wait for a server that cannot be reached.
    key_variable:
        The environment variable that holds the API key.
    """

    engine: str = "embedded"
    policies: Sequence[str] = ()
    prms: Sequence[str] = ()
    base_urls: Sequence[str] = ()
    prm_urls: Sequence[str] = ()
    tokenizers: Sequence[str] = ()
    options: Sequence[str] = ()
    prm_engine: str = "embedded"
    prm_options: Sequence[str] = ()
    threads: int = 1
    patience: float = 30.0
    key_variable: str = API_KEY

    def __post_init__(self) -> None:
        from search.engines.registry import ENGINES
        from search.registry import is_path
        from search.sources import PRM_ENGINES, PolicySource

        if self.prm_engine not in PRM_ENGINES:
            raise EngineError(
                f"a PRM engine must be one of {', '.join(PRM_ENGINES)}, got {self.prm_engine!r}"
            )
        if self.engine not in ENGINES and not is_path(self.engine):
            raise EngineError(f"an engine must be one of {', '.join(ENGINES)}, got {self.engine!r}")
        kind = ENGINES.get(self.engine)
        is_served = issubclass(kind, PolicySource) and kind.is_served
        if is_served and not self.base_urls:
            raise EngineError(f"the {self.engine} engine needs --base-url URL, got none")
        if not is_served:
            for option, given in (("--base-url", self.base_urls), ("--tokenizer", self.tokenizers)):
                if given:
                    raise EngineError(f"{option} is for --engine openai, got {given[0]!r}")
        if not self.patience >= 0.0:
            raise EngineError(f"patience cannot be negative but got {self.patience}")

    @property
    def policy_names(self) -> list[str]:
        """What a grid calls the policies."""
        return [name for name, _ in map(self._policy, self.policies)]

    @property
    def prm_names(self) -> list[str]:
        """What a grid calls the PRMs."""
        return [_prm_name(prm) for prm in self.prms]

    def loader(self, policies: Sequence[str], prms: Sequence[str]) -> SourceLoader:
        """A loader for these names. Reads every card, so that a missing model is told at once."""
        from search.loader import SourceLoader
        from search.rewards.prm_names import asks_policies
        from search.sources import asked_prm

        given = dict(map(self._policy, self.policies))
        folders = {_prm_name(prm): find_model(prm) for prm in self.prms if not asks_policies(prm)}

        def prm_source(name: str) -> PrmSource:
            if not asks_policies(name):
                return self._prm_source(name, folders.get(name) or find_model(name))
            return asked_prm(name, lambda model: self._policy_source(model, given.get(model, model)))

        loader = SourceLoader(
            {name: self._policy_source(name, given.get(name, name)) for name in policies},
            {name: prm_source(name) for name in prms},
        )
        for name in policies:
            loader.policy_card(name)
        for name in prms:
            loader.prm_card(name)
        return loader

    def _policy(self, given: str) -> tuple[str, str]:
        """(name, what was given) of one policy: a folder's own name, else the last part of what was given."""
        from search.engines.registry import ENGINES
        from search.sources import PolicySource

        kind = ENGINES.get(self.engine)
        if issubclass(kind, PolicySource) and kind.needs_folder:
            return find_model(given).resolve().name, given
        folder = _folder(given)
        return (given.rstrip("/").rpartition("/")[2] if folder is None else folder.resolve().name), given

    def _policy_source(self, name: str, given: str) -> PolicySource:
        from search.sources import AskedPolicy, policy_source

        server = self._server()
        return policy_source(
            self.engine,
            AskedPolicy(
                name,
                given,
                find=find_model,
                folder=_folder(given),
                base_url=_meant(self.base_urls, name, "--base-url"),
                tokenizer=_meant(self.tokenizers, name, "--tokenizer"),
                api_key=server["api_key"],
                patience=server["patience"],
                threads=self.threads,
                options=_options(self.options),
            ),
        )

    def _prm_source(self, name: str, folder: Path) -> PrmSource:
        from search.sources import FolderPrm, ServedPrm, VllmPrm

        options = _options(self.prm_options)
        url = _meant(self.prm_urls, name, "--prm-url")
        if url is not None:
            return ServedPrm(url, folder, {**self._server(), **options})
        if self.prm_engine == "vllm":
            return VllmPrm(folder, options)
        return FolderPrm(folder, {"threads": self.threads, **options})

    def _server(self) -> dict[str, Any]:
        return {"api_key": os.environ.get(self.key_variable) or None, "patience": self.patience}


def _prm_name(given: str) -> str:
    """What a grid calls a PRM: a folder's own name; one that asks policies is named in full."""
    from search.rewards.prm_names import asks_policies, whole_name

    return whole_name(given) if asks_policies(given) else find_model(given).resolve().name


def _folder(given: str) -> Path | None:
    """The folder that is meant, None for the name of a model that only a server has."""
    try:
        return find_model(given)
    except CheckpointError:
        return None


def _meant(given: Sequence[str], name: str, option: str) -> str | None:
    """The value for a model: its own (``NAME=VALUE``), else the one for all. Raises GridError."""
    every = [value for value in given if _named(value) is None]
    if len(every) > 1:
        raise GridError(f"{option} without NAME= is given once, got {every[0]!r} and {every[1]!r}")
    own = [pair[1] for pair in map(_named, given) if pair is not None and pair[0] == name]
    return own[-1] if own else (every[0] if every else None)


def _named(value: str) -> tuple[str, str] | None:
    """(name, value) of ``NAME=VALUE``; None for a value alone (whose = may come behind a / or :)."""
    name, equals, rest = value.partition("=")
    return (name, rest) if equals and name and not set(name) & set("/:") else None


def _options(given: Sequence[str]) -> Mapping[str, Any]:
    """``KEY=VALUE`` as keyword arguments; a value is JSON where it can be read as such, else text."""
    found: dict[str, Any] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key.isidentifier():
            raise EngineError(f"an engine option is KEY=VALUE, got {pair!r}")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = {"True": True, "False": False}.get(value, value)
    return found
