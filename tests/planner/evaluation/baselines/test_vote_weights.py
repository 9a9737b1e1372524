"""Weights are picked where votes get better by them: those of several signals beside those of one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.evaluation.baselines.rules import rule_choices
from planner.evaluation.baselines.vote_weights import pick_weights
from planner.evidence.training_data import TrainingData, read_training_data, replayable
from search.plan import Plan
from tests.planner import synthetic


def voted(tells: float, *, seed: int = 0, problems: int = 400) -> TrainingData:
    """Four signals, each of which tells a little of whether a sample is right, in its own way."""
    log = synthetic.make_log(problems, draws=16, prms=(), signal=False, families=40)
    whole = read_training_data(log, synthetic.POLICIES, synthetic.PRMS)  # type: ignore[arg-type]
    pool = whole.pools["small"]
    right = whole.graded(pool.codes).astype(np.float64)
    rng = np.random.default_rng(seed)
    signals = {
        name: (0.1 * (tells * right + rng.normal(size=right.shape)) - 0.5).astype(np.float32)
        for name in ("mean", "min", "window", "confidence")
    }
    return replace(whole, pools={"small": replace(pool, signals=signals)})


@pytest.fixture(scope="module")
def telling() -> TrainingData:
    return voted(0.8)


def test_several_signals_that_tell_are_taken_together(telling: TrainingData) -> None:
    [(prm, weights)] = pick_weights(telling, "small")
    assert prm is None
    assert weights.kind in ("odds", "log_odds")
    assert {term.signal for term in weights.terms} >= {"mean", "min", "window", "confidence"}
    assert all(term.slope > 0.0 for term in weights.terms if term.signal != "length")
    assert weights.of(telling.pools["small"].signals, None).mean() == pytest.approx(1.0, abs=0.05)


def test_their_votes_are_choices_that_can_be_replayed(telling: TrainingData) -> None:
    learned = [choice for choice in rule_choices(telling) if "odds" in str(choice)]
    assert learned
    for choice in learned:
        assert replayable(choice, telling.pools, telling.trees)
        assert Plan.parse(str(choice.plan)) == choice.plan


def test_signals_that_tell_nothing_are_seldom_picked() -> None:
    picked = [pick_weights(voted(0.0, seed=seed, problems=300), "small", seed=seed) for seed in range(5)]
    assert sum(weights.kind in ("odds", "log_odds") for found in picked for _, weights in found) <= 1


def test_a_prm_may_be_one_of_the_signals() -> None:
    log = synthetic.make_log(300, draws=16, families=30)
    whole = read_training_data(log, synthetic.POLICIES, synthetic.PRMS)  # type: ignore[arg-type]
    for prm, weights in pick_weights(whole, "small"):
        assert weights.asks_prm == (prm is not None)
        assert weights.level != 0.0
