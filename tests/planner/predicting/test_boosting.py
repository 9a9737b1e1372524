"""Rows binned once give the models that rows binned anew would give."""

from __future__ import annotations

import numpy as np
import pytest

from planner.predicting.boosting import Binned, Shape, boost

RNG = np.random.default_rng(3)
ROWS = RNG.normal(size=(400, 8))
ROWS[:, 3] = 0.0
LABELS = np.stack([ROWS[:, 0], ROWS[:, 1] * ROWS[:, 2], RNG.normal(size=400)])
SHAPES = (Shape(trees=12, min_data=5), Shape(trees=8, leaves=7, min_data=60, share=0.4, l2=1.0))


def test_one_binning_serves_every_label_shape_and_order() -> None:
    binned = Binned(ROWS)
    jobs = [(label, shape, seed) for label in range(3) for shape in SHAPES for seed in (0, 9)]
    shared = {
        job: binned.boost(LABELS[job[0]], job[1], probability=False, seed=job[2])
        for job in [*jobs, *reversed(jobs)]
    }
    weights = np.ones(400)
    for label, shape, seed in jobs:
        anew = boost(ROWS, LABELS[label], weights, shape, probability=False, seed=seed, threads=1)
        assert shared[label, shape, seed] == anew


def test_regression_after_probability_forgets_the_objective() -> None:
    binned = Binned(ROWS)
    first = binned.boost(LABELS[0], SHAPES[0], probability=False, seed=1)
    chances = 1.0 / (1.0 + np.exp(-LABELS[1]))
    assert "objective=cross_entropy" in binned.boost(chances, SHAPES[0], probability=True, seed=1)
    assert binned.boost(LABELS[0], SHAPES[0], probability=False, seed=1) == first


def test_weights_count_in_proportion_alone() -> None:
    weights = RNG.random(400) + 0.1
    one, other, flat = (
        boost(ROWS, LABELS[1], w, SHAPES[0], probability=False, seed=0, threads=1)
        for w in (weights, 8.0 * weights, np.ones(400))
    )
    assert one == other
    assert one != flat == Binned(ROWS).boost(LABELS[1], SHAPES[0], probability=False, seed=0)


@pytest.mark.parametrize(("name", "value"), [("trees", 0), ("leaves", 1), ("min_data", 0)])
def test_a_shape_says_its_rule(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        Shape(**{name: value})
