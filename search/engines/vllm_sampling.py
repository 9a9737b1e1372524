"""A request of ours as sampling parameters of vLLM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.engines.protocol import Request
from search.engines.tokenizer import CHECK, STOP, CheckpointTokenizer
from search.errors import EngineError
from search.seeds import seed_of

__all__ = ["Stops", "parameters", "stops_of"]

#: most tokens that vLLM is told to stop at: it looks through the list at every token it draws
_MOST_TOKENS = 256
#: under this temperature vLLM is greedy
_GREEDY = 1e-5
#: more tokens than any child has: children tell of their first token and of their end
_SILENT = 1 << 30


@dataclass(frozen=True, slots=True)
class Stops:
    """Where children end: at tokens, found by the process that draws them, and at strings, found in the
    text by this one while that one draws on. Strings are the slow way; ``strings`` is empty when not needed.
    """

    tokens: tuple[int, ...]
    strings: tuple[str, ...]


def stops_of(tokenizer: CheckpointTokenizer, stop: Sequence[str]) -> Stops:
    """Tokens alone where no stop string can be put together of several tokens; else strings too."""
    ends = sorted(tokenizer.ends)
    if not stop:
        return Stops(tuple(ends), ())
    meaning = tokenizer.meaning(stop)
    whole = np.flatnonzero(meaning == STOP).tolist()
    if len(whole) > _MOST_TOKENS:
        return Stops(tuple(ends), tuple(stop))
    pieced = bool((meaning == CHECK).any())
    return Stops((*ends, *whole), tuple(stop) if pieced else ())


def parameters(request: Request, stops: Stops, room: int) -> Any:
    """vLLM's ``SamplingParams``; ``room``: tokens left in the context. Raises EngineError.

    vLLM gives child i the seed + i: hashed, the seeds of two requests are far apart. It draws several
    children only when it samples, so several greedy ones sample from the one most likely token.
    """
    from vllm.exceptions import VLLMValidationError
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    sampling = request.sampling
    temperature, top_p, top_k = sampling.temperature, sampling.top_p, sampling.top_k
    if temperature < _GREEDY:
        temperature, top_p, top_k = (0.0, 1.0, 0) if request.n == 1 else (1.0, 1.0, 1)
    try:
        return SamplingParams(
            n=request.n,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            seed=seed_of(request.seed) >> 1,
            max_tokens=min(request.max_tokens, room),
            stop_token_ids=list(stops.tokens),
            stop=list(stops.strings),
            include_stop_str_in_output=True,
            detokenize=bool(stops.strings),
            # of the token that was drawn, and of so many candidates
            logprobs=request.top_logprobs if request.logprobs or request.top_logprobs else None,
            output_kind=RequestOutputKind.DELTA,
            stream_interval=None if request.stream else _SILENT,
            skip_clone=True,
        )
    except (ValueError, VLLMValidationError) as error:
        raise EngineError(f"vLLM must take the sampling, got {sampling}: {error}") from error
