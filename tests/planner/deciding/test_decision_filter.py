"""Decisions that are bent while serving: by a deadline, and to explore."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from planner.deciding.decision_filter import DecisionFilter
from planner.options import Option, options
from planner.planner import Planner
from planner.solving.deadline_filter import DeadlineFilter
from planner.solving.exploration import Exploration
from planner.solving.latency import Latency, Work
from search.budget import Budget
from search.errors import ServeError

QUESTION = "work out the sum of 3 + 41 + 7"


def latency_of(planner: Planner, per_token: float) -> Latency:
    """So many seconds a token, whatever runs."""
    latency = Latency()
    for policy in planner.policies:
        for prm in (None, *planner.prms):
            for is_tree in (False, True):
                for tokens in range(50, 1050, 50):
                    for n in (1, 4):
                        seconds = per_token * tokens / n + 1e-3
                        latency.observe(Work(policy, prm, n, is_tree), tokens, seconds, 1)
    return latency


def deadline_filter(latency: Latency, left: float) -> DeadlineFilter:
    return DeadlineFilter(latency, lambda: left, lambda: 1, DecisionFilter())


def test_nothing_bent_is_the_same_advice(planner: Planner) -> None:
    plain = planner.decide(QUESTION, budget=Budget(price=0.0))
    assert planner.decide(QUESTION, budget=Budget(price=0.0), decision_filter=DecisionFilter()) == plain


def test_what_takes_too_long_is_left_out(planner: Planner) -> None:
    plain = planner.decide(QUESTION, budget=Budget(price=0.0))
    ample = planner.decide(
        QUESTION, budget=Budget(price=0.0), decision_filter=deadline_filter(latency_of(planner, 1e-4), 100.0)
    )
    assert (ample.choice, ample.probe) == (plain.choice, plain.probe)
    latency = latency_of(planner, 0.01)
    advice = planner.decide(QUESTION, budget=Budget(price=0.0), decision_filter=deadline_filter(latency, 0.5))
    found = latency.predict(Work.of(advice.choice), advice.tokens, 1)
    # a probe is looked at first where its plans have time, and decides anew
    assert advice.probe is not None or (found is not None and found.p90 <= 0.5)
    # when nothing is fast enough the fastest stays
    late = deadline_filter(latency, 0.0)
    advice = planner.decide(QUESTION, budget=Budget(price=0.0), decision_filter=late)
    assert advice.probe is None

    def seconds(option: Option) -> float:
        found = latency.predict(Work.of(option.choice), option.tokens, 1)
        assert found is not None
        return found.p90

    fastest = min(options(planner, QUESTION), key=seconds)
    assert advice.choice == fastest.choice


def test_a_policy_that_has_hardly_run_begins_with_its_cheapest_choice(planner: Planner) -> None:
    unknown = DeadlineFilter(Latency(), lambda: 60.0, lambda: 1, DecisionFilter())
    advice = planner.decide(QUESTION, budget=Budget(price=0.0), decision_filter=unknown)
    assert advice.probe is None
    assert advice.tokens_p90 == min(option.tokens_p90 for option in options(planner, QUESTION))


@pytest.mark.parametrize("budget", [Budget(tokens=900), Budget(price=1e-10), Budget(flops=2e9)])
def test_exploring_stays_within_the_budget_and_says_its_propensity(planner: Planner, budget: Budget) -> None:
    best = planner.decide(QUESTION, budget=budget)
    rng, seen = Random(0), Counter()
    propensity: dict[object, float] = {}
    runs, finals = 1500, 0
    for _ in range(runs):
        advice = planner.decide(
            QUESTION, budget=budget, decision_filter=Exploration(0.5, len(planner.stages), rng)
        )
        key = (advice.choice, advice.probe) if advice.probe is None else advice.probe
        seen[key] += 1
        propensity.setdefault(key, advice.propensity)
        assert propensity[key] == advice.propensity
        final = advice.probe is None
        assert not final or advice.tokens_p90 <= (budget.tokens or np.inf)
        assert not final or advice.flops_p90 <= (budget.flops or np.inf)
        finals += final
    assert finals > 0
    assert len(seen) > 1
    assert sum(propensity.values()) == pytest.approx(1.0, abs=0.05)  # rare ones may not have been seen
    for key, count in seen.items():
        assert count / runs == pytest.approx(propensity[key], abs=0.04)
    key = (best.choice, best.probe) if best.probe is None else best.probe
    assert seen.most_common(1)[0][0] == key


def test_without_exploration_every_decision_is_certain(planner: Planner) -> None:
    advice = planner.decide(
        QUESTION, budget=Budget(price=0.0), decision_filter=Exploration(0.0, 3, Random(0))
    )
    assert advice.propensity == 1.0
    with pytest.raises(ServeError, match="share of requests"):
        Exploration(1.0, 3, Random(0))
