"""Opens the models of a models file for a server: several policies, wherever each of them runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from planner.models import find_model
from planner.planner import Planner
from planner.server.backends import Backends
from planner.server.conversation import Render, chat_template
from planner.server.models import Models
from planner.server.upstream import Upstream
from search.engines.openai.probe import find_model as find_served
from search.grid import Grid
from search.models_entries import PolicyEntry
from search.models_file import ModelsFile
from search.remote.client import Client
from search.strategies.protocol import Limits

__all__ = ["configured"]


def configured(
    planner: Planner,
    path: Path,
    *,
    environment: Mapping[str, str],
    threads: int = 1,
    limits: Limits | None = None,
) -> Backends:
    """The models of a planner, as a models file describes them.

    Policies are sampled as the file or their ``generation_config.json`` says. A policy whose tokenizer folder
    is known takes conversations of several messages. Requests that nothing is planned for go to the first
    policy that is behind a server.

    Parameters
    ----------
    environment:
        Where keys are looked up.
    limits:
        Per solution; None: the largest ``max_tokens`` that the file gives a policy.

    Raises ModelsError for a model of the planner that the file does not name, CheckpointError and
    EngineError.
    """
    file = ModelsFile.read(path)
    loader = file.loader(
        list(planner.policies), list(planner.prms), find=find_model, threads=threads, environment=environment
    )
    defaults = {name: loader.generation_defaults(name) for name in planner.policies}
    grid = Grid.of({"pair": [{"policy": name} for name in planner.policies]})
    entries = [entry for entry in file.policy if entry.name in planner.policies]
    renders = {entry.name: render for entry in entries if (render := _render(entry)) is not None}
    models = Models(
        engines={name: loader.engine(name) for name in planner.policies},
        rewards={name: loader.reward(name) for name in planner.prms},
        renders=renders,
        limits=limits or grid.limits_of(list(defaults.values())),
        samplings={name: grid.sampling_of(known) for name, known in defaults.items()},
    )
    served = next((entry for entry in entries if entry.is_served), None)
    return Backends(models, None if served is None else _upstream(served, environment))


def _render(entry: PolicyEntry) -> Render | None:
    """The chat template of a policy whose folder is known."""
    folder = entry.tokenizer or entry.embedded or entry.vllm
    return None if folder is None else chat_template(find_model(folder))


def _upstream(entry: PolicyEntry, environment: Mapping[str, str]) -> Upstream:
    assert entry.base_url is not None  # it is served
    key = None if entry.api_key_env is None else environment[entry.api_key_env]
    served = find_served(Client(entry.base_url, api_key=key), entry.model).model
    return Upstream(entry.base_url, served, entry.name, api_key=key)
