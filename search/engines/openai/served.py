"""What a server serves: the model that is meant, what the server calls itself, and how long a text may be.

| server | ``owned_by`` | context told by |
|---|---|---|
| vLLM | ``vllm`` | ``max_model_len`` of ``/v1/models`` |
| llama.cpp | ``llamacpp`` | ``default_generation_settings.n_ctx`` of ``/props`` |
| SGLang | ``sglang`` | ``max_model_len`` of ``/v1/models``, else ``/get_server_info`` |
| Ollama | ``library`` | ``/api/ps`` where it is loaded, else ``num_ctx`` of ``/api/show``, else 4,096 |
| LM Studio | ``organization_owner`` | ``/api/v1/models``, before 0.4 ``/api/v0/models`` |
| TGI | the model's own | ``max_total_tokens`` of ``/info`` |
| hosted | many | ``context_length`` or ``context_window`` of ``/v1/models`` where they tell it |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from search.errors import BrokenError, ContextError, GarbledError, RefusedError
from search.remote.client import Client

__all__ = ["Served", "find_model", "with_limits"]

#: names of the longest sequence among what ``/v1/models`` tells of a model
_CONTEXTS = (
    "max_model_len",
    "loaded_context_length",
    "context_length",
    "context_window",
    "max_context_length",
)
#: the least of Ollama's contexts where nobody says another: it goes by the memory of the GPU
_OLLAMA = 4096
_NUM_CTX = re.compile(r"^\s*num_ctx\s+(\d+)", re.M)


@dataclass(frozen=True, slots=True)
class Served:
    """A model that a server serves.

    ``model``: the id that requests name. ``context``: longest sequence in tokens, None when not told.
    ``owner``: what the server calls itself, ``vllm`` say. ``parameters``: number of weights, None when not
    told. ``slots``: sequences that it works on at a time, None when not told.
    """

    model: str
    context: int | None
    owner: str
    parameters: int | None = None
    slots: int | None = None


def find_model(client: Client, model: str | None) -> Served:
    """The model that is meant: by its id, by the last part of it, or the only one there is.

    Where a gateway has no ``/v1/models``, the user's word is taken. Raises RefusedError (no such model, or
    several and none named), UnreachableError, GarbledError.
    """
    try:
        answer = client.ask_now("/v1/models")
    except RefusedError as error:
        if model is None or error.status not in (404, 405, 501):
            raise
        return Served(model, None, "unknown")
    try:
        entries = answer["data"] if isinstance(answer, Mapping) else answer  # Together tells the list alone
        found = {str(entry["id"]): entry for entry in entries}
    except (KeyError, TypeError) as error:
        raise GarbledError(f"/v1/models must list models, got {answer!r:.80} from {client.root}") from error
    if model is None:
        if len(found) != 1:
            raise RefusedError(f"a model must be named where a server has several, got {_listed(found)}")
        model = next(iter(found))
    elif model not in found:
        short = [name for name in found if name.rstrip("/").rpartition("/")[2] == model]
        short = short or [name for name in found if name.removesuffix(":latest") == model]  # Ollama's
        if len(short) != 1:
            raise RefusedError(
                f"a model must be one that {client.root} serves, {_listed(found)}, got {model!r}"
            )
        [model] = short
    entry = found[model]
    meta = entry.get("meta") if isinstance(entry.get("meta"), Mapping) else {}
    context = next((count for name in _CONTEXTS if (count := _count(entry.get(name)))), None)
    # what llama.cpp was trained with is no promise: it may run with less
    return Served(
        model, context or _count(meta.get("n_ctx")), str(entry.get("owned_by")), _count(meta.get("n_params"))
    )


def with_limits(client: Client, served: Served) -> Served:
    """With what a server tells elsewhere: the context, and the number of weights."""
    if served.owner == "vllm" or (served.context is not None and served.owner != "llamacpp"):
        return served
    ways = _ways(served.owner)
    for way in ways:
        found = way(client, served)
        if found.context is not None and found != served:
            return found
    return served


def _ways(owner: str) -> list[Callable[[Client, Served], Served]]:
    named: dict[str, list[Callable[[Client, Served], Served]]] = {
        "llamacpp": [_llama],
        "sglang": [_sglang],
        "library": [_ollama],
        "organization_owner": [_lm_studio],
    }
    return named.get(owner, [_tgi, _llama, _sglang, _lm_studio, _ollama])


def _llama(client: Client, served: Served) -> Served:
    told = _maybe(client, "/props")
    context = _count(_object(told.get("default_generation_settings")).get("n_ctx"))
    if context is None:
        return served
    return replace(served, context=context, owner="llamacpp", slots=_count(told.get("total_slots")))


def _sglang(client: Client, served: Served) -> Served:
    told = _maybe(client, "/get_server_info")
    context = _count(told.get("context_length")) or _count(told.get("max_req_input_len"))
    return served if context is None else replace(served, context=context, owner="sglang")


def _tgi(client: Client, served: Served) -> Served:
    context = _count(_maybe(client, "/info").get("max_total_tokens"))
    return served if context is None else replace(served, context=context, owner="tgi")


def _lm_studio(client: Client, served: Served) -> Served:
    context = _loaded(_listed_under(client, "/api/v1/models", "models"), served.model)
    for entry in _listed_under(client, "/api/v0/models", "data") if context is None else ():
        if entry.get("id") == served.model:
            context = _count(entry.get("loaded_context_length")) or _count(entry.get("max_context_length"))
    return served if context is None else replace(served, context=context, owner="organization_owner")


def _loaded(entries: list[Mapping[str, Any]], model: str) -> int | None:
    """The context that LM Studio has loaded a model with, else the longest that it may have."""
    for entry in entries:
        instances = entry.get("loaded_instances")
        for one in map(_object, instances if isinstance(instances, list) else []):
            if model in (one.get("id"), entry.get("key")):
                return _count(_object(one.get("config")).get("context_length"))
    return next((_count(one.get("max_context_length")) for one in entries if one.get("key") == model), None)


def _ollama(client: Client, served: Served) -> Served:
    told = _maybe(client, "/api/show", {"model": served.model})
    info = _object(told.get("model_info"))
    trained = next((_count(info[key]) for key in info if key.endswith(".context_length")), None)
    if trained is None:
        return served
    running = _listed_under(client, "/api/ps", "models")
    loaded = next(
        (_count(one.get("context_length")) for one in running if one.get("name") == served.model), None
    )
    asked = _NUM_CTX.search(str(told.get("parameters") or ""))
    return replace(
        served,
        context=loaded or min(trained, int(asked.group(1)) if asked else _OLLAMA),
        owner="library",
        parameters=_count(info.get("general.parameter_count")) or served.parameters,
    )


def _listed_under(client: Client, path: str, key: str) -> list[Mapping[str, Any]]:
    """The objects of a list that a path tells; none where the server has no such path."""
    entries = _maybe(client, path).get(key)
    return [_object(entry) for entry in entries] if isinstance(entries, list) else []


def _maybe(client: Client, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """What a path answers; nothing where the server has no such path."""
    try:
        return _object(client.ask_now(path, body))
    except (RefusedError, GarbledError, BrokenError, ContextError):
        return {}


def _object(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _count(found: Any) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None


def _listed(found: Mapping[str, Any]) -> str:
    """The first of what a server has: a hosted one has hundreds."""
    names = list(found)
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(names[:12]) + more if names else "none"
