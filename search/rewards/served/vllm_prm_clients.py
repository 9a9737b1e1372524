"""PRM clients in process: how vLLM is asked for the rewards of a prefix, on the host's loop.

Both lean on vLLM's prefix caching: what is processed is what no block of an earlier prefix holds.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from search.errors import RewardError

__all__ = ["ChoicePrmClient", "PrmClient", "TokenPrmClient"]

_ids = count()


class PrmClient(ABC):
    """One per family of reward models."""

    @abstractmethod
    def chosen(self) -> Mapping[str, Any]:
        """Engine arguments of vLLM that this way of asking depends on. Imports vLLM."""

    @abstractmethod
    async def rewards(self, llm: Any, tokens: Sequence[int], reads: Sequence[int]) -> tuple[list[float], int]:
        """One reward per place in ``reads`` (ascending) and the tokens that vLLM processed.

        Parameters
        ----------
        llm:
            vLLM's ``AsyncLLM``.
        tokens:
            Prompt and steps.
        """


class TokenPrmClient(PrmClient):
    """A head at every token (``token_classify``, two classes): the probability of the second class.

    vLLM's own STEP pooling switches prefix caching off, and would read separators in the question too.
    Pooling at all tokens leaves it on, and gives the rows of those tokens that were not cached: the new
    ones. Where an equal step of another prefix has been cached meanwhile, the whole is asked again.
    """

    def chosen(self) -> Mapping[str, Any]:
        from vllm.config import PoolerConfig

        pooler = PoolerConfig(tok_pooling_type="ALL")
        return {"runner": "pooling", "pooler_config": pooler, "enable_prefix_caching": True}

    async def rewards(self, llm: Any, tokens: Sequence[int], reads: Sequence[int]) -> tuple[list[float], int]:
        asked = list(tokens[: reads[-1] + 1])
        rows = await self._rows(llm, asked, whole=False)
        processed = len(rows)
        if reads[0] < len(asked) - len(rows):
            rows = await self._rows(llm, asked, whole=True)
            processed += len(rows)
        skipped = len(asked) - len(rows)
        return [float(rows[read - skipped][1]) for read in reads], processed

    async def _rows(self, llm: Any, asked: list[int], *, whole: bool) -> list[list[float]]:
        from vllm.inputs.engine import tokens_input
        from vllm.pooling_params import PoolingParams

        wanted = PoolingParams(task="token_classify", skip_reading_prefix_cache=whole)
        async for output in llm.encode(tokens_input(asked), wanted, f"reward-{next(_ids)}"):
            rows: list[list[float]] = output.outputs.data.tolist()
        if len(rows) != len(asked) - (output.num_cached_tokens or 0):
            raise RewardError(
                f"vLLM must give a row per token that it processed, got {len(rows)} for {len(asked)} tokens"
                f" of which {output.num_cached_tokens} were cached"
            )
        return rows


class ChoicePrmClient(PrmClient):
    """A language model that would write one of two tokens: one token asked for after each step."""

    def __init__(self, good: int, bad: int) -> None:
        self._good, self._bad = good, bad

    def chosen(self) -> Mapping[str, Any]:
        return {"runner": "generate", "enable_prefix_caching": True, "logprobs_mode": "raw_logprobs"}

    async def rewards(self, llm: Any, tokens: Sequence[int], reads: Sequence[int]) -> tuple[list[float], int]:
        # the shorter ones first: each leaves its blocks to the next
        found = await asyncio.gather(*(self._one(llm, list(tokens[: read + 1])) for read in reads))
        return [reward for reward, _ in found], sum(processed for _, processed in found)

    async def _one(self, llm: Any, asked: list[int]) -> tuple[float, int]:
        from vllm.inputs.engine import tokens_input
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        wanted = SamplingParams(
            max_tokens=1,
            temperature=0.0,
            logprob_token_ids=[self._good, self._bad],
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            skip_clone=True,
        )
        async for output in llm.generate(tokens_input(asked), wanted, f"reward-{next(_ids)}"):
            [said] = output.outputs[0].logprobs
        margin = said[self._good].logprob - said[self._bad].logprob
        return _logistic(margin), len(asked) - (output.num_cached_tokens or 0)


def _logistic(value: float) -> float:
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    return math.exp(value) / (1.0 + math.exp(value))
