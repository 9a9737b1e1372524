"""llama.cpp's completions: token ids both ways, since its logprobs come with them.

``llama-server`` takes a prompt as token ids and tells ids with logprobs only, so logprobs are always asked
for. It leaves stop strings out of the text, so they are cut here. It has its own sampling defaults (``min_p``
0.05, ``top_k`` 40 and others), which are switched off. It takes ``n`` up to the number of its slots, and
tells the usage of each child with its last event. Its seeds count 32 bits. Of a character that is written by
several tokens it tells the last one alone (build 11434): such a text is spelled again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from search.engines.openai.completions import asked
from search.engines.openai.dialect import Dialect, Piece, finish_of, usage_of
from search.engines.openai.logprobs import logprobs_of
from search.engines.protocol import Request

__all__ = ["LlamaCompletions"]


class LlamaCompletions(Dialect):
    """``/v1/completions`` of ``llama-server``."""

    path = "/v1/completions"
    cuts_stops = True
    lag = 1
    tells_ids = True
    usage_per_child = True
    skips_ids = True

    def __init__(self, model: str) -> None:
        self._model = model

    def body(self, request: Request, n: int, max_tokens: int, seed: int) -> dict[str, Any]:
        return {
            "model": self._model,
            "prompt": list(request.prompt),
            **asked(request, n, max_tokens, seed),
            "top_k": request.sampling.top_k,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "logprobs": max(1, request.top_logprobs),
            "cache_prompt": True,
        }

    def pieces(self, event: Mapping[str, Any]) -> Iterator[Piece]:
        for choice in event.get("choices") or ():
            told = logprobs_of(choice)
            reason = finish_of(choice.get("finish_reason"))
            text = str(choice.get("text") or "")
            ids = told.token_ids
            usage = usage_of(event) if reason is not None else None
            count = None if usage is None else usage.generated_tokens
            yield Piece(int(choice["index"]), text, ids or (), reason, told, count=count)
