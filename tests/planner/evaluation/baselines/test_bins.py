from __future__ import annotations

import numpy as np
import pytest
import worlds

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.bins import known_difficulty, predicted_difficulty
from planner.evaluation.baselines.difficulty import predict_difficulty
from planner.evaluation.baselines.fixed import mixture


def test_difficulty_is_predicted_for_problems_whose_family_was_not_seen() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 3))
    rates = 1.0 / (1.0 + np.exp(-2.0 * features[:, 0]))
    families = [str(i % 20) for i in range(400)]
    left_out, new = predict_difficulty(features, rates, families, features[:50], seed=0)
    assert np.corrcoef(left_out, rates)[0, 1] > 0.9
    assert np.corrcoef(new, rates[:50])[0, 1] > 0.9
    # a family that is a world of its own cannot be known from the others
    alone = np.where(np.asarray(families) == "3", 1.0, 0.0)
    assert predict_difficulty(features, alone, families, features[:5], seed=0)[0].max() < 0.5


@pytest.mark.parametrize("quantiles", [False, True])
def test_knowing_difficulty_helps_where_the_best_plan_depends_on_it(quantiles: bool) -> None:
    context = worlds.context(worlds.world(240, seed=1), worlds.world(240, seed=2))
    middle = float(np.median(context.fixed[0].flops.mean(axis=0)))
    plain = mixture(context).at(middle)[0].mean()
    guessed = predicted_difficulty(context, quantiles=quantiles)
    assert known_difficulty(context, quantiles=quantiles).at(middle)[0].mean() > plain
    assert guessed.at(middle)[0].mean() > plain
    # question and difficulty go together here: a guess is worth something
    assert len(np.unique(guessed.flops[:, 6])) > 2


def test_what_is_known_comes_from_other_samples_than_are_scored() -> None:
    """All luck: every problem is a coin, whatever half is seen. A lookup that peeked would be above it."""
    rng = np.random.default_rng(0)
    codes = np.where(rng.random((300, 24)) < 0.5, 0, 1)
    one, two = (worlds.world(300, seed=s, codes=codes, quality=0.0) for s in (1, 2))
    context = worlds.context(one, two)
    ceiling = context.fixed[0].values[:, 1:].max(axis=1).mean()
    for quantiles in (False, True):
        found = known_difficulty(context, quantiles=quantiles).accuracy.mean(axis=0)
        assert found.max() < 0.56 < ceiling


@pytest.mark.parametrize("quantiles", [False, True])
def test_they_pick_on_other_families_of_the_same_log(crossed: BaselineContext, quantiles: bool) -> None:
    for track in (
        known_difficulty(crossed, quantiles=quantiles),
        predicted_difficulty(crossed, quantiles=quantiles),
    ):
        assert np.isfinite(track.accuracy).all()
        assert track.flops.mean(axis=0)[0] >= track.flops.mean(axis=0)[-1]
