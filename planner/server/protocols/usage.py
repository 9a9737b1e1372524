"""Tokens that an answer took, as other protocols tell them.

>>> Used.of({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}})
Used(prompt=9, completion=4, cached=3, reasoning=0)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Used"]


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens of the prompt, those of them that were cached, of the completion, those of it not shown."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0

    @classmethod
    def of(cls, usage: Any) -> Used:
        """Of a chat completion's ``usage``; what it does not tell counts as 0."""
        prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        cached = _count(_inner(usage, "prompt_tokens_details"), "cached_tokens")
        reasoning = _count(_inner(usage, "completion_tokens_details"), "reasoning_tokens")
        return cls(prompt, completion, min(cached, prompt), min(reasoning, completion))


def _inner(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, Mapping) else None


def _count(found: Any, name: str) -> int:
    value = _inner(found, name)
    return value if type(value) is int and value >= 0 else 0
