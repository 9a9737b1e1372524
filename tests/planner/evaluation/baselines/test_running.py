from __future__ import annotations

import numpy as np
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.running import run_votes, stopped
from search.voting.votes import pick


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(-1, 3), min_size=7, max_size=7), min_size=1, max_size=6))
def test_whoever_leads_is_who_a_vote_over_those_draws_picks(rows: list[list[int]]) -> None:
    codes = np.array(rows)
    right = np.zeros((len(codes), 4), bool)
    right[:, 1] = True
    data = worlds.world(len(codes), codes=codes, right=right)
    running = run_votes(data, "small", seed=3, orders=2)
    for problem in range(len(codes)):
        for order in range(2):
            drawn = [int(c) for c in codes[problem, running.order[problem, order]]]
            assert sorted(drawn) == sorted(rows[problem])
            for n in range(1, 8):
                won = pick("majority", drawn[:n], [0.0] * n)
                assert running.right[problem, order, n - 1] == (won is not None and drawn[won] == 1)
                votes = sorted((drawn[:n].count(c) for c in range(4)), reverse=True)
                assert running.first[problem, order, n - 1] == votes[0]
                assert running.second[problem, order, n - 1] == votes[1]
                alike = 0
                while alike < n and drawn[n - 1] >= 0 and drawn[n - 1 - alike] == drawn[n - 1]:
                    alike += 1
                assert running.alike[problem, order, n - 1] == alike


def test_every_draw_is_paid_and_the_prompt_once(apart: BaselineContext) -> None:
    running = apart.running(apart.test, "small")
    pool = apart.data.pools["small"]
    assert running.tokens[:, :, -1] == pytest.approx(
        (pool.prompt + pool.tokens.sum(axis=1))[:, None] + np.zeros(8)
    )
    assert (np.diff(running.tokens, axis=2) > 0).all()
    at = np.full(running.right.shape[:2], 2)
    table = stopped(running, [("three", at)])
    assert table.tokens[:, 0] == pytest.approx(running.tokens[:, :, 2].mean(axis=1))
    assert table.flops == pytest.approx(table.tokens * worlds.FLOPS)


def test_the_whole_pool_gives_one_answer_whatever_the_order_but_for_ties(apart: BaselineContext) -> None:
    running = apart.running(apart.test, "small")
    clear = running.first[:, 0, -1] > running.second[:, 0, -1]
    assert clear.any()
    assert (running.right[clear, :, -1] == running.right[clear, :1, -1]).all()
