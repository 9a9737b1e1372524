from __future__ import annotations

import numpy as np
import worlds

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.fixed import mixture
from planner.evaluation.neighbours import _picks, neighbours


def test_questions_tell_which_plan_is_best() -> None:
    context = worlds.context(worlds.world(300, seed=1), worlds.world(300, seed=2))
    middle = float(np.median(context.fixed[0].flops.mean(axis=0)))
    assert neighbours(context).at(middle)[0].mean() > mixture(context).at(middle)[0].mean() + 0.01


def test_the_nearest_decide_and_nobody_of_the_own_family_does(apart: BaselineContext) -> None:
    seen = apart.fixed[1]
    points = np.arange(len(seen), dtype=np.float64)[:, None]
    prices = np.array([0.0])
    nearest = _picks(asked=points, known=points, seen=seen, counts=[1], prices=prices, families=None)[:, 0, 0]
    assert (nearest == seen.values.argmax(axis=1)).all()
    families = np.arange(len(seen)) // 2  # pairs: the neighbour that is left is one of the next pair
    other = _picks(
        asked=points, known=points, seen=seen, counts=[1], prices=prices, families=(families, families)
    )[:, 0, 0]
    expected = [seen.values[i - 1 if i % 2 == 0 and i else i + 1 if i % 2 else 2].argmax() for i in range(8)]
    assert other[:8].tolist() == expected
    one = np.zeros(len(seen), int)  # a log of one family: only the problem itself is left out
    alone = _picks(asked=points, known=points, seen=seen, counts=[1], prices=prices, families=(one, one))[
        :, 0, 0
    ]
    assert alone[0] == seen.values[1].argmax()


def test_a_feature_that_never_varies_does_no_harm(crossed: BaselineContext) -> None:
    assert np.isfinite(neighbours(crossed).accuracy).all()
