from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.deciding.cost import cost_table, costs
from planner.evidence.labels import costs_of, draw_probes
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData
from search.choice import Choice
from search.plan import Plan
from training.costs import fit_costs

ERRORS = {"small": 0.1, "large": 0.1}


def test_predicts_what_choices_cost(data: TrainingData) -> None:
    rows = np.arange(len(data))
    characters = np.array([float(len(q)) for q in data.questions])
    lengths = np.stack([pool.tokens.mean(axis=1) for pool in data.pools.values()], axis=1)
    for probe in (Probe("small", 0), Probe("small", 4), Probe("small", 4, "good")):
        draws = draw_probes(len(data), 40, held=probe.samples, probes=1, resamples=1, seed=0, longest=16)
        choices = [c for c in data.choices if probe.allows(c)]
        told = costs(cost_table(fit_costs(data, choices, probe, ERRORS, rows)), lengths, characters)
        for place, choice in enumerate(choices):
            tokens, flops = costs_of(data, choice, probe, draws)
            # what a probe has drawn already costs nothing, and nothing is expected
            assert abs(told.tokens[:, place].mean() - tokens.mean()) <= 0.08 * tokens.mean(), (probe, choice)
            assert abs(told.flops[:, place].mean() - flops.mean()) <= 0.08 * flops.mean(), (probe, choice)
            assert (told.tokens_p90[:, place] >= told.tokens[:, place]).all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(st.integers(4, 60), st.integers(1, 40), st.sampled_from(["majority", "best_of_n", "weighted_vote"]))
def test_costs_grow_with_n(data: TrainingData, n: int, more: int, strategy: str) -> None:
    prm = None if strategy == "majority" else "good"
    pair = [Choice("small", prm, Plan.of(strategy, n=size)) for size in (n, n + more)]
    for probe in (Probe("small", 0), Probe("small", 4)):
        table = cost_table(fit_costs(data, pair, probe, ERRORS, np.arange(len(data))))
        told = costs(table, np.array([[30.0, 40.0]]), np.array([50.0]))
        for part in (told.tokens, told.flops, told.tokens_p90, told.flops_p90):
            assert part[0, 0] < part[0, 1]


@pytest.mark.parametrize("probe", [Probe("small", 0), Probe("small", 4), Probe("large", 4)])
def test_an_adaptive_vote_costs_less_than_the_vote_it_may_stop(data: TrainingData, probe: Probe) -> None:
    full, adaptive = (
        Choice("small", None, Plan.parse(text)) for text in ("majority(n=16)", "adaptive_vote(n=16)")
    )
    vote, stopping = fit_costs(data, [full, adaptive], probe, ERRORS, np.arange(len(data)))
    assert 0.0 < stopping.policy_rate <= vote.policy_rate
    assert vote.prm_rate == 0.0
    assert stopping.prm_rate == pytest.approx(0.0, abs=1e-12)


def test_tree_searches_never_get_cheaper_with_n(data: TrainingData) -> None:
    trees = sorted((c for c in data.choices if c.plan.must_run and c.prm == "bad"), key=lambda c: c.plan.n)
    table = fit_costs(data, trees, Probe("small", 0), ERRORS, np.arange(len(data)))
    by_policy = [(c.policy, cost.policy_rate) for c, cost in zip(trees, table, strict=True)]
    for policy in ("small", "large"):
        rates = [rate for name, rate in by_policy if name == policy]
        assert rates == sorted(rates)
        assert rates[0] > 0
