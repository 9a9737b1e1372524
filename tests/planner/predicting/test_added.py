"""Added choices: logistic in the level and the factors, checked to fit, the same for one row and for many."""

from __future__ import annotations

import numpy as np
import pytest

from planner.predicting.added import Added, design_of
from search.errors import ArtefactError


def some(choices: int = 2, factors: int = 3, seed: int = 0) -> Added:
    rng = np.random.default_rng(seed)
    return Added(rng.normal(0, 1, (choices, 2 + factors)), rng.normal(0, 0.1, choices))


def rows(count: int, factors: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.random(count), rng.normal(0, 1, (count, factors))


def test_it_is_logistic_in_level_and_factors() -> None:
    added, (level, factors) = some(), rows(50)
    found = np.log(added.accuracy(level, factors) / (1 - added.accuracy(level, factors)))
    np.testing.assert_allclose(found, design_of(level, factors) @ added.weights.T, atol=1e-9)


def test_one_row_and_many_have_equal_bits() -> None:
    added, (level, factors) = some(), rows(37)
    together = added.accuracy(level, factors)
    alone = [added.accuracy(level[i : i + 1], factors[i : i + 1])[0] for i in range(37)]
    np.testing.assert_array_equal(together, np.stack(alone))


def test_credit_is_the_slope_of_the_advantage() -> None:
    added, level, factors = some(), 0.6, np.array([0.2, -0.4, 0.1])
    moved = np.array([0.3, 0.1, -0.2, 0.5])  # what one feature adds to the logit of the level and the factors
    small = 1e-5

    def advantage(share: float) -> np.ndarray:
        logit = np.log(level / (1 - level)) + share * moved[0]
        here = 1 / (1 + np.exp(-logit))
        return added.accuracy(np.array([here]), (factors + share * moved[1:])[None])[0] - here

    slope = (advantage(small) - advantage(-small)) / (2 * small)
    np.testing.assert_allclose(added.credit(level, factors, moved[:, None])[:, 0], slope, atol=1e-6)


def test_more_choices_stand_behind() -> None:
    first, second = some(2), some(1, seed=5)
    both = first.and_more(second)
    level, factors = rows(4)
    expected = np.hstack([first.accuracy(level, factors), second.accuracy(level, factors)])
    np.testing.assert_array_equal(both.accuracy(level, factors), expected)
    np.testing.assert_array_equal(both.average, [*first.average, *second.average])


@pytest.mark.parametrize(
    ("weights", "average", "told"),
    [
        (np.zeros((2, 5)), np.zeros(1), "one average each"),
        (np.zeros((0, 5)), np.zeros(0), "one average each"),
        (np.zeros(5), np.zeros(5), "one average each"),
        (np.full((1, 5), np.nan), np.zeros(1), "finite"),
        (np.zeros((1, 5)), np.array([np.inf]), "finite"),
    ],
)
def test_what_does_not_fit_is_refused(weights: np.ndarray, average: np.ndarray, told: str) -> None:
    with pytest.raises(ArtefactError, match=told):
        Added(weights, average)
