"""What every baseline has to keep: it picks on other problems than it is scored on, and pays its draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import worlds

from planner.evaluation.baseline import BASELINES, track_of
from planner.evaluation.baseline_context import BaselineContext

#: those that know the problem they are scored on, by half of its samples
_TOLD = {"bin_absolute", "bin_quantile", "oracle", "oracle_steady"}


@pytest.mark.parametrize("name", BASELINES)
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


@pytest.mark.parametrize("name", [name for name in BASELINES if name not in _TOLD])
def test_no_baseline_looks_at_what_it_is_scored_on(name: str) -> None:
    """Turn right into wrong on the held-out problems: what is chosen, and so what it costs, stays."""
    held_out, training = worlds.world(60, seed=1), worlds.world(60, seed=2)
    other = replace(held_out, right=~held_out.right)
    one, two = (track_of(name, worlds.context(log, training)) for log in (held_out, other))
    assert one is not None
    assert two is not None
    assert (one.flops == two.flops).all()
    assert not (one.accuracy == two.accuracy).all()


@pytest.mark.parametrize("name", BASELINES)
def test_equal_seeds_give_equal_tracks(name: str) -> None:
    held_out, training = worlds.world(40, seed=1), worlds.world(40, seed=2)
    one, two = (track_of(name, worlds.context(held_out, training)) for _ in range(2))
    assert one is not None
    assert two is not None
    assert (one.accuracy == two.accuracy).all()
    assert (one.flops == two.flops).all()
