from __future__ import annotations

import numpy as np
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.selection import families_apart
from planner.evaluation.slices import only
from search.errors import TooLittleDataError


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=40), st.integers(0, 99))
def test_every_problem_is_scored_once_and_picked_for_by_other_families(
    families: list[str], seed: int
) -> None:
    parts = families_apart(families, seed)
    scored = np.concatenate([part.score for part in parts])
    assert sorted(scored.tolist()) == list(range(len(families)))
    for part in parts:
        assert len(part.pick)
        assert not set(part.pick.tolist()) & set(part.score.tolist())
        if len(set(families)) > 1:
            seen, asked = ({families[i] for i in rows} for rows in (part.pick, part.score))
            assert not seen & asked


def test_what_is_shared_is_made_once(apart: BaselineContext, crossed: BaselineContext) -> None:
    assert apart.fixed is apart.fixed
    assert apart.running(apart.test, "small") is apart.running(apart.test, "small")
    assert apart.running(apart.test, "small") is not apart.running(apart.training, "small")
    assert crossed.fixed[0] is crossed.fixed[1]
    assert crossed.halved[0] is crossed.halved[1]
    assert apart.largest("small") == 8


def test_boards_on_both_sides_have_the_same_settings(apart: BaselineContext) -> None:
    test, training = apart.fixed
    assert test.settings == training.settings
    turned = training.columns(range(len(training.settings))[::-1])
    assert turned.like(test).settings == test.settings
    assert (turned.like(test).values == training.values).all()


def test_a_training_log_that_lacks_what_is_compared_is_refused() -> None:
    held_out, training = worlds.world(20), worlds.world(20, seed=1)
    with pytest.raises(TooLittleDataError, match=r"got none of .*best_of_n"):
        worlds.context(held_out, only(training, prms=()))
    # more than is compared does no harm
    worlds.context(only(held_out, prms=()), training)
