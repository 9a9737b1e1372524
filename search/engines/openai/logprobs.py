"""Logprobs as servers send them, in every form that is known.

| form | sent by |
|---|---|
| ``{"tokens", "token_logprobs", "top_logprobs": [{token: logprob}]}`` | completions of most servers |
| ``{"content": [{"token", "logprob", "top_logprobs": [{"logprob"}]}]}`` | chats, and Ollama |
| the same with an ``id`` per token | completions and chats of llama.cpp |
| ``[{"token", "logprob", ...}]``, the list alone | gateways before Ollama's own API |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.errors import GarbledError

__all__ = ["NONE", "Logprobs", "logprobs_of"]


@dataclass(frozen=True, slots=True)
class Logprobs:
    """What one event says of its tokens.

    ``values``: one natural logarithm per token. ``candidates``: of each token, the logprobs of its likeliest
    candidates; empty lists where none are told. ``token_ids``: None where one is missing. ``texts``: what
    each token writes; () where that is not told.
    """

    values: tuple[float, ...] = ()
    candidates: tuple[tuple[float, ...], ...] = ()
    token_ids: tuple[int, ...] | None = None
    texts: tuple[str, ...] = ()

    def first(self, count: int) -> Logprobs:
        """Those of the first tokens."""
        ids = None if self.token_ids is None else self.token_ids[:count]
        return Logprobs(self.values[:count], self.candidates[:count], ids, self.texts[:count])


NONE = Logprobs()


def logprobs_of(choice: Mapping[str, Any]) -> Logprobs:
    """The logprobs of a choice, ``NONE`` without any.

    Raises GarbledError, KeyError, TypeError or ValueError for what is in no known form.
    """
    told = choice.get("logprobs")
    if not told:
        return NONE
    if isinstance(told, list):
        return _listed(told)
    if told.get("content") is not None:
        return _listed(told["content"])
    if told.get("token_logprobs") is None:
        return NONE
    values = tuple(_number(value) for value in told["token_logprobs"])
    rows: Sequence[Any] = told.get("top_logprobs") or ()
    texts = tuple(map(str, told.get("tokens") or ()))
    return Logprobs(values, tuple(tuple(_candidates(row)) for row in rows), texts=texts)


def _listed(tokens: Sequence[Mapping[str, Any]]) -> Logprobs:
    ids = tuple(token["id"] for token in tokens if isinstance(token.get("id"), int))
    return Logprobs(
        tuple(_number(token["logprob"]) for token in tokens),
        tuple(tuple(_candidates(token.get("top_logprobs"))) for token in tokens),
        ids if tokens and len(ids) == len(tokens) else None,
        tuple(str(token.get("token", "")) for token in tokens),
    )


def _candidates(row: Any) -> Iterator[float]:
    """A mapping of tokens to logprobs, or a list of objects that hold one each."""
    if isinstance(row, Mapping):
        yield from (_number(value) for value in row.values())
    elif row:
        yield from (_number(one["logprob"]) for one in row)


def _number(value: Any) -> float:
    if value is None:
        raise GarbledError("a logprob must be a number, got null")
    return float(value)
