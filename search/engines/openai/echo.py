"""A prompt that a server of completions repeats with its logprobs (``echo`` and ``logprobs``).

vLLM does, and with it what descends from OpenAI's first API; llama.cpp and Ollama do not. A server that is
sent text reads it with its own tokenizer: what it tells of the end of the prompt must be the tokens asked
about, and the first token of all has no logprob.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from search.engines.openai.dialect import usage_of
from search.engines.protocol import PromptLogprobs, Usage
from search.errors import GarbledError, RefusedError

__all__ = ["echoed"]

#: stands for half a character
_HALF = "\N{REPLACEMENT CHARACTER}"


def echoed(
    answer: Mapping[str, Any],
    tokens: Sequence[int],
    start: int,
    decode: Callable[[Sequence[int]], str] | None,
    where: str,
) -> PromptLogprobs:
    """What an answer says of ``tokens[start:]``.

    ``decode``: where the server was sent text, to see that it read the same tokens. Raises RefusedError for a
    server that repeats nothing, GarbledError for an answer that is none.
    """
    try:
        (choice,) = answer["choices"]
        told = choice.get("logprobs") or {}
        values, texts = told.get("token_logprobs") or [], told.get("tokens") or []
        usage = usage_of(answer)
        written = 1 if usage is None else usage.generated_tokens
        count = len(tokens) - start
        kept = values[len(values) - written - count : len(values) - written]
        if len(values) < written + count or None in kept:
            raise RefusedError(
                "logprobs of a prompt need a server that repeats the prompt with them (echo and logprobs of "
                f"/v1/completions), got {len(values)} logprobs for {len(tokens)} tokens from {where}"
            )
        if decode is not None and texts:
            said = "".join(map(str, texts[len(texts) - written - count : len(texts) - written]))
            meant = decode(tokens[start:])
            if said != meant and _HALF not in said:
                raise GarbledError(
                    f"a server must read a prompt as it was spelled, got {said[-60:]!r} for {meant[-60:]!r} "
                    f"from {where}: name the folder of its own tokenizer"
                )
        cached = 0 if usage is None else usage.cached_prompt_tokens
        return PromptLogprobs(tuple(map(float, kept)), Usage(len(tokens), cached, written, usage is None))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GarbledError(f"/v1/completions must answer with one choice, got {answer!r:.200}") from error
