"""Cost of a request that is passed through to the policy's own server: its limit, and what it took.

A prompt counts by the policy's own tokenizer; what only its server can read (tools, pictures) counts as one
token for four characters of its texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from planner.deciding.budgeting import tokens_for
from planner.server.access.keys import Key
from planner.server.access.limits import Amount
from planner.server.models import Models
from planner.server.refusal import Refusal
from planner.server.request.ask import Ask
from planner.server.service import Service
from search.budget import Budget
from search.errors import PlannerError

__all__ = ["PassthroughCost", "StreamUsage", "cached_of", "prompt_tokens", "raw_tokens", "usage_of"]

#: fields that limit an answer
_LONGEST = ("max_completion_tokens", "max_tokens")
#: characters of a token, where nobody counts
_PER_TOKEN = 4
#: most tokens that a usage can tell: no context holds more
_MOST = 10**9
#: what a policy reads of a body
_READ = ("messages", "prompt", "tools", "functions")
#: what a policy writes of a message or a choice
_WRITTEN = ("content", "text", "reasoning_content", "reasoning", "tool_calls", "function_call")
#: fields of a message that hold no text
_DATA = frozenset({"image_url", "input_audio", "file"})


class PassthroughCost:
    """Of one request, under its budget. Raises Refusal for one that cannot hold it."""

    def __init__(self, ask: Ask, budget: Budget, service: Service, policy: str) -> None:
        self.card = service.models.known[policy].card
        self._ask = ask
        self._budget = budget
        self._models = service.models
        self._policy = policy
        prices = service.rules.prices
        self._prices = prices.get(policy) if isinstance(prices, Mapping) else prices
        self._longest: int | None = None  # of an answer, where the key's limits ask for one
        if budget.usd is not None and self._prices is None:
            raise Refusal("a budget in money needs the server's prices, got none", param="budget")
        if ask.n > (budget.samples or ask.n):
            raise Refusal(
                f"a budget of {budget.samples} samples holds as many answers, got n={ask.n}",
                param="budget",
                code="budget",
            )
        cap = self._cap(budget)
        if cap is not None and self._each(cap) < 1:
            raise Refusal(
                f"a budget must hold the prompt and a token of each answer, got {cap} tokens for a prompt of"
                f" {self._prompt()} and n={ask.n}",
                param="budget",
                code="budget",
            )

    def body(self, share: float) -> dict[str, Any]:
        """The client's own words, within this share of the budget."""
        body = dict(self._ask.raw)
        cap = self._cap(self._budget.scaled(share))
        limits = [] if self._longest is None else [self._longest]
        limits += [] if cap is None else [max(1, self._each(cap))]
        if limits:
            names = [name for name in _LONGEST if name in body] or ["max_tokens"]
            for name in names:
                body[name] = min([*limits, body.get(name) or limits[0]])
        return body

    def needs(self, key: Key) -> Amount:
        """What it may take at most, which is held before it is sent: the prompt, and every answer at its
        longest, which is then limited: as it says, or as the policy's are. Nothing for a key without limits.

        Raises Refusal for a limit in money where the policy's price is not known.
        """
        if not key.is_limited:
            return Amount()
        if not math.isinf(key.usd_per_day) and self._prices is None:
            raise Refusal("a limit in money needs the server's prices, got none", code="spend_limit")
        body = self.body(1.0)
        said = [body[name] for name in _LONGEST if body.get(name)]
        longest = min(said, default=self._models.drawing(self._policy).limits.max_tokens)
        self._longest = longest
        drawn = max(self._ask.n, body.get("best_of") or 1)
        prompt, written = self._prompt(), drawn * longest
        usd = self.usd({"prompt_tokens": prompt, "completion_tokens": written})
        return Amount(prompt + written, usd or 0.0)

    def estimate(self, pieces: int, share: float) -> dict[str, int]:
        """What was spent, where the server does not say: the prompt, and a token for each piece that came.

        Of an answer that was to come whole nobody knows: all that it might have had, where that is limited.
        """
        completion = pieces
        if not self._ask.stream:
            body = self.body(share)
            completion = self._ask.n * (body.get("max_completion_tokens") or body.get("max_tokens") or 0)
        return {"prompt_tokens": self._prompt(), "completion_tokens": completion}

    def estimate_of(self, found: Mapping[str, Any]) -> dict[str, int]:
        """What a whole answer took, where the server does not say: by its texts."""
        return {"prompt_tokens": self._prompt(), "completion_tokens": self._written(found.get("choices"))}

    def _written(self, choices: Any) -> int:
        """Tokens of what was written: its texts by the policy's own tokenizer, all else by its length."""
        said = [_said(choice) for choice in choices or ()]
        texts = ["".join(one for one in each if isinstance(one, str)) for each in said]
        others = sum(_characters([one for one in each if not isinstance(one, str)]) for each in said)
        try:
            tokens = sum(len(self._models.engines[self._policy].written(text)) for text in texts if text)
        except PlannerError:  # nobody spells it
            tokens = -(-sum(map(len, texts)) // _PER_TOKEN)
        return tokens + -(-others // _PER_TOKEN)

    def usd(self, usage: Mapping[str, int] | None, cached: int = 0) -> float | None:
        """Money for these tokens, ``cached`` of the prompt's; None where the policy's price is not known."""
        if self._prices is None:
            return None
        told = usage or {}
        prompt = told.get("prompt_tokens", 0)
        return self._prices.usd(
            prompt=prompt, cached=min(cached, prompt), generated=told.get("completion_tokens", 0)
        )

    def _cap(self, budget: Budget) -> int | None:
        """Tokens that every cap holds; None without any."""
        caps = [] if budget.tokens is None else [budget.tokens]
        if budget.flops is not None:
            caps.append(int(budget.flops / self.card.flops(1)))
        if budget.usd is not None and self._prices is not None:
            bought = tokens_for(budget.usd, self._prices)
            caps += [] if bought is None else [bought]
        return min(caps, default=None)

    def _each(self, cap: int) -> int:
        """What is left of a cap for each answer beside the prompt."""
        return (cap - self._prompt()) // self._ask.n

    def _prompt(self) -> int:
        return prompt_tokens(self._ask, self._models, self._policy)


def prompt_tokens(ask: Ask, models: Models, policy: str) -> int:
    """Tokens of a request's prompt for a policy."""
    turns = ask.turns
    try:
        if turns is not None and len(turns) == 1:
            return len(models.engines[policy].prompt(ask.question))
        if turns is not None and policy in models.renders:
            return len(models.renders[policy](turns))
    except PlannerError:
        pass  # whether it can be taken is for the policy's server to say
    return raw_tokens(ask)


def raw_tokens(ask: Ask) -> int:
    """Tokens of a request's prompt that only the policy's server can read, by its length."""
    return -(-_characters([ask.raw.get(name) for name in _READ]) // _PER_TOKEN)


def usage_of(found: Mapping[str, Any]) -> dict[str, int] | None:
    """Tokens of prompt and completion as a server tells them; None where it does not.

    >>> usage_of({"usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}})
    {'prompt_tokens': 7, 'completion_tokens': 5}
    >>> usage_of({"usage": "many"}), usage_of({})
    (None, None)
    """
    reported = found.get("usage")
    if not isinstance(reported, Mapping):
        return None
    usage = {name: reported.get(name) or 0 for name in ("prompt_tokens", "completion_tokens")}
    return usage if all(type(value) is int and 0 <= value <= _MOST for value in usage.values()) else None


def cached_of(found: Mapping[str, Any]) -> int:
    """Tokens of the prompt that the server had kept; 0 where it does not say.

    >>> cached_of({"usage": {"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}}})
    4
    """
    reported = found.get("usage")
    if not isinstance(reported, Mapping):
        return 0
    details = reported.get("prompt_tokens_details")
    told = details.get("cached_tokens") if isinstance(details, Mapping) else None
    if told is None:
        told = reported.get("prompt_cache_hit_tokens")  # DeepSeek's
    return told if type(told) is int and told >= 0 else 0


class StreamUsage:
    """Tokens of a stream as its chunks tell them.

    Most servers tell one usage at the end, some a running one with every chunk, and llama.cpp one after each
    choice, for that choice alone: those are added up.

    >>> told = StreamUsage()
    >>> for index in (0, 1):
    ...     told.hear({"choices": [{"index": index, "finish_reason": "stop"}]})
    ...     told.hear({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}})
    >>> told.tokens
    {'prompt_tokens': 7, 'completion_tokens': 10}
    """

    def __init__(self) -> None:
        self._ended = 0  # choices since the last usage
        self._each: list[dict[str, int]] = []
        self._running: dict[str, int] | None = None
        #: tokens of the prompt that the server had kept, by the last usage
        self.cached = 0

    def hear(self, chunk: Mapping[str, Any]) -> None:
        """The next chunk."""
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            self._ended += bool(isinstance(choice, Mapping) and choice.get("finish_reason"))
        told = usage_of(chunk)
        if told is None:
            return
        self.cached = cached_of(chunk)
        if not self._ended or self._running is not None:
            self._running = told
        else:
            self._each.append(told)
        self._ended = 0

    @property
    def tokens(self) -> dict[str, int] | None:
        """What was told so far; None for nothing."""
        if self._running is not None or not self._each:
            return self._running
        return {
            "prompt_tokens": max(one["prompt_tokens"] for one in self._each),
            "completion_tokens": sum(one["completion_tokens"] for one in self._each),
        }


def _said(choice: Any) -> list[Any]:
    """What a choice of a whole answer holds that a model wrote: texts, and calls of tools."""
    message = choice.get("message", choice) if isinstance(choice, Mapping) else None
    if not isinstance(message, Mapping):
        return []
    return [message[name] for name in _WRITTEN if message.get(name)]


def _characters(said: Any) -> int:
    if isinstance(said, str):
        return len(said)
    if isinstance(said, Mapping):
        return sum(_characters(value) for name, value in said.items() if name not in _DATA)
    return sum(map(_characters, said)) if isinstance(said, list) else 0
