"""Decisions that are bent while serving: by a deadline, and to explore."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from planner.exploration import Exploration
from planner.hurry import Hurry
from planner.latency import Latency, Work
from planner.objective import HardCap, Objective, Price
from planner.options import Option, options
from planner.planner import Planner
from planner.recommendation import Recommendation
from planner.steering import Steering
from search.errors import ServeError

QUESTION = "work out the sum of 3 + 41 + 7"


def hurry(planner: Planner, per_token: float, left: float) -> Hurry:
    """A deadline under a latency of so many seconds a token, whatever runs."""
    latency = Latency()
    for policy in planner.policies:
        for prm in (None, *planner.prms):
            for is_tree in (False, True):
                for tokens in range(50, 1050, 50):
                    for n in (1, 4):
                        seconds = per_token * tokens / n + 1e-3
                        latency.observe(Work(policy, prm, n, is_tree), tokens, seconds, 1)
    return Hurry(latency, lambda: left, lambda: 1, Steering())


def test_nothing_bent_is_the_same_advice(planner: Planner) -> None:
    plain = planner.recommend(QUESTION, objective=Price(0.0))
    assert planner.recommend(QUESTION, objective=Price(0.0), steering=Steering()) == plain


def test_what_takes_too_long_is_left_out(planner: Planner) -> None:
    plain = planner.recommend(QUESTION, objective=Price(0.0))
    ample = planner.recommend(QUESTION, objective=Price(0.0), steering=hurry(planner, 1e-4, 100.0))
    assert (ample.choice, ample.look) == (plain.choice, plain.look)
    tight = hurry(planner, 0.01, 0.5)
    advice = planner.recommend(QUESTION, objective=Price(0.0), steering=tight)
    if advice.look is None:
        found = tight._latency.predict(Work.of(advice.choice), advice.tokens, 1)
        assert found is not None
        assert found.p90 <= 0.5
    # when nothing is fast enough the fastest stays
    late = hurry(planner, 0.01, 0.0)
    advice = planner.recommend(QUESTION, objective=Price(0.0), steering=late)
    assert advice.look is None

    def seconds(option: Option | Recommendation) -> float:
        found = late._latency.predict(Work.of(option.choice), option.tokens, 1)
        assert found is not None
        return found.p90

    assert seconds(advice) == min(seconds(option) for option in options(planner, QUESTION))


def test_a_policy_that_has_hardly_run_begins_with_its_cheapest_choice(planner: Planner) -> None:
    unknown = Hurry(Latency(), lambda: 60.0, lambda: 1, Steering())
    advice = planner.recommend(QUESTION, objective=Price(0.0), steering=unknown)
    assert advice.look is None
    assert advice.tokens_p90 == min(option.tokens_p90 for option in options(planner, QUESTION))


@pytest.mark.parametrize("objective", [HardCap(tokens=900), Price(1e-10), HardCap(flops=2e9)])
def test_exploring_stays_within_the_budget_and_says_its_propensity(
    planner: Planner, objective: Objective
) -> None:
    best = planner.recommend(QUESTION, objective=objective)
    rng, seen = Random(0), Counter()
    propensity: dict[object, float] = {}
    runs = 4000
    for _ in range(runs):
        advice = planner.recommend(
            QUESTION, objective=objective, steering=Exploration(0.5, len(planner.stages), rng)
        )
        key = (advice.choice, advice.look) if advice.look is None else advice.look
        seen[key] += 1
        propensity.setdefault(key, advice.propensity)
        assert propensity[key] == advice.propensity
        if isinstance(objective, HardCap) and advice.look is None:
            assert advice.tokens_p90 <= (objective.tokens or np.inf)
            assert advice.flops_p90 <= (objective.flops or np.inf)
    assert len(seen) > 1
    assert sum(propensity.values()) == pytest.approx(1.0, abs=0.05)  # rare ones may not have been seen
    for key, count in seen.items():
        assert count / runs == pytest.approx(propensity[key], abs=0.03)
    key = (best.choice, best.look) if best.look is None else best.look
    assert seen.most_common(1)[0][0] == key


def test_without_exploration_every_decision_is_certain(planner: Planner) -> None:
    advice = planner.recommend(QUESTION, objective=Price(0.0), steering=Exploration(0.0, 3, Random(0)))
    assert advice.propensity == 1.0
    with pytest.raises(ServeError, match="share of requests"):
        Exploration(1.0, 3, Random(0))
