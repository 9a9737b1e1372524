"""Partial pooling: few problems leave a new choice like the known ones, many tell what it is."""

from __future__ import annotations

import numpy as np

from training.extending.pooling import pooled_weights

RNG = np.random.default_rng(0)
TRUE = np.array([0.3, -1.2, 0.8])
#: three known choices near one another, far from TRUE in the last weight
KNOWN = np.array([[0.0, 1.0, 0.1], [0.2, 0.9, 0.0], [-0.3, 1.1, 0.15]])


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def world(count: int, weights: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(count), rng.normal(0, 1, count), rng.normal(2, 3, count)])
    right = (rng.random(count) < sigmoid(design @ weights)).astype(float)
    return design, sigmoid(design @ KNOWN.T), right[:, None]


def test_many_problems_tell_what_a_choice_is() -> None:
    design, known, right = world(40_000, TRUE)
    found = pooled_weights(design, known, right, np.ones(len(design)))
    np.testing.assert_allclose(found[0], TRUE, atol=0.15)


def test_without_evidence_it_is_the_mean_of_the_known() -> None:
    design, known, right = world(200, TRUE)
    found = pooled_weights(design, known, right, np.full(200, 1e-9))
    # logits of known accuracies are held away from 0 and 1, so that the mean is met about
    assert np.corrcoef(design @ found[0], design @ KNOWN.mean(axis=0))[0, 1] > 0.99
    np.testing.assert_allclose(found[0], KNOWN.mean(axis=0), atol=0.1)


def test_one_like_a_known_one_is_told_better_than_alone() -> None:
    losses = []
    for seed in range(8):
        design, known, right = world(60, KNOWN[0], seed)
        fresh, _, _ = world(2000, KNOWN[0], 100 + seed)
        truth = sigmoid(fresh @ KNOWN[0])
        pooled = sigmoid(fresh @ pooled_weights(design, known, right, np.ones(60))[0])
        # far from one another, the known say nothing: about what the problems alone would tell
        apart = np.random.default_rng(seed).random(known.shape)
        alone = sigmoid(fresh @ pooled_weights(design, apart, right, np.ones(60))[0])
        losses.append([((pooled - truth) ** 2).mean(), ((alone - truth) ** 2).mean()])
    pooled_loss, alone_loss = np.mean(losses, axis=0)
    assert pooled_loss < 0.7 * alone_loss


def test_several_choices_are_found_apart_and_constant_columns_do_no_harm() -> None:
    design, known, right = world(300, TRUE)
    design[:, 2] = 1.0
    two = pooled_weights(design, known, np.hstack([right, 1 - right]), np.ones(300))
    one = pooled_weights(design, known, right, np.ones(300))
    np.testing.assert_allclose(two[0], one[0])
    assert np.isfinite(two).all()


def test_one_known_choice_is_enough() -> None:
    design, known, right = world(100, KNOWN[0])
    found = pooled_weights(design, known[:, :1], right, np.ones(100))
    assert np.corrcoef(design @ found[0], design @ KNOWN[0])[0, 1] > 0.9
