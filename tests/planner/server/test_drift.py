"""While questions have left what was learned, rules decide and less is promised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.deciding.decision_filter import DecisionFilter
from planner.planner import Planner
from planner.server.drift import Leaning
from planner.solving.availability_filter import AvailabilityFilter
from planner.traffic.betting import bet_on_mean
from planner.traffic.signals import Drift, Signal
from search.budget import Budget

QUESTION = "work out the sum of 3 + 41 + 7"


def drift(*names: str, miss: float | None = None) -> Drift:
    said = None if miss is None else bet_on_mean(np.full(4000, miss), np.ones(4000), reach=1.0)
    signals = tuple(Signal(name=name, seen=9, since=1.0, raised=2.0) for name in names)
    return Drift(planner="f", signals=signals, miss=said, problems=100, words=385)


def asked(planner: Planner) -> str:
    """A PRM that some choice asks."""
    return next(choice.prm for choice in planner.stages[0].choices if choice.prm is not None)


def test_the_choice_that_is_best_on_average_is_taken(planner: Planner) -> None:
    budget = Budget(price=1e-12)
    plain = planner.decide(QUESTION, budget=budget)
    led = planner.decide(QUESTION, budget=budget, decision_filter=Leaning(drift("questions")))
    stage = planner.stages[0]
    menu = stage.menu(planner.features(stage, QUESTION, None), np.array([float(len(QUESTION))]))
    best = stage.average - 1e-12 * menu.costs.flops[0]
    assert led.choice == stage.choices[int(best.argmax())]
    assert led.by_rule
    assert led.probe is None
    assert led.interval == (0.0, 1.0)  # nothing was heard since
    assert any("have left what was learned (questions)" in one for one in led.warnings)
    assert plain.interval != led.interval


def test_intervals_widen_by_what_was_missed(planner: Planner) -> None:
    found = drift("promises", miss=-0.3)
    low, high = found.widening
    assert -0.35 < low < -0.3
    assert high == 0.0
    led = Leaning(found).advice(planner.decide(QUESTION, budget=Budget(tokens=4000)))
    plain = planner.decide(QUESTION, budget=Budget(tokens=4000))
    assert led.interval == (max(0.0, plain.interval[0] + low), plain.interval[1])


def test_choices_of_a_bad_prm_are_left_out(planner: Planner) -> None:
    prm = asked(planner)
    found = drift(f"PRM {prm}")
    assert found.bad_prms == {prm}
    filtered = Leaning(found)
    stage = planner.stages[0]
    menu = stage.menu(planner.features(stage, QUESTION, None), np.array([float(len(QUESTION))]))
    shown = np.isfinite(filtered.menu(stage, menu).costs.tokens_p90[0])
    used = np.array([AvailabilityFilter(prms=[prm]).excludes(choice) for choice in stage.choices])
    assert used.any()
    assert (shown == ~used).all()


def test_without_a_choice_left_the_bad_prm_stays(planner: Planner) -> None:
    prm = asked(planner)
    stage = planner.stages[0]
    menu = stage.menu(planner.features(stage, QUESTION, None), np.array([float(len(QUESTION))]))
    asks = [choice.prm == prm for choice in stage.choices]
    only = replace(menu, costs=replace(menu.costs, tokens_p90=np.where(asks, menu.costs.tokens_p90, np.nan)))
    shown = Leaning(drift(f"PRM {prm}")).menu(stage, only)
    assert np.isfinite(shown.costs.tokens_p90).any()


def test_what_is_wrapped_is_asked(planner: Planner) -> None:
    class Second(DecisionFilter):
        def excludes(self, what: object) -> bool:
            return True

    filtered = Leaning(drift("questions"), Second())
    assert filtered.excludes(planner.stages[0].choices[0])
    assert drift().widening == (0.0, 0.0)
    assert drift("questions").to_json()["raised"] == ["questions"]


def test_widening_is_whole_where_nothing_is_known() -> None:
    assert drift("questions").widening == (-1.0, 1.0)
    assert pytest.approx(drift("questions", miss=0.0).widening, abs=0.05) == (0.0, 0.0)
