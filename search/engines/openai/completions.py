"""``/v1/completions``: with token ids where the server takes them, as vLLM does, else with text.

What vLLM needs: nothing but its defaults, ``--logprobs-mode raw_logprobs`` (one of them) among these:
the logprobs of other modes are those of the tempered or truncated model. Prefix caching is on by default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from search.engines.openai.dialect import Dialect, Piece, finish_of
from search.engines.openai.logprobs import logprobs_of
from search.engines.openai.tokenizer import Tokenizer
from search.engines.protocol import Request, Sampling
from search.errors import GarbledError

__all__ = ["TextCompletions", "TokenCompletions", "asked"]

#: tokens per event when nobody watches a stream: each event costs both sides time
_INTERVAL = 16
#: servers read a seed as a number of 32 bits, with a sign or without
_SEEDS = 1 << 31
#: asks for the prompt back, with the logprob of each token; a token more is the least that all servers take
_ECHO: Mapping[str, Any] = {"echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0.0}


class TokenCompletions(Dialect):
    """vLLM's completions: token ids both ways, the model's own sampling defaults switched off.

    ``writes_marks``: a model whose thoughts stand between special tokens (gpt-oss): these are asked for.
    ``cuts_stops``: a stop string inside a thought is none, so those of a thinking model are found here.
    """

    path = "/v1/completions"
    tells_ids = True
    echoes = True

    def __init__(self, model: str, *, cuts_stops: bool = False, writes_marks: bool = False) -> None:
        self._model = model
        self.cuts_stops = cuts_stops
        self.lag = 1 if cuts_stops else _INTERVAL
        self._writes_marks = writes_marks

    def body(self, request: Request, n: int, max_tokens: int, seed: int) -> dict[str, Any]:
        sampling = request.sampling
        if sampling.temperature == 0 and n > 1:
            # vLLM refuses several greedy children: they are drawn from the one most likely token
            sampling = Sampling(temperature=1.0, top_k=1)
        wants = request.logprobs or request.top_logprobs > 0
        return {
            "model": self._model,
            "prompt": list(request.prompt),
            "n": n,
            "max_tokens": max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "seed": seed,
            # a checkpoint's generation_config.json may set these otherwise
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            **({} if self.cuts_stops else {"stop": list(request.stop)}),
            **({"skip_special_tokens": False} if self._writes_marks else {}),
            "include_stop_str_in_output": True,
            "logprobs": request.top_logprobs if wants else None,  # 0: of the drawn token, and of no others
            "return_token_ids": True,
            "stream": True,
            "stream_options": {"include_usage": True},
            "stream_interval": 1 if request.stream or (self.cuts_stops and request.stop) else _INTERVAL,
        }

    def echo(self, tokens: tuple[int, ...]) -> dict[str, Any]:
        return {"model": self._model, "prompt": list(tokens), **_ECHO}

    def pieces(self, event: Mapping[str, Any]) -> Iterator[Piece]:
        for choice in event.get("choices") or ():
            ids = choice.get("token_ids")
            if ids is None:
                raise GarbledError("a server asked for token ids must tell them, got none")
            yield Piece(
                int(choice["index"]),
                str(choice["text"]),
                tuple(map(int, ids)),
                finish_of(choice.get("finish_reason"), choice.get("stop_reason")),
                logprobs_of(choice),
            )


class TextCompletions(Dialect):
    """The protocol's own completions: text both ways."""

    path = "/v1/completions"
    cuts_stops = True
    lag = 1
    echoes = True

    def __init__(self, model: str, tokenizer: Tokenizer) -> None:
        self._model = model
        self._tokenizer = tokenizer

    def body(self, request: Request, n: int, max_tokens: int, seed: int) -> dict[str, Any]:
        wants = request.logprobs or request.top_logprobs > 0
        return {
            "model": self._model,
            "prompt": self._tokenizer.decode(request.prompt),
            **asked(request, n, max_tokens, seed),
            "logprobs": max(1, request.top_logprobs) if wants else None,
        }

    def echo(self, tokens: tuple[int, ...]) -> dict[str, Any]:
        return {"model": self._model, "prompt": self._tokenizer.decode(tokens), **_ECHO}

    def pieces(self, event: Mapping[str, Any]) -> Iterator[Piece]:
        for choice in event.get("choices") or ():
            yield Piece(
                int(choice["index"]),
                str(choice.get("text") or ""),
                None,
                finish_of(choice.get("finish_reason"), choice.get("stop_reason")),
                logprobs_of(choice),
            )


def asked(request: Request, n: int, max_tokens: int, seed: int) -> dict[str, Any]:
    """What OpenAI-compatible servers know of a request; ``top_k``, which most know, where it is wanted."""
    sampling = request.sampling
    return {
        "n": n,
        "max_tokens": max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        **({"top_k": sampling.top_k} if sampling.top_k else {}),
        "seed": seed % _SEEDS,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
