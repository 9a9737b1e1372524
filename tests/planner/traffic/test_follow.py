"""A planner is followed through a log as it would have decided live."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from traffic_log import serve

from planner.planner import Planner
from planner.server.decisions.recorder import Decision, Step
from planner.server.decisions.store import Store
from planner.traffic.estimates import effective_size
from planner.traffic.follow import Follower
from planner.traffic.gather import Gathered, gather
from planner.traffic.rows import blocks
from search.budget import Budget

BUDGETS = [
    {"samples": 8},
    {"tokens": 700},
    {"flops": 4e8},
    {"price": 1e-10},
    {"mean_flops": 3e8},
    {"target_accuracy": 0.6},
    {"tokens": 900, "price": 1e-4, "price_unit": "tokens"},
]


def gathered(where: str, planner: Planner, fingerprint: str = "f" * 64) -> Gathered:
    store = Store.read(where)
    try:
        return gather(store, Follower(planner, fingerprint))
    finally:
        store.close()


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
@pytest.mark.parametrize("fingerprint", ["f" * 64, "another"])
def test_it_takes_its_own_steps_and_expects_what_it_expected(
    planner: Planner, budget: dict[str, float], fingerprint: str, tmp_path: Path
) -> None:
    """Without exploration a planner followed through its own log agrees at every stage."""
    made = serve(planner, str(tmp_path / "log.db"), 40, budget=budget, share=0.0)
    found = gathered(str(tmp_path / "log.db"), planner, fingerprint)
    assert found.weights.tolist() == np.ones(found.weights.shape).tolist()
    by_id = sorted(made, key=lambda one: (one[0].created, one[0].decision_id))
    for row, (decision, _) in enumerate(by_id):
        assert found.last[row] == len(decision.steps) - 1
        for place, step in enumerate(decision.steps):
            assert step.accuracy is not None
            said = found.expected[:, row, place]
            told = pytest.approx([step.accuracy, step.tokens, step.flops], rel=1e-4)
            # what probing further promises under a cap is told more simply
            assert step.next_look is not None or said == told


def test_exploration_weights_have_a_mean_of_one(planner: Planner, tmp_path: Path) -> None:
    serve(planner, str(tmp_path / "log.db"), 1500, share=0.5)
    found = gathered(str(tmp_path / "log.db"), planner)
    final = found.weights[np.arange(len(found)), found.last]
    assert len(found) == 1500
    assert 0.5 < (final > 0.0).mean() < 0.95
    error = final.std() / np.sqrt(len(final))
    assert abs(final.mean() - 1.0) < 4.0 * error
    assert effective_size(final, found.clusters) > 100


def test_another_planner_agrees_where_it_decides_alike(
    planner: Planner, other: Planner, tmp_path: Path
) -> None:
    """Against the other planner's own live decisions, one by one."""
    made = serve(planner, str(tmp_path / "log.db"), 60, share=0.5, budget={"tokens": 700})
    found = gathered(str(tmp_path / "log.db"), other)
    by_id = sorted(made, key=lambda one: (one[0].created, one[0].decision_id))
    for row, (decision, _) in enumerate(by_id):
        step = decision.steps[0]
        budget = other.resolve(Budget(tokens=700), decision.question)
        advice = other.decide(decision.question, budget=budget, domain="arithmetic")
        same = (
            step.next_look == str(advice.probe)
            if advice.probe is not None
            else step.next_look is None
            and (step.policy, step.prm, step.plan)
            == (advice.choice.policy, advice.choice.prm, str(advice.choice.plan))
        )
        assert bool(found.weights[row, 0] > 0.0) == same
        promised = pytest.approx(advice.accuracy, rel=1e-4)
        assert advice.probe is not None or found.expected[0, row, 0] == promised


def test_what_cannot_be_used_is_counted_by_reason(planner: Planner, tmp_path: Path) -> None:
    where = str(tmp_path / "log.db")
    made = serve(planner, where, 5, share=0.0)
    good: Decision = made[0][0]
    step: Step = good.steps[0]

    def changed(name: str, **changes: object) -> Decision:
        return replace(good, decision_id=name, **changes)  # type: ignore[arg-type]

    store = Store.open(where)
    store.write(
        [
            changed("forced", planner=None, reason="forced_plan"),
            changed("failed", outcome="failed"),
            changed("unlogged", steps=()),
            changed("propensity", steps=(replace(step, propensity=float("nan")),)),
            changed("zero", steps=(replace(step, propensity=0.0),)),
            changed("money", budget={"usd": 0.01}),
            changed("budget", budget={"wishes": 3}),
            changed("lost", steps=(replace(step, next_look=None), step)),
            changed("late", steps=(replace(step, look="8 samples of small"),)),
            changed("hashed", question="hmac-sha256:00", planner="another"),
        ]
    )
    found = gather(store, Follower(planner, "f" * 64))
    store.close()
    assert len(found) == 5
    assert sum(found.left_out.values()) == 10
    assert found.left_out["every stage has a propensity"] == 2
    assert len(found.left_out) == 9


def test_blocks_hold_every_decision_once(planner: Planner, tmp_path: Path) -> None:
    where = str(tmp_path / "log.db")
    made = serve(planner, where, 30, share=0.2)
    store = Store.read(where)
    for size in (1, 7, 30, 100):
        rows = [row for block in blocks(store, Counter(), size=size) for row in block]
        assert sorted(row.decision_id for row in rows) == sorted(d.decision_id for d, _ in made)
        steps = {row.decision_id: [step.look for step in row.steps] for row in rows}
        assert all(steps[d.decision_id] == [step.look for step in d.steps] for d, _ in made)
        assert all(len(row.words) == 1 for row in rows)
    store.close()
