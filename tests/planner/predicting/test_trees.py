from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from planner.predicting.boosting import Shape, boost
from planner.predicting.lightgbm_text import parse
from planner.predicting.trees import BitTrees, Forest

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(300, 6))
LABELS = ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2]
SHAPE = Shape(trees=25, leaves=7, min_data=5, l2=0.1)


def text(probability: bool = False, seed: int = 0) -> str:
    labels = 1 / (1 + np.exp(-LABELS)) if probability else LABELS
    return boost(ROWS, labels, np.ones(300), SHAPE, probability=probability, seed=seed, threads=1)


@pytest.mark.parametrize("probability", [False, True])
def test_predicts_what_lightgbm_predicts(probability: bool) -> None:
    model = text(probability)
    slow = lightgbm.Booster(model_str=model).predict(ROWS, raw_score=True)
    np.testing.assert_allclose(Forest([parse(model)]).predict(ROWS)[:, 0], slow, rtol=0, atol=1e-12)


def test_one_row_gives_the_same_bits_as_many() -> None:
    forest = Forest([parse(text()), parse(text(True)), parse(text(seed=3))])
    together = forest.predict(ROWS)
    alone = np.concatenate([forest.predict(ROWS[i : i + 1]) for i in range(len(ROWS))])
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("leaves", [2, 31, 64, 100])
def test_a_row_alone_reaches_the_leaves_that_walking_reaches(leaves: int) -> None:
    shape = Shape(trees=6, leaves=leaves, min_data=1, l2=0.0)
    grown = boost(ROWS, LABELS, np.ones(300), shape, probability=False, seed=0, threads=1)
    flat = boost(ROWS, np.full(300, 0.25), np.ones(300), SHAPE, probability=False, seed=0, threads=1)
    forest = Forest([parse(grown), parse(flat)])
    bits = BitTrees.of(forest.feature_, forest.threshold_, forest.children_, forest.value_, forest.roots_)
    # a word holds 64 leaves: larger trees are walked
    assert (bits is None) == (leaves > 64)
    on_edges = np.concatenate([ROWS, np.resize(forest.threshold_, (40, 6))])
    together = forest.predict(on_edges)
    alone = np.concatenate([forest.predict(row[None]) for row in on_edges])
    assert np.array_equal(together, alone)


def test_the_same_seed_gives_the_same_model() -> None:
    assert text(seed=5) == text(seed=5) != text(seed=6)


def test_a_model_without_splits_is_a_constant() -> None:
    flat = boost(ROWS, np.full(300, 0.25), np.ones(300), SHAPE, probability=False, seed=0, threads=1)
    np.testing.assert_allclose(Forest([parse(flat)]).predict(ROWS), 0.25, atol=1e-6)


def test_contributions_lead_from_the_mean_to_the_prediction() -> None:
    model = parse(text())
    forest = Forest([model])
    base = model.value[model.roots].sum()
    credited = forest.contributions(ROWS[0]).sum()
    # LightGBM writes inner values with six digits
    assert base + credited == pytest.approx(forest.predict(ROWS[:1])[0, 0], abs=1e-3)
