"""One budget over a batch: kept, better than equal shares, and as good as the best there is."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.deciding.allocation import allocate, expected_of, steps_of, uniform
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from search.errors import BudgetError


@pytest.fixture(scope="module")
def questions(data: TrainingData) -> list[str]:
    return list(data.questions[:40])


@pytest.mark.parametrize("unit", ["flops", "tokens"])
@pytest.mark.parametrize("samples", [1.5, 4.0, 20.0])
def test_a_shared_budget_is_kept_and_beats_equal_shares(
    planner: Planner, questions: list[str], samples: float, unit: str
) -> None:
    per_token = planner.sample_flops / planner.frontier.flops.sum() * planner.frontier.tokens.sum()
    budget = samples * len(questions) * (planner.sample_flops if unit == "flops" else per_token)
    ours = planner.allocate(questions, **{unit: budget if unit == "flops" else int(budget)})  # type: ignore[arg-type]
    even = uniform(planner, questions, budget, unit)  # type: ignore[arg-type]
    assert float(getattr(ours, unit).sum()) <= budget * (1 + 1e-12)
    assert ours.accuracy.sum() >= even.accuracy.sum() - 1e-9
    assert len(ours.choices) == len(questions)


@pytest.mark.parametrize("samples", [1.5, 4.0, 20.0])
def test_what_is_left_buys_nothing_more(planner: Planner, questions: list[str], samples: float) -> None:
    budget = samples * len(questions) * planner.sample_flops
    ours = allocate(planner, questions, budget)
    accuracy, _, flops = expected_of(planner, questions)
    better = accuracy > ours.accuracy[:, None]
    affordable = flops - ours.flops[:, None] <= budget - ours.flops.sum()
    assert not (better & affordable).any()


def test_more_budget_never_expects_less(planner: Planner, questions: list[str]) -> None:
    budgets = [len(questions) * planner.sample_flops * n for n in (1.2, 2, 4, 8, 64, 1e6)]
    found = [allocate(planner, questions, budget) for budget in budgets]
    assert np.all(np.diff([a.accuracy.sum() for a in found]) >= -0.2)
    assert found[-1].price == 0.0
    best = expected_of(planner, questions)[0].max(axis=1)
    np.testing.assert_allclose(found[-1].accuracy, best)


def test_too_small_a_budget_says_what_it_must_allow(planner: Planner, questions: list[str]) -> None:
    with pytest.raises(BudgetError, match=r"its cheapest choice, .* flops in all, got 1"):
        allocate(planner, questions, 1.0)
    with pytest.raises(BudgetError, match="an equal share must allow"):
        uniform(planner, questions, 1.0)
    with pytest.raises(BudgetError, match="at least one question, got none"):
        allocate(planner, [], 1e12)


_NUMBERS = st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 1)), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(_NUMBERS, min_size=1, max_size=3), st.floats(1, 40))
def test_steps_up_the_hulls_lose_at_most_one_step(
    tables: list[list[tuple[float, float]]], budget: float
) -> None:
    """Against trying everything: what is lost is less than the largest single gain."""
    costs = [np.array([c for c, _ in table]) for table in tables]
    values = [np.array([a for _, a in table]) for table in tables]
    every = [
        sum(v[i] for v, i in zip(values, at, strict=True))
        for at in product(*(range(len(c)) for c in costs))
        if sum(c[i] for c, i in zip(costs, at, strict=True)) <= budget
    ]
    at = [int(c.argmin()) for c in costs]
    left = budget - sum(c[i] for c, i in zip(costs, at, strict=True))
    if left < 0:
        return
    steps = [s for q, (c, v) in enumerate(zip(costs, values, strict=True)) for s in steps_of(q, c, v)]
    for question in range(len(tables)):
        slopes = [s.slope for s in steps if s.question == question]
        assert all(a > b for a, b in pairwise(slopes))
    for step in sorted(steps, key=lambda s: -s.slope):
        if step.cost > left:
            break
        left -= step.cost
        at[step.question] = step.choice
    reached = sum(v[i] for v, i in zip(values, at, strict=True))
    assert reached >= max(every) - 1.0 - 1e-9
