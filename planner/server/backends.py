"""Opens what a server asks: embedded models, or a policy behind its own server and PRMs beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from planner.planner import Planner
from planner.server.conversation import Render, chat_template
from planner.server.models import Models
from planner.server.upstream import Upstream
from search.errors import CheckpointError, PlannerError, ServeError
from search.loader import FolderLoader
from search.rewards.protocol import Reward
from search.strategies.protocol import Limits

__all__ = ["Backends", "embedded", "remote"]


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


def remote(
    planner: Planner,
    base_url: str,
    prms: Mapping[str, Path],
    *,
    model: str | None = None,
    policy: str | None = None,
    tokenizer: Path | None = None,
    api_key: str | None = None,
    prm_urls: Mapping[str, str] | None = None,
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
        A folder with the policy's tokenizer and chat template, or its whole checkpoint.
    prm_urls:
        PRM name -> the address of a server with ``/pooling``.

    Raises EngineError, CheckpointError, and ServeError where the names do not fit the planner.
    """
    from search.engines.openai import OpenAIEngine

    known = list(planner.policies)
    name = policy or (known[0] if len(known) == 1 else None)
    if name not in planner.policies:
        raise ServeError(f"--policy must be one of {', '.join(known)}, got {name!r}")
    engine = OpenAIEngine.connect(base_url, model, name=name, tokenizer=tokenizer, api_key=api_key)
    rewards: dict[str, Reward] = {}
    loader = FolderLoader({}, prms, threads=threads)
    for prm in planner.prms:
        address = (prm_urls or {}).get(prm)
        rewards[prm] = loader.reward(prm) if address is None else _reward(prm, address, prms.get(prm))
    renders: dict[str, Render] = {}
    if tokenizer is not None:
        renders[name] = (
            chat_template(tokenizer) if (tokenizer / "config.json").is_file() else _template(tokenizer)
        )
    return Backends(
        Models({name: engine}, rewards, renders, limits or Limits()),
        Upstream(base_url, engine.model, name, api_key=api_key),
    )


def _template(folder: Path) -> Render:
    raise CheckpointError(f"a tokenizer folder is a whole checkpoint here, got {str(folder)!r}")


def _reward(name: str, address: str, folder: Path | None) -> Reward:
    """A PRM behind its own server."""
    try:
        from search.rewards.http import HttpReward
    except ModuleNotFoundError as error:
        raise PlannerError("a PRM behind a server is not part of this version, got --prm-url") from error
    connected: Reward = HttpReward.connect(address, name=name, tokenizer=folder)
    return connected
