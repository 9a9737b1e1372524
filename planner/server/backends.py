"""Opens what a server asks: embedded models, or a policy behind its own server and PRMs beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from planner.planner import Planner
from planner.server.conversation import Render, chat_template
from planner.server.models import Models
from planner.server.upstream import Upstream
from search.errors import ServeError
from search.loader import FolderLoader, Loader
from search.rewards.protocol import Reward
from search.strategies.protocol import Limits

__all__ = ["Backends", "embedded", "opened", "remote"]

#: seconds to wait for a server that cannot be reached: a request's own deadline may be sooner
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Backends:
    """What can be asked, and where requests go that nothing is planned for."""

    models: Models
    upstream: Upstream | None = None


def embedded(
    planner: Planner,
    policies: Mapping[str, Path],
    prms: Mapping[str, Path],
    *,
    threads: int = 1,
    limits: Limits | None = None,
) -> Backends:
    """Every model in this process. Raises CheckpointError for a folder that holds none."""
    loader = FolderLoader(policies, prms, threads=threads)
    engines = {name: loader.engine(name) for name in planner.policies}
    rewards = {name: loader.reward(name) for name in planner.prms}
    renders = {name: chat_template(policies[name]) for name in engines}
    return Backends(Models(engines, rewards, renders, limits or Limits()))


def opened(planner: Planner, loader: Loader, *, limits: Limits | None = None) -> Backends:
    """Every model as a loader opens it: those of a plug-in's engine, say. They take plain questions, since
    nobody knows a chat template. Raises what the loader raises.
    """
    engines = {name: loader.engine(name) for name in planner.policies}
    rewards = {name: loader.reward(name) for name in planner.prms}
    return Backends(Models(engines, rewards, {}, limits or Limits()))


def remote(
    planner: Planner,
    base_url: str,
    prms: Mapping[str, Path],
    *,
    model: str | None = None,
    policy: str | None = None,
    tokenizer: Path,
    api_key: str | None = None,
    prm_urls: Mapping[str, str] = MappingProxyType({}),
    threads: int = 1,
    limits: Limits | None = None,
) -> Backends:
    """A policy behind an OpenAI-compatible server; PRMs in this process or behind their own.

    Parameters
    ----------
    model:
        What the server calls the policy; may be left out where it serves one model only.
    policy:
        What the planner calls it; may be left out where it knows one policy only.
    tokenizer:
        The policy's checkpoint folder: its tokenizer and chat template are read, its weights are not.
    prm_urls:
        PRM name -> the address of a server with ``/pooling``.

    Raises EngineError, CheckpointError, and ServeError where the names do not fit the planner.
    """
    from search.engines.openai.engine import OpenAIEngine
    from search.engines.openai.probe import find_model
    from search.remote.client import Client

    known = list(planner.policies)
    name = policy or (known[0] if len(known) == 1 else None)
    if name is None or name not in planner.policies:
        raise ServeError(f"--policy must be one of {', '.join(known)}, got {name!r}")
    served = find_model(Client(base_url, api_key=api_key), model).model
    engine = OpenAIEngine.connect(
        base_url, served, name=name, tokenizer=tokenizer, api_key=api_key, patience=_PATIENCE
    )
    loader = FolderLoader({}, prms, threads=threads)
    rewards = {
        prm: _reward(prm_urls[prm], prms[prm]) if prm in prm_urls else loader.reward(prm)
        for prm in planner.prms
    }
    renders: dict[str, Render] = {name: chat_template(tokenizer)}
    return Backends(
        Models({name: engine}, rewards, renders, limits or Limits()),
        Upstream(base_url, served, name, api_key=api_key),
    )


def _reward(address: str, folder: Path) -> Reward:
    """A PRM behind its own server."""
    from search.rewards.http import HttpReward

    return HttpReward.connect(address, folder, patience=_PATIENCE)
