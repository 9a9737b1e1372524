"""A target accuracy becomes prices that meet it on average, or surely, at the least cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.artefact import load, save
from planner.planner import Planner
from planner.predicting.bounds import Bounds
from planner.predicting.frontier import Frontier
from planner.predicting.targets import Target, target_of
from search.budget import Budget
from search.errors import ArtefactError, BudgetError

PRICES = np.array([1.0, 2.0, 4.0, 8.0])
COSTS = np.array([40.0, 20.0, 10.0, 5.0])


def frontier(accuracy: list[float], costs: np.ndarray = COSTS, error: float | None = None) -> Frontier:
    met = np.array(accuracy)
    bounds = None if error is None else Bounds(met, np.full(len(met), error), 1000)
    return Frontier(PRICES[: len(met)], met, 2.0 * costs[: len(met)], costs[: len(met)], bounds)


def test_between_two_prices_requests_are_split_so_that_the_mean_is_met() -> None:
    found = target_of(frontier([0.9, 0.8, 0.6, 0.4]), 0.7)
    assert found.prices == (2.0, 4.0)
    assert found.share == pytest.approx(0.5)
    assert (found.accuracy, found.flops, found.tokens) == pytest.approx((0.7, 15.0, 30.0))
    assert (found.price(0.49), found.price(0.51)) == (2.0, 4.0)
    assert (found.reached, found.warning, found.low) == (True, "", None)


def test_a_price_of_the_grid_stands_alone() -> None:
    found = target_of(frontier([0.9, 0.8, 0.6, 0.4]), 0.8)
    assert (found.price(0.0), found.price(0.999), found.accuracy) == (2.0, 2.0, pytest.approx(0.8))


def test_where_the_cheapest_exceeds_the_target_it_is_taken() -> None:
    found = target_of(frontier([0.9, 0.8, 0.6, 0.4]), 0.2)
    assert (found.prices, found.accuracy, found.flops, found.reached) == ((8.0, 8.0), 0.4, 5.0, True)


def test_where_no_price_reaches_the_target_that_is_said() -> None:
    found = target_of(frontier([0.9, 0.8, 0.6, 0.4]), 0.95)
    assert (found.prices, found.reached) == ((1.0, 1.0), False)
    assert found.warning == (
        "no price of compute reaches a mean accuracy of 0.95: the most accurate one is used, "
        "0.900 is expected"
    )


def test_a_price_that_costs_more_for_less_is_never_used() -> None:
    """The lowest price spends twice as much and is right less often; the third lies below a split."""
    found = frontier([0.85, 0.9, 0.5, 0.4])
    assert target_of(found, 1.0).prices == (2.0, 2.0)
    assert target_of(found, 0.65).prices == (2.0, 8.0)
    assert target_of(found, 0.65).flops == pytest.approx(12.5)


def test_a_bound_ends_at_the_first_price_that_fails() -> None:
    """t of 1000 degrees of freedom is 1.6464 at 95%: bounds are 0.818, 0.868, 0.568 and 0.718."""
    found = frontier([0.85, 0.9, 0.6, 0.75], error=0.02)
    sure = target_of(found, 0.7, 0.95)
    assert sure.reached
    assert sure.prices == (2.0, 4.0)  # the last price passes, after one that does not
    assert sure.low == pytest.approx(0.7)
    assert sure.accuracy == pytest.approx(0.7 + 1.6464 * 0.02, abs=1e-4)
    whole = target_of(found, 0.5, 0.95)
    assert (whole.prices, whole.reached) == ((8.0, 8.0), True)
    none = target_of(found, 0.85, 0.95)  # the second price passes, after one that does not
    assert (none.reached, none.prices) == (False, (2.0, 2.0))
    assert none.warning.startswith("no price of compute reaches a mean accuracy of 0.85 with a confidence of")


def test_a_confidence_needs_bounds() -> None:
    with pytest.raises(BudgetError, match=r"got confidence=0.9: make the planner again with planner fit"):
        target_of(frontier([0.9, 0.8]), 0.8, 0.9)


grids = st.integers(1, 12).flatmap(
    lambda count: st.tuples(
        st.lists(st.floats(0.0, 1.0), min_size=count, max_size=count),
        st.lists(st.floats(1.0, 1e12), min_size=count, max_size=count),
        st.lists(st.floats(0.0, 0.2), min_size=count, max_size=count),
    )
)


@given(grids, st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.sampled_from([None, 0.5, 0.9, 0.95]))
def test_a_higher_target_never_has_a_higher_price(
    grid: tuple[list[float], list[float], list[float]], one: float, other: float, confidence: float | None
) -> None:
    met, costs, errors = map(np.array, grid)
    found = Frontier(np.arange(1.0, len(met) + 1), met, costs, costs, Bounds(met, errors, 30))
    less, more = (target_of(found, asked, confidence) for asked in sorted((one, other)))
    for draw in (0.0, 0.25, 0.5, 0.75, 0.999):
        assert not (less.reached and more.reached) or more.price(draw) <= less.price(draw)
    assert not (more.reached and not less.reached)


@given(grids, st.floats(0.01, 1.0))
def test_what_is_promised_is_what_was_asked_or_the_cheapest(
    grid: tuple[list[float], list[float], list[float]], asked: float
) -> None:
    met, costs, errors = map(np.array, grid)
    found = Frontier(np.arange(1.0, len(met) + 1), met, costs, costs, Bounds(met, errors, 30))
    mean, sure = target_of(found, asked), target_of(found, asked, 0.95)
    assert mean.accuracy >= asked - 1e-9 or not mean.reached
    assert (
        mean.accuracy == pytest.approx(asked) or not mean.reached or mean.flops == pytest.approx(costs.min())
    )
    assert not sure.reached or (sure.low or 0.0) >= asked - 1e-9
    assert not sure.reached or sure.flops >= mean.flops * (1 - 1e-9) or sure.accuracy >= mean.accuracy - 1e-9


def test_certified_prices_reach_their_target_as_often_as_they_say() -> None:
    """Logs of 30 families from a world whose accuracies at each price are known."""
    rng = np.random.default_rng(3)
    offsets = np.array([0.3, 0.28, 0.22, 0.12, 0.0])

    def accuracies(families: int) -> np.ndarray:
        return np.clip(rng.beta(2.0, 1.5, families)[:, None] + offsets, 0.0, 1.0)

    truth = accuracies(300_000).mean(axis=0)
    reached, certified, logs = 0, 0, 300
    for _ in range(logs):
        rates = np.repeat(accuracies(30), 10, axis=0)
        right = (rng.random((300, 1)) < rates).astype(float)
        families = np.repeat(np.arange(30), 10).astype(str).tolist()
        costs = np.array([16.0, 8.0, 4.0, 2.0, 1.0])
        met = Frontier(np.arange(1.0, 6.0), right.mean(axis=0), costs, costs, Bounds.of(right, families))
        found = target_of(met, 0.7, 0.95)
        at = [int(price) - 1 for price in found.prices]
        certified += found.reached
        reached += not found.reached or found.share * truth[at[0]] + (1 - found.share) * truth[at[1]] >= 0.7
    assert certified > 0.5 * logs  # else nothing is said
    assert reached / logs >= 0.912  # three standard errors of 300 logs below 95%


def test_a_planner_keeps_its_bounds(planner: Planner, tmp_path: Path) -> None:
    bounds = planner.frontier.bounds
    assert bounds is not None
    assert bounds.units == 12
    save(planner, tmp_path / "planner")
    kept = load(tmp_path / "planner").frontier.bounds
    assert kept is not None
    assert (kept.mean.tolist(), kept.error.tolist(), kept.units) == (
        bounds.mean.tolist(),
        bounds.error.tolist(),
        bounds.units,
    )


def test_advice_says_what_is_promised(planner: Planner) -> None:
    asked = float(planner.frontier.accuracy.mean())
    advice = planner.recommend("work out the sum of 3 + 41", domain="arithmetic", accuracy=asked)
    promised = advice.target
    assert isinstance(promised, Target)
    assert promised.accuracy == pytest.approx(asked)
    assert promised.low is not None
    assert promised.low < asked
    assert f"right in {100 * asked:.1f}% (at least {100 * promised.low:.1f}% with a" in str(promised)
    assert promised.to_dict()["asked"] == asked
    sure = planner.decide("what is 3 + 4", budget=Budget(accuracy=0.05, confidence=0.9)).target
    assert sure is not None
    assert (sure.confidence, sure.reached) == (0.9, True)


def test_bounds_are_of_every_price() -> None:
    with pytest.raises(ArtefactError, match="bounds are of 4 prices"):
        Frontier(PRICES, PRICES / 9.0, PRICES, PRICES, Bounds(np.zeros(3), np.zeros(3), 4))
