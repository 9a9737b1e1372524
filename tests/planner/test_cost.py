from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.cost import cost_table, costs, fit_costs
from planner.experience import Experience
from planner.labels import Look, costs_of, draw_probes
from search.choice import Choice
from search.plan import Plan

ERRORS = {"small": 0.1, "large": 0.1}


def test_predicts_what_choices_cost(experience: Experience) -> None:
    rows = np.arange(len(experience))
    characters = np.array([float(len(q)) for q in experience.questions])
    lengths = np.stack([pool.tokens.mean(axis=1) for pool in experience.pools.values()], axis=1)
    for look in (Look("small", 0), Look("small", 4), Look("small", 4, "good")):
        draws = draw_probes(len(experience), 40, held=look.samples, probes=1, resamples=1, seed=0, longest=16)
        choices = [c for c in experience.choices if look.allows(c)]
        told = costs(cost_table(fit_costs(experience, choices, look, ERRORS, rows)), lengths, characters)
        for place, choice in enumerate(choices):
            tokens, flops = costs_of(experience, choice, look, draws)
            if tokens.mean() > 0:
                assert abs(told.tokens[:, place].mean() / tokens.mean() - 1) < 0.08, (look, choice)
                assert abs(told.flops[:, place].mean() / flops.mean() - 1) < 0.08, (look, choice)
            assert (told.tokens_p90[:, place] >= told.tokens[:, place]).all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(st.integers(4, 60), st.integers(1, 40), st.sampled_from(["majority", "best_of_n", "weighted_vote"]))
def test_costs_grow_with_n(experience: Experience, n: int, more: int, strategy: str) -> None:
    prm = None if strategy == "majority" else "good"
    pair = [Choice("small", prm, Plan.of(strategy, n=size)) for size in (n, n + more)]
    for look in (Look("small", 0), Look("small", 4)):
        table = cost_table(fit_costs(experience, pair, look, ERRORS, np.arange(len(experience))))
        told = costs(table, np.array([[30.0, 40.0]]), np.array([50.0]))
        for part in (told.tokens, told.flops, told.tokens_p90, told.flops_p90):
            assert part[0, 0] < part[0, 1]


def test_tree_searches_never_get_cheaper_with_n(experience: Experience) -> None:
    trees = sorted(
        (c for c in experience.choices if c.plan.is_tree and c.prm == "bad"), key=lambda c: c.plan.n
    )
    table = fit_costs(experience, trees, Look("small", 0), ERRORS, np.arange(len(experience)))
    by_policy = [(c.policy, cost.policy_rate) for c, cost in zip(trees, table, strict=True)]
    for policy in ("small", "large"):
        rates = [rate for name, rate in by_policy if name == policy]
        assert rates == sorted(rates)
        assert rates[0] > 0
