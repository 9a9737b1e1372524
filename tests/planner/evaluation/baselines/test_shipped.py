"""What every baseline has to keep: it picks on other problems than it is scored on, and pays its draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import synthetic
import worlds

from planner.evaluation.baseline import BASELINES, Baseline, track_of
from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.evaluate import evaluate
from planner.evaluation.frontier import Track
from planner.evidence.training_data import TrainingData, read_training_data
from search.errors import PluginError

#: those that know the problem they are scored on, by half of its samples
_TOLD = {"bin_absolute", "bin_quantile", "oracle", "oracle_steady"}
#: those that a log of one policy supports
_ALONE = [name for name in BASELINES if name != "cascade"]


def test_a_cascade_needs_two_policies_and_picks_apart(apart: BaselineContext) -> None:
    assert track_of("cascade", apart) is None
    held_out, training = (read_two(seed) for seed in (1, 2))
    other = replace(held_out, right=~held_out.right)
    one, two = (track_of("cascade", worlds.context(log, training)) for log in (held_out, other))
    assert one is not None
    assert two is not None
    assert (one.flops == two.flops).all()
    assert not (one.accuracy == two.accuracy).all()
    again = track_of("cascade", worlds.context(held_out, training))
    assert again is not None
    assert (again.accuracy == one.accuracy).all()


def read_two(seed: int) -> TrainingData:
    log = synthetic.make_log(40, draws=16, seed=seed, policies=("small", "large"), prms=())
    return read_training_data(log, synthetic.POLICIES, synthetic.PRMS)


@pytest.mark.parametrize("name", _ALONE)
def test_accuracies_are_shares_and_costs_are_paid(
    name: str, apart: BaselineContext, crossed: BaselineContext
) -> None:
    for context in (apart, crossed):
        track = track_of(name, context)
        assert track is not None
        assert track.name == name
        assert track.accuracy.shape == track.tokens.shape == track.flops.shape
        assert len(track.accuracy) == len(context.data)
        assert ((track.accuracy >= 0) & (track.accuracy <= 1 + 1e-12)).all()
        pool = context.data.pools["small"]
        cheapest = pool.prompt + np.minimum(pool.tokens.min(axis=1), pool.greedy_tokens)
        assert (track.tokens >= cheapest[:, None] - 1e-3).all()
        assert (track.flops > 0).all()


@pytest.mark.parametrize("name", [name for name in _ALONE if name not in _TOLD])
def test_no_baseline_looks_at_what_it_is_scored_on(name: str) -> None:
    """Turn right into wrong on the held-out problems: what is chosen, and so what it costs, stays."""
    held_out, training = worlds.world(60, seed=1), worlds.world(60, seed=2)
    other = replace(held_out, right=~held_out.right)
    one, two = (track_of(name, worlds.context(log, training)) for log in (held_out, other))
    assert one is not None
    assert two is not None
    assert (one.flops == two.flops).all()
    assert not (one.accuracy == two.accuracy).all()


@pytest.mark.parametrize("name", _ALONE)
def test_equal_seeds_give_equal_tracks(name: str) -> None:
    held_out, training = worlds.world(40, seed=1), worlds.world(40, seed=2)
    one, two = (track_of(name, worlds.context(held_out, training)) for _ in range(2))
    assert one is not None
    assert two is not None
    assert (one.accuracy == two.accuracy).all()
    assert (one.flops == two.flops).all()


def test_a_baseline_of_a_plug_in_that_fails_is_named(crossed: BaselineContext) -> None:
    class Raising(Baseline):
        name = "raising_of_a_test"

        def track(self, context: BaselineContext) -> Track | None:
            raise ZeroDivisionError("by\nzero")

    class Short(Baseline):
        name = "short_of_a_test"

        def track(self, context: BaselineContext) -> Track | None:
            return Track(self.name, *np.zeros((3, 2, 1)))

    for kind in (Raising, Short):
        BASELINES.register(kind)
    try:
        with pytest.raises(
            PluginError, match=r"^baseline 'raising_of_a_test' failed: ZeroDivisionError: by zero$"
        ):
            track_of("raising_of_a_test", crossed)
        with pytest.raises(PluginError, match=r"a track is \(problems, settings\) in all three figures, got"):
            track_of("short_of_a_test", crossed)
    finally:
        for kind in (Raising, Short):
            BASELINES.unregister(kind.name)


def test_a_comparison_goes_on_without_a_baseline_that_fails() -> None:
    class Raising(Baseline):
        name = "raising_of_a_test"

        def track(self, context: BaselineContext) -> Track | None:
            raise ZeroDivisionError("by zero")

    class Cheapest(Baseline):
        name = "cheapest_of_a_test"

        def track(self, context: BaselineContext) -> Track | None:
            test, training = context.fixed
            pick = [int(training.flops.mean(axis=0).argmin())]
            return Track("another name", test.values[:, pick], test.tokens[:, pick], test.flops[:, pick])

    data = worlds.world(60, seed=1)
    for kind in (Raising, Cheapest):
        BASELINES.register(kind)
    try:
        found = evaluate(worlds.learned(data), worlds.world(60, seed=2), budgets=(4.0,), bootstrap=50)
    finally:
        for kind in (Raising, Cheapest):
            BASELINES.unregister(kind.name)
    assert "baseline 'raising_of_a_test' failed: ZeroDivisionError: by zero" in found.notes
    row = found.to_json()["budgets"][0]
    assert 0.0 < row["cheapest_of_a_test"]["accuracy"] < 1.0
    assert "raising_of_a_test" not in row
    assert row["majority"] is not None
