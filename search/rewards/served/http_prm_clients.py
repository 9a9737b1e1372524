"""PRM clients over HTTP: how ``vllm serve`` is asked for the rewards of prefixes.

``PoolingPrmClient`` asks ``/pooling`` of a server that runs a token-classification PRM, one of

    vllm serve PRM --runner pooling --no-enable-prefix-caching --pooler-config '{"tok_pooling_type": "ALL"}'
    vllm serve PRM --runner pooling --pooler-config '{"tok_pooling_type": "STEP", "step_tag_id": ID}'

ALL pooling gives a row per token (of cached tokens it would give none, hence the option); STEP pooling one
per separator, which is less to send, ID being that of ``<extra_0>``. Without an ID it gives none at all.
Either way the whole prefix is processed again at each call.

``ChoicePrmClient`` asks ``/v1/completions`` of a server that runs a causal PRM, for one token per step and
the logprobs of the two answers. There prefix caching works.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search.engines.openai.dialect import usage_of
from search.errors import GarbledError
from search.remote.client import Client

__all__ = ["Asking", "ChoicePrmClient", "HttpPrmClient", "PoolingPrmClient", "Scoring"]


@dataclass(frozen=True, slots=True)
class Asking:
    """A prefix to score: its tokens, and the places (ascending) at which rewards are read."""

    tokens: tuple[int, ...]
    reads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scoring:
    """Rewards of a prefix, one per place, and the tokens that the server processed for them, those of
    tries that broke off included."""

    rewards: tuple[float, ...]
    tokens: int


class HttpPrmClient(ABC):
    """One per family of reward models."""

    #: most prefixes of one request
    batch: int

    @abstractmethod
    async def score(self, client: Client, model: str, asked: Sequence[Asking]) -> list[Scoring]:
        """One answer per prefix. Raises RemoteError's kinds."""


@dataclass(frozen=True, slots=True)
class PoolingPrmClient(HttpPrmClient):
    """A head of two classes read behind each step: the probability of the second class.

    ``separator``: the token that STEP pooling reads at.
    """

    separator: int
    batch: int = 32

    async def score(self, client: Client, model: str, asked: Sequence[Asking]) -> list[Scoring]:
        # nothing behind the last place can change what is read before it
        prefixes = [list(each.tokens[: each.reads[-1] + 1]) for each in asked]
        body = {"model": model, "task": "token_classify", "use_activation": True, "input": prefixes}
        tries = [1]
        answer = await client.ask("/pooling", body, lambda: tries.append(1))
        try:
            found = {int(entry["index"]): entry["data"] for entry in answer["data"]}
            return [
                Scoring(self.read(found[i], each), len(prefixes[i]) * len(tries))
                for i, each in enumerate(asked)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise GarbledError(
                f"/pooling must answer with one list of rows per input, got {answer!r:.200}"
            ) from error

    def read(self, rows: Sequence[Sequence[float]], asked: Asking) -> tuple[float, ...]:
        length = asked.reads[-1] + 1
        if len(rows) == length:  # ALL pooling
            chosen = [rows[place] for place in asked.reads]
        else:
            steps = sum(token == self.separator for token in asked.tokens[:length])
            if len(rows) != steps:
                raise GarbledError(
                    f"/pooling must give a row per separator ({steps}: STEP pooling needs step_tag_id) or per"
                    f" token ({length}: ALL pooling needs --no-enable-prefix-caching), got {len(rows)} rows"
                )
            places = [i for i, token in enumerate(asked.tokens[:length]) if token == self.separator]
            by_place = dict(zip(places, rows, strict=True))
            chosen = [by_place[place] for place in asked.reads]
        return tuple(_probability(row) for row in chosen)


@dataclass(frozen=True, slots=True)
class ChoicePrmClient(HttpPrmClient):
    """A causal language model that answers with one of two tokens: the probability of the good one."""

    good: int
    bad: int
    batch: int = 1

    async def score(self, client: Client, model: str, asked: Sequence[Asking]) -> list[Scoring]:
        found = []
        for each in asked:
            prefixes = [each.tokens[: place + 1] for place in each.reads]
            found_tokens = await asyncio.gather(*(self._one(client, model, prefix) for prefix in prefixes))
            found.append(
                Scoring(
                    tuple(reward for reward, _ in found_tokens), sum(tokens for _, tokens in found_tokens)
                )
            )
        return found

    async def _one(self, client: Client, model: str, tokens: Sequence[int]) -> tuple[float, int]:
        body: dict[str, Any] = {
            "model": model,
            "prompt": list(tokens),
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": 0,
            "logprob_token_ids": [self.good, self.bad],
            "return_tokens_as_token_ids": True,
        }
        tries = [1]
        answer = await client.ask("/v1/completions", body, lambda: tries.append(1))
        try:
            found_tokens = answer["choices"][0]["logprobs"]["top_logprobs"][0]
            good, bad = (float(found_tokens[f"token_id:{token}"]) for token in (self.good, self.bad))
            usage = usage_of(answer)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise GarbledError(
                f"a completion must tell the logprobs of {self.good} and {self.bad}, got {answer!r:.200}"
            ) from error
        cached = 0 if usage is None else usage.cached_prompt_tokens
        return 1.0 / (1.0 + math.exp(min(700.0, bad - good))), len(tokens) * len(tries) - cached


def _probability(row: Sequence[float]) -> float:
    """The second class's of two probabilities that sum to 1. Raises GarbledError."""
    values = [float(value) for value in row]
    if len(values) != 2 or not all(0.0 <= value <= 1.0 for value in values) or abs(sum(values) - 1.0) > 0.01:
        raise GarbledError(f"a row must hold the probabilities of two classes, got {values[:4]}")
    return values[1]
