"""Opens what a server asks: embedded models, a policy behind its own server, or what a models file says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from planner.decider import Decider
from planner.models import find_model
from planner.planner import Planner
from planner.server.access.in_flight import InFlight, SampleLimit
from planner.server.direct.upstream import Upstream
from planner.server.models import Models
from planner.server.refusal import Refusal
from planner.server.request.ask import Render, Turn, Turns
from planner.solving.models_given import check_names
from search.checkpoint import read_checkpoint
from search.engines.named import NamedEngine
from search.engines.protocol import Engine
from search.errors import (
    BrokenError,
    CheckpointError,
    ContextError,
    GarbledError,
    ServeError,
    UnreachableError,
)
from search.loader import FolderLoader, Loader, PrmPlace
from search.models.models_loader import ModelsLoader
from search.models_file import ModelsFile, PolicyEntry
from search.rewards.protocol import Reward
from search.strategies.protocol import Limits

if TYPE_CHECKING:
    from search.engines.openai.engine import OpenAIEngine

__all__ = [
    "PATIENCE",
    "Backends",
    "chat_template",
    "configured",
    "embedded",
    "flights_of",
    "loader_of",
    "opened",
    "remote",
]

#: seconds to wait for a server that cannot be reached: a request's own deadline may be sooner
PATIENCE = 10.0
#: samples that a server is sent at a time before anything is known of it
_START = 512
#: requests that are worked on at a time with a model in this process
_OWN = 32


@dataclass(frozen=True, slots=True)
class Backends:
    """What can be asked, and where requests go that nothing is planned for."""

    models: Models
    upstreams: Mapping[str, Upstream] = field(default_factory=dict)


def embedded(
    planner: Planner,
    policies: Mapping[str, Path],
    prms: Mapping[str, PrmPlace],
    *,
    threads: int = 1,
    limits: Limits | None = None,
) -> Backends:
    """Every model in this process. Raises CheckpointError for a folder that holds none."""
    loader = FolderLoader(policies, prms, threads=threads)
    engines = {name: loader.engine(name) for name in planner.policies}
    rewards = {name: loader.reward(name) for name in planner.prms}
    renders = {name: chat_template(policies[name]) for name in engines}
    return Backends(Models(engines=engines, rewards=rewards, renders=renders, limits=limits or Limits()))


def opened(planner: Planner, loader: Loader, *, limits: Limits | None = None) -> Backends:
    """Every model as a loader opens it: those of a plug-in's engine, say. They take plain questions, since
    nobody knows a chat template. Raises what the loader raises.
    """
    engines = {name: loader.engine(name) for name in planner.policies}
    rewards = {name: loader.reward(name) for name in planner.prms}
    return Backends(Models(engines=engines, rewards=rewards, renders={}, limits=limits or Limits()))


def remote(
    planner: Planner,
    base_url: str,
    prms: Mapping[str, PrmPlace],
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
        PRM name -> the address of a server with ``/pooling``. A policy that is asked about
        solutions is asked where it is.

    Raises EngineError, CheckpointError, and ServeError where the names do not fit the planner.
    """
    from search.engines.openai.engine import OpenAIEngine
    from search.engines.openai.probe import find_model as find_served
    from search.remote.client import Client

    known = list(planner.policies)
    name = policy or (known[0] if len(known) == 1 else None)
    if name is None or name not in planner.policies:
        raise ServeError(f"--policy must be one of {', '.join(known)}, got {name!r}")
    served = find_served(Client(base_url, api_key=api_key), model).model
    engine = OpenAIEngine.connect(
        base_url, served, name=name, tokenizer=tokenizer, api_key=api_key, patience=PATIENCE
    )
    loader = FolderLoader({}, prms, threads=threads, lent={name: engine})

    def reward(prm: str) -> Reward:
        place = prms[prm]
        if prm in prm_urls and not isinstance(place, Mapping):
            return _reward(prm_urls[prm], Path(place))
        return loader.reward(prm)

    rewards = {prm: reward(prm) for prm in planner.prms}
    renders: dict[str, Render] = {name: chat_template(tokenizer)}
    return Backends(
        Models(engines={name: engine}, rewards=rewards, renders=renders, limits=limits or Limits()),
        {name: Upstream(base_url, served, name, api_key=api_key, client=engine.client)},
    )


def loader_of(
    models: ModelsFile,
    policies: Sequence[str] | None = None,
    prms: Sequence[str] | None = None,
    *,
    threads: int = 1,
    environment: Mapping[str, str] = os.environ,
) -> ModelsLoader:
    """A loader of these models, or all, whose servers get as long to be reached as a server has for them.

    Raises ModelsError for names that the file lacks and keys that are not set.
    """
    return models.waiting(PATIENCE).loader(
        policies, prms, find=find_model, threads=threads, environment=environment
    )


def configured(
    planner: Decider,
    models: ModelsFile,
    *,
    loader: ModelsLoader | None = None,
    threads: int = 1,
    limits: Limits | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Backends:
    """The planner's policies and PRMs, each where a models file says.

    Parameters
    ----------
    loader:
        Of these models, where one was made already (``loader_of``).
    environment:
        Where keys are looked up.

    Raises ModelsError for names that the file lacks and keys that are not set, EngineError for a server that
    does not answer or refuses the key, CheckpointError for a folder that holds no model.
    """
    policies, prms = [*planner.policies], [*planner.prms]
    check_names(models, policies, prms)
    loader = loader or loader_of(models, policies, prms, threads=threads, environment=environment)
    engines = {name: loader.engine(name) for name in policies}
    rewards = {name: loader.reward(name) for name in prms}
    entries = {entry.name: entry for entry in models.policy if entry.name in engines}
    upstreams = {}
    for name, engine in engines.items():
        entry, own = entries[name], _behind(engine)
        if entry.base_url is not None and own is not None:
            upstreams[name] = Upstream(entry.base_url, own.model, name, client=own.client)
    return Backends(
        Models(
            engines=engines,
            rewards=rewards,
            renders={name: _render(entries[name], engine) for name, engine in engines.items()},
            limits=limits or Limits(),
            chosen={name: loader.chosen_sampling(name) for name in engines},
            defaults={name: loader.generation_defaults(name) for name in engines},
        ),
        upstreams,
    )


def flights_of(models: Models, own: int | None = None, workers: int = 1) -> InFlight:
    """How much each policy is asked at a time.

    One behind a server: as the models file says (``max_concurrency``) or as its connections are, and within
    that as the server's slots and its answers tell. vLLM in this process: as many sequences as it decodes at
    a time. Others share this process's CPU, so that ``own`` requests are worked on (None: 32). Each of
    several ``workers`` has its part.
    """
    limits: dict[str, SampleLimit | int] = {}
    for name, engine in models.engines.items():
        served = _behind(engine)
        if served is not None:
            most = served.client.pool.connections
            limits[name] = SampleLimit(
                max(1, min(most, (2 * served.slots if served.slots else _START) // workers)), most=most
            )
        elif engine.backend.startswith("VllmEngine"):
            limits[name] = SampleLimit(engine.concurrency, most=2 * engine.concurrency)
        else:
            limits[name] = max(1, (own or _OWN) // workers)
    return InFlight(limits)


def _behind(engine: Engine) -> OpenAIEngine | None:
    """What asks a server, under whatever name."""
    from search.engines.openai.engine import OpenAIEngine

    while isinstance(engine, NamedEngine):
        engine = engine.engine
    return engine if isinstance(engine, OpenAIEngine) else None


def _render(entry: PolicyEntry, engine: Engine) -> Render:
    """Conversations for a policy: by its server or its tokenizer folder, or by its own folder."""
    served = _behind(engine)
    if served is None:
        return chat_template(find_model(entry.embedded or entry.vllm or ""))

    def render(turns: Sequence[Turn]) -> tuple[int, ...]:
        try:
            return served.converse([*turns])
        except (ContextError, UnreachableError, BrokenError, GarbledError):
            raise
        except Exception as error:  # the server's refusal, or whatever a folder's template raises
            raise Refusal(
                f"the policy's chat template must take the conversation, got {type(error).__name__}",
                param="messages",
            ) from error

    return render


def _reward(address: str, folder: Path) -> Reward:
    """A PRM behind its own server."""
    from search.rewards.served.http import HttpReward

    return HttpReward.connect(address, folder, patience=PATIENCE)


def chat_template(folder: str | Path) -> Render:
    """The chat template of a model's folder, which is read without running any code of it.

    Raises CheckpointError for a folder that is damaged or has no template. What is returned raises Refusal
    (400) for a conversation that the template does not take.
    """
    from transformers import PreTrainedTokenizerFast

    path = read_checkpoint(folder).path
    try:
        fast = PreTrainedTokenizerFast.from_pretrained(str(path), local_files_only=True)
    except Exception as error:  # whatever the libraries raise on a damaged file
        raise CheckpointError(f"the tokenizer must load, got {str(path)!r}: {error}") from error
    if not fast.chat_template:
        raise CheckpointError(f"the tokenizer needs a chat template, got none in {str(path)!r}")

    def render(turns: Turns) -> tuple[int, ...]:
        try:
            text = fast.apply_chat_template([*turns], add_generation_prompt=True, tokenize=False)
        except Exception as error:  # templates raise what they like (jinja2.TemplateError first)
            raise Refusal(
                f"the policy's chat template must take the conversation, got {type(error).__name__}",
                param="messages",
            ) from error
        return tuple(fast.backend_tokenizer.encode(str(text), add_special_tokens=False).ids)

    return render
