"""Estimates of a planner that was never live hold the truth as often as their intervals say."""

from __future__ import annotations

import numpy as np
import pytest
from traffic import World, coverage, page

from planner.traffic.ope import evaluate_offline
from planner.traffic.sources import Sources


def test_intervals_hold_the_truth() -> None:
    """A short form of the benchmark: of 60 runs at 95%, 50 and fewer are a chance of 1 in 3,000."""
    world = World.drawn(1000, share=0.6)
    found = coverage(world, runs=60, questions=1000)
    assert found["refused"] < 10
    assert found["effective_size"][0] >= 50
    for name, held in found["coverage"].items():
        assert held > 50 / 60, name
    assert abs(found["bias"]["value doubly robust"]) < 0.02
    assert found["spread"]["value doubly robust"] < 1.1 * found["spread"]["value SNIPS"]


def test_few_decisions_tell_nothing() -> None:
    world = World.drawn(200, share=0.05)
    report = evaluate_offline(world.traffic(60, np.random.default_rng(0), 0.4), Sources())
    assert report.value is None
    assert report.refused.startswith("not enough overlap")


def test_what_the_second_planner_would_have_met_is_known() -> None:
    """A planner that is live without exploration and is followed through its own traffic meets the truth."""
    world = World.drawn(300, share=0.3)
    traffic = world.traffic(20_000, np.random.default_rng(1), 0.9)
    taken = traffic.weights[np.arange(len(traffic)), traffic.last]
    cost = (taken * traffic.spent[0].sum(axis=1)).mean() / taken.mean()
    assert cost == pytest.approx(world.truth[1], rel=0.05)


def test_the_page_shows_what_was_measured() -> None:
    world = World.drawn(100, share=0.8)
    row = {"share": 0.8, **coverage(world, runs=2, questions=1500)}
    text = page({"drawn": {"command": "python traffic.py", "rows": [row]}})
    assert "| 80% | 1,500 | 2 |" in text
    assert "value doubly robust" in text
