from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from search.cards import ModelCard
from search.log.costs import pool_cost
from search.log.pool import Pool

MakePool = Callable[..., Pool]


def test_prompts_count_once_and_samples_n_times(make_pool: MakePool) -> None:
    pool = make_pool([0, 0, 1], [True, True, False], [0.1, 0.2, 0.3])  # 10, 11, 12 tokens, prompt 7
    policy, prm = ModelCard("m", 100, "a", 99), ModelCard("r", 10, "b", 99, flops_per_token=7.0)
    cost = pool_cost(pool, 4, policy)
    assert (cost.tokens, cost.flops) == (7 + 44, 200 * 51.0)
    judged = pool_cost(pool, 4, policy, prm)
    assert judged.tokens == 7 + 44 + 5 + 12
    assert judged.flops == pytest.approx(200 * 51.0 + 7 * 17)
    assert pool_cost(pool, 1, policy).tokens_p90 == pytest.approx(7 + np.quantile([10, 11, 12], 0.9))


def test_the_upper_quantile_is_that_of_new_samples(make_pool: MakePool) -> None:
    size, n = 200, 16
    pool = make_pool([0] * size, [True] * size)  # tokens 10..209
    rng = np.random.default_rng(0)
    sums = rng.choice(pool.tokens, (20000, n)).sum(axis=1) + pool.prompt_tokens
    cost = pool_cost(pool, n, ModelCard("m", 1, "a", 99))
    assert cost.tokens_p90 == pytest.approx(np.quantile(sums, 0.9), rel=0.01)
