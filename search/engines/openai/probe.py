"""What a server serves, and how it can be spoken to: asked once, when an engine connects.

A server that calls itself vLLM takes token ids. Otherwise a dialect is found by asking for one token in
each, the best first; that token is all that is spent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.errors import ContextError, EngineError, GarbledError, RefusedError
from search.remote.client import Client

__all__ = ["DIALECTS", "Served", "find_dialect", "find_model"]

#: best first
DIALECTS = ("tokens", "text", "chat")


@dataclass(frozen=True, slots=True)
class Served:
    """A model that a server serves.

    ``model``: the id that requests name. ``context``: longest sequence in tokens, None when not told.
    ``owner``: what the server calls itself, ``vllm`` say.
    """

    model: str
    context: int | None
    owner: str


def find_model(client: Client, model: str | None) -> Served:
    """The model that is meant: by its id, by the last part of it, or the only one there is.

    Raises RefusedError (no such model, or several and none named), UnreachableError, GarbledError.
    """
    answer = client.ask_now("/v1/models")
    try:
        found = {str(entry["id"]): entry for entry in answer["data"]}
    except (KeyError, TypeError) as error:
        raise GarbledError(f"/v1/models must list models, got {answer!r:.80} from {client.root}") from error
    names = ", ".join(found) or "none"
    if model is None:
        if len(found) != 1:
            raise RefusedError(f"a model must be named where a server has several, got {names}")
        model = next(iter(found))
    elif model not in found:
        short = [name for name in found if name.rstrip("/").rpartition("/")[2] == model]
        if len(short) != 1:
            raise RefusedError(f"a model must be one that {client.root} serves, {names}, got {model!r}")
        [model] = short
    context = found[model].get("max_model_len")
    told = context if isinstance(context, int) and context > 0 else None
    return Served(model, told, str(found[model].get("owned_by")))


def find_dialect(client: Client, served: Served) -> str:
    """One of ``DIALECTS``. Raises RefusedError when the server takes none of them."""
    if served.owner == "vllm":
        return "tokens"
    refusals = []
    for name in DIALECTS:
        try:
            if _takes(client, served.model, name):
                return name
            refusals.append(f"{name}: no token ids in the answer")
        except (RefusedError, ContextError) as error:
            refusals.append(f"{name}: {error}")
    raise RefusedError(f"a server must take completions or chats, got {'; '.join(refusals)}")


def _takes(client: Client, model: str, dialect: str) -> bool:
    body: dict[str, Any] = {"model": model, "max_tokens": 1}
    if dialect == "chat":
        client.ask_now("/v1/chat/completions", {**body, "messages": [{"role": "user", "content": "1"}]})
        return True
    if dialect == "text":
        client.ask_now("/v1/completions", {**body, "prompt": "1"})
        return True
    answer = client.ask_now("/v1/completions", {**body, "prompt": [1], "return_token_ids": True})
    return _has_ids(answer)


def _has_ids(answer: Any) -> bool:
    try:
        choice: Mapping[str, Any] = answer["choices"][0]
        return isinstance(choice.get("token_ids"), list)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise EngineError(f"a completion must hold choices, got {answer!r:.80}") from error
