"""How a server can be spoken to: asked once, when an engine connects.

A server that calls itself vLLM or llama.cpp takes token ids. Otherwise a dialect is found by asking for one
token in each, the best first; that token is all that is spent. ``text`` needs a tokenizer, the folder's or
the server's, since somebody must put the question into the chat template; and Ollama puts every text into the
template again, so it is left out there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.engines.openai.served import Served, find_model
from search.errors import ContextError, EngineError, GarbledError, RefusedError
from search.remote.client import Client

__all__ = ["DIALECTS", "find_dialect", "find_model", "has_tokenizer"]

#: best first
DIALECTS = ("tokens", "text", "chat")


def find_dialect(client: Client, served: Served, *, spells: bool = True) -> str:
    """One of ``DIALECTS``. Raises RefusedError when the server takes none of them.

    ``spells``: whether there is a tokenizer.
    """
    if served.owner in ("vllm", "llamacpp"):
        return "tokens"
    refusals = []
    for name in DIALECTS:
        if name != "chat" and not spells:
            refusals.append(f"{name}: no tokenizer")
        elif name == "text" and served.owner == "library":
            refusals.append("text: Ollama puts it into a chat template again")
        else:
            try:
                if _takes(client, served.model, name):
                    return name
                refusals.append(f"{name}: no token ids in the answer")
            except (RefusedError, ContextError) as error:
                refusals.append(f"{name}: {error}")
    raise RefusedError(f"a server must take completions or chats, got {'; '.join(refusals)}")


def has_tokenizer(client: Client, served: Served) -> bool:
    """Whether the server has vLLM's ``/tokenize``."""
    body = {
        "model": served.model,
        "messages": [{"role": "user", "content": "1"}],
        "add_generation_prompt": True,
    }
    try:
        answer = client.ask_now("/tokenize", body)
    except (RefusedError, GarbledError, ContextError):
        return False
    return isinstance(answer, Mapping) and isinstance(answer.get("tokens"), list)


def _takes(client: Client, model: str, dialect: str) -> bool:
    body: dict[str, Any] = {"model": model, "max_tokens": 1}
    if dialect == "chat":
        chat = {**body, "messages": [{"role": "user", "content": "1"}]}
        try:
            client.ask_now("/v1/chat/completions", chat)
        except RefusedError as error:
            if "max_completion_tokens" not in error.words:
                raise
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
