"""``/v1/completions``: with token ids where the server takes them, as vLLM does, else with text.

What vLLM needs: nothing but its defaults, ``--logprobs-mode raw_logprobs`` (one of them) among these:
the logprobs of other modes are those of the tempered or truncated model. Prefix caching is on by default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from search.engines.openai.dialect import Dialect, Piece, finish_of
from search.engines.openai.tokenizer import Tokenizer
from search.engines.protocol import Request, Sampling
from search.errors import EngineError, GarbledError

__all__ = ["TextCompletions", "TokenCompletions", "asked"]

#: tokens per event when nobody watches a stream: each event costs both sides time
_INTERVAL = 16


class TokenCompletions(Dialect):
    """vLLM's completions: token ids both ways, the model's own sampling defaults switched off."""

    path = "/v1/completions"
    cuts_stops = False
    lag = _INTERVAL

    def __init__(self, model: str) -> None:
        self._model = model

    def body(self, request: Request, max_tokens: int) -> dict[str, Any]:
        sampling = request.sampling
        if sampling.temperature == 0 and request.n > 1:
            # vLLM refuses several greedy children: they are drawn from the one most likely token
            sampling = Sampling(temperature=1.0, top_k=1)
        return {
            "model": self._model,
            "prompt": list(request.prompt),
            "n": request.n,
            "max_tokens": max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "seed": request.seed,
            # a checkpoint's generation_config.json may set these otherwise
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop": list(request.stop),
            "include_stop_str_in_output": True,
            "logprobs": 0 if request.logprobs else None,  # 0: of the drawn token, and of no others
            "return_token_ids": True,
            "stream": True,
            "stream_options": {"include_usage": True},
            "stream_interval": 1 if request.stream else _INTERVAL,
        }

    def pieces(self, event: Mapping[str, Any]) -> Iterator[Piece]:
        for choice in event["choices"]:
            ids = choice.get("token_ids")
            if ids is None:
                raise GarbledError("a server asked for token ids must tell them, got none")
            yield Piece(
                int(choice["index"]),
                str(choice["text"]),
                tuple(map(int, ids)),
                _logprobs(choice),
                finish_of(choice.get("finish_reason"), choice.get("stop_reason")),
            )


class TextCompletions(Dialect):
    """The protocol's own completions: text both ways."""

    path = "/v1/completions"
    cuts_stops = True
    lag = 1

    def __init__(self, model: str, tokenizer: Tokenizer) -> None:
        self._model = model
        self._tokenizer = tokenizer

    def body(self, request: Request, max_tokens: int) -> dict[str, Any]:
        return {
            "model": self._model,
            "prompt": self._tokenizer.decode(request.prompt),
            **asked(request, max_tokens),
            "logprobs": 1 if request.logprobs else None,
        }

    def pieces(self, event: Mapping[str, Any]) -> Iterator[Piece]:
        for choice in event["choices"]:
            yield Piece(
                int(choice["index"]),
                str(choice["text"]),
                None,
                _logprobs(choice),
                finish_of(choice.get("finish_reason"), choice.get("stop_reason")),
            )


def asked(request: Request, max_tokens: int) -> dict[str, Any]:
    """What every OpenAI-compatible server knows of a request. Raises EngineError."""
    if request.sampling.top_k:
        raise EngineError(
            f"top_k is no part of the OpenAI protocol, so only a server that takes token ids can be asked"
            f" for it, got top_k={request.sampling.top_k}"
        )
    return {
        "n": request.n,
        "max_tokens": max_tokens,
        "temperature": request.sampling.temperature,
        "top_p": request.sampling.top_p,
        "seed": request.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _logprobs(choice: Mapping[str, Any]) -> tuple[float, ...]:
    told = choice.get("logprobs")
    if not told:
        return ()
    found: Sequence[float | None] = told["token_logprobs"]
    if any(value is None for value in found):
        raise GarbledError("a logprob must be a number, got null")
    return tuple(float(value) for value in found if value is not None)
