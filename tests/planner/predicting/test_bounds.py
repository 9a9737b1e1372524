"""Lower bounds of a mean accuracy hold as often as they say, whatever families are like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.predicting.bounds import Bounds
from search.errors import ArtefactError


def test_bounds_by_hand() -> None:
    """Two families of two problems; a third is wrong: means 1, 0.5 and 0, so 0.5 and three equal sizes."""
    found = Bounds.of(np.array([[1.0], [1.0], [1.0], [0.0]]), ["a", "a", "b", "b"])
    assert found.units == 2
    assert found.mean.tolist() == [0.5]
    # sums of deviations are 1, 0 and -1 over 6 problems, and 3 / 2 corrects for few families
    assert found.error.tolist() == pytest.approx([np.sqrt(2.0 * 3.0 / 2.0) / 6.0])
    assert found.low(0.5).tolist() == pytest.approx([0.5])
    # Student's t of 2 degrees of freedom at 95% is 2.92
    assert found.low(0.95).tolist() == pytest.approx([max(0.5 - 2.91999 * found.error[0], 0.0)], abs=1e-5)


def test_families_that_are_all_right_may_still_miss_one_in_many() -> None:
    for families in (20, 100, 1000):
        found = Bounds.of(np.ones((2 * families, 1)), [str(i // 2) for i in range(2 * families)])
        assert 1.0 - float(found.low(0.95)[0]) == pytest.approx(3.0 / families, rel=0.25)


def test_problems_of_one_family_are_units() -> None:
    assert Bounds.of(np.ones((9, 2)), ["same"] * 9).units == 9


@given(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=12), st.floats(0.5, 0.99), st.floats(0.5, 0.99))
def test_more_confidence_is_never_a_higher_bound(met: list[float], one: float, other: float) -> None:
    found = Bounds.of(np.array(met)[:, None], [str(i // 2) for i in range(len(met))])
    less, more = sorted((one, other))
    assert 0.0 <= float(found.low(more)[0]) <= float(found.low(less)[0]) <= np.mean(met) + 1e-12


def rare_failures(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.where(rng.random(count) < 0.05, 0.0, 1.0)


def skewed(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.beta(1.25, 0.31, count)


def even(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.random(count)


@pytest.mark.parametrize("accuracies", [rare_failures, skewed, even])
@pytest.mark.parametrize("families", [8, 39, 100])
def test_bounds_hold_as_often_as_they_say(accuracies, families: int) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(families)
    truth = float(accuracies(rng, 400_000).mean())
    held, logs = 0, 400
    for _ in range(logs):
        sizes = rng.integers(5, 25, families)
        names = np.repeat(np.arange(families), sizes).astype(str).tolist()
        right = rng.random(int(sizes.sum())) < np.repeat(accuracies(rng, families), sizes)
        held += float(Bounds.of(right[:, None].astype(float), names).low(0.95)[0]) <= truth
    # three standard errors of 400 logs below 95% are 91.7%
    assert held / logs >= 0.917


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": np.zeros(2), "error": np.zeros(3), "units": 4},
        {"mean": np.zeros(0), "error": np.zeros(0), "units": 4},
        {"mean": np.zeros(2), "error": np.array([0.1, -0.1]), "units": 4},
        {"mean": np.array([0.1, np.nan]), "error": np.zeros(2), "units": 4},
        {"mean": np.zeros(2), "error": np.zeros(2), "units": 0},
    ],
)
def test_bounds_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ArtefactError, match="bounds"):
        Bounds(**wrong)  # type: ignore[arg-type]
