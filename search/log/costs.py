"""Logical cost of a plan on a problem, from the token counts of its pool.

The prompt counts once per model, every sample's tokens and every scored step once. FLOPs come from
the models' cards. Quantiles are of one future request with n new samples: exact (empirical) for one
sample, and for sums the normal approximation mean + 1.2816 sd sqrt(n), since resampling a pool
without replacement would make sums of nearly N samples look certain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.cards import ModelCard
from search.log.pool import Pool

__all__ = ["Cost", "pool_cost"]

#: standard normal quantile of 0.9
_Z90 = 1.2815515655446004


@dataclass(frozen=True, slots=True)
class Cost:
    """Logical tokens (policy and PRM together) and FLOPs: mean and 0.9 quantile."""

    tokens: float
    tokens_p90: float
    flops: float
    flops_p90: float


def pool_cost(pool: Pool, n: int, policy: ModelCard, prm: ModelCard | None = None) -> Cost:
    """What n samples cost, each scored by ``prm`` unless that is None."""
    tokens = pool.tokens.astype(np.float64)
    flops = policy.flops(1.0) * tokens
    prompt_tokens, prompt_flops = float(pool.prompt_tokens), policy.flops(pool.prompt_tokens)
    if prm is not None:
        scores = pool.scores[prm.name]
        tokens = tokens + scores.tokens
        flops = flops + prm.flops(1.0) * scores.tokens
        prompt_tokens += scores.prompt_tokens
        prompt_flops += prm.flops(scores.prompt_tokens)
    return Cost(
        tokens=prompt_tokens + n * float(tokens.mean()),
        tokens_p90=prompt_tokens + _upper(tokens, n),
        flops=prompt_flops + n * float(flops.mean()),
        flops_p90=prompt_flops + _upper(flops, n),
    )


def _upper(each: npt.NDArray[np.float64], n: int) -> float:
    if n == 1:
        return float(np.quantile(each, 0.9))
    deviation = float(each.std(ddof=1)) if len(each) > 1 else 0.0
    return n * float(each.mean()) + _Z90 * math.sqrt(n) * deviation
