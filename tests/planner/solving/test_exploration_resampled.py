"""Thompson's rule: options are tried as often as they are the best under resampled values."""

from __future__ import annotations

from random import Random

import pytest

from planner.planner import Planner
from planner.solving.exploration import Exploration, Resampled
from search.budget import Budget
from search.errors import ServeError

QUESTION = "work out the sum of 3 + 41 + 7"
BUDGET = Budget(tokens=2000)


def weights(planner: Planner, explorer: Exploration, times: int) -> dict[str, float]:
    """Option -> the mean of whether it was taken over its propensity: 1 if that is right."""
    sums: dict[str, float] = {}
    for _ in range(times):
        found = planner.decide(QUESTION, budget=BUDGET, decision_filter=explorer)
        name = f"{found.choice} {found.probe}"
        sums[name] = sums.get(name, 0.0) + 1.0 / found.propensity / times
    return sums


def test_propensities_are_those_of_the_draws(planner: Planner) -> None:
    found = weights(planner, Resampled(0.9, 1, Random(0), members=16), 800)
    assert len(found) > 1
    assert sum(found.values()) / len(found) == pytest.approx(1.0, abs=0.3)
    assert max(found.values()) < 2.0


def test_the_likely_best_are_tried_more_often_than_by_chance(planner: Planner) -> None:
    best = planner.decide(QUESTION, budget=BUDGET).choice

    def price(kind: type[Exploration]) -> float:
        explorer, lost = kind(0.9, 1, Random(1)), 0.0
        for _ in range(200):
            found = planner.decide(QUESTION, budget=BUDGET, decision_filter=explorer)
            lost += 0.0 if found.explored is None else found.explored.accuracy
        return lost

    assert price(Resampled) < price(Exploration)
    assert best in planner.choices


def test_the_price_is_told_where_another_decision_was_taken(planner: Planner) -> None:
    explorer = Exploration(0.9, 1, Random(2))
    plain = planner.decide(QUESTION, budget=BUDGET)
    found = [planner.decide(QUESTION, budget=BUDGET, decision_filter=explorer) for _ in range(60)]
    assert plain.explored is None
    told = [one for one in found if one.explored is not None]
    assert told
    for one in told:
        assert one.explored is not None
        assert one.explored.accuracy == pytest.approx(plain.accuracy - one.accuracy)
        assert one.explored.tokens == pytest.approx(one.tokens - plain.tokens)
    same = [one for one in found if (one.choice, one.probe) == (plain.choice, plain.probe)]
    assert all(one.explored is None for one in same)


def test_without_a_chance_nothing_is_tried(planner: Planner) -> None:
    found = planner.decide(QUESTION, budget=BUDGET, decision_filter=Resampled(0.0, 1, Random(3)))
    assert found.propensity == 1.0
    with pytest.raises(ServeError, match="at least 1 member votes, got 0"):
        Resampled(0.1, 1, Random(0), members=0)
