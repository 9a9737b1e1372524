from __future__ import annotations

import numpy as np
import worlds

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.fixed import mixture
from planner.evaluation.baselines.neighbours import neighbours, picks_of
from planner.predicting.neighbours import Likeness


def test_questions_tell_which_plan_is_best() -> None:
    context = worlds.context(worlds.world(300, seed=1), worlds.world(300, seed=2))
    middle = float(np.median(context.fixed[0].flops.mean(axis=0)))
    assert neighbours(context).at(middle)[0].mean() > mixture(context).at(middle)[0].mean() + 0.01


def test_the_nearest_decide_and_nobody_of_the_own_family_does(apart: BaselineContext) -> None:
    seen = apart.fixed[1]
    likeness, points = (
        Likeness.of(np.arange(len(seen), dtype=np.float64)[:, None]),
        np.arange(len(seen))[:, None],
    )
    prices = np.array([0.0])

    def first(groups: np.ndarray | None) -> np.ndarray:
        """The pick of each row by the one nearest."""
        apart = None if groups is None else (groups, groups)
        return picks_of(likeness.nearest(points, 1, apart), seen, [1], prices)[:, 0, 0]

    assert (first(None) == seen.values.argmax(axis=1)).all()
    # pairs: the neighbour that is left is one of the next pair
    expected = [seen.values[i - 1 if i % 2 == 0 and i else i + 1 if i % 2 else 2].argmax() for i in range(8)]
    assert first(np.arange(len(seen)) // 2)[:8].tolist() == expected
    # a log of one family: only the problem itself is left out
    assert first(np.zeros(len(seen), int))[0] == seen.values[1].argmax()


def test_a_feature_that_never_varies_does_no_harm(crossed: BaselineContext) -> None:
    assert np.isfinite(neighbours(crossed).accuracy).all()
