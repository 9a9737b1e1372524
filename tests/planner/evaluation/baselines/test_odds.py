"""Log odds of several signals: what was put in is found, and hardness is kept apart where that is asked."""

from __future__ import annotations

import numpy as np
import pytest

from planner.evaluation.baselines.odds import Odds, agreement_of_wrong, fit_odds
from search.strategies.adaptive.terms import Term


def drawn(seed: int, problems: int = 800) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Samples whose ``mean`` tells of the sample, and whose ``length`` tells of the problem alone."""
    rng = np.random.default_rng(seed)
    hardness = rng.normal(0.0, 2.0, (problems, 1))
    mean = rng.normal(-0.5, 0.2, (problems, 16))
    chance = 1.0 / (1.0 + np.exp(-(4.0 * (mean + 0.5) - hardness)))
    length = 100.0 * hardness + rng.normal(0.0, 50.0, (problems, 16))
    right = (rng.random(chance.shape) < chance).astype(np.float64)
    return {"mean": mean, "length": length}, right, np.ones(right.shape, np.bool_)


def test_slopes_that_were_put_in_are_found() -> None:
    found = fit_odds(*drawn(0), within=True)
    assert found is not None
    slopes = {term.signal: term.slope for term in found.terms}
    assert slopes["mean"] == pytest.approx(4.0, rel=0.15)
    assert next(term.centre for term in found.terms if term.signal == "mean") == pytest.approx(-0.5, abs=0.02)


def test_hardness_stands_beside_the_signals_within_problems() -> None:
    signals, right, readable = drawn(1)
    inside, over = (fit_odds(signals, right, readable, within=within) for within in (True, False))
    assert inside is not None
    assert over is not None
    steep = [abs(next((t.slope for t in one.terms if t.signal == "length"), 0.0)) for one in (inside, over)]
    assert steep[0] < 0.3 * steep[1]


def test_over_all_problems_the_odds_are_calibrated() -> None:
    signals, right, readable = drawn(2)
    found = fit_odds(signals, right, readable, within=False)
    assert found is not None
    told = found.bias + sum(t.slope * (signals[t.signal] - t.centre) for t in found.terms)
    chance = 1.0 / (1.0 + np.exp(-told))
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = (chance >= low) & (chance < low + 0.25)
        assert right[inside].mean() == pytest.approx(chance[inside].mean(), abs=0.05)


def test_what_is_not_known_is_as_usual_and_unreadable_samples_do_not_count() -> None:
    signals, right, readable = drawn(3)
    holes = signals["mean"].copy()
    holes[::2, ::3] = np.nan
    found = fit_odds({"mean": holes}, right, readable, within=True)
    assert found is not None
    assert found.terms[0].slope > 2.0
    half = readable.copy()
    half[:, 8:] = False
    turned = right.copy()
    turned[:, 8:] = 1.0 - right[:, 8:]
    cut = {name: values[:, :8] for name, values in signals.items()}
    assert fit_odds(signals, turned, half, within=True) == fit_odds(
        cut, right[:, :8], readable[:, :8], within=True
    )


@pytest.mark.parametrize("within", [True, False])
def test_where_nothing_differs_nothing_is_learned(within: bool) -> None:
    signals, right, readable = drawn(4, problems=30)
    assert fit_odds(signals, np.ones_like(right), readable, within=within) is None
    assert fit_odds(signals, right, np.zeros_like(readable), within=within) is None
    assert fit_odds({"mean": np.full(right.shape, -1.0)}, right, readable, within=within) is None
    assert fit_odds({"mean": np.full(right.shape, np.nan)}, right, readable, within=within) is None


def test_wrong_answers_that_spread_agree_seldom() -> None:
    codes = np.array([[1, 2, 3, 4], [5, 5, 5, 0]])
    right = (codes == 0).astype(np.float64)
    assert agreement_of_wrong(codes[:1], right[:1]) == 1e-3
    assert agreement_of_wrong(codes[1:], right[1:]) == 1.0
    assert agreement_of_wrong(codes, right) == pytest.approx(6 / 18)
    assert agreement_of_wrong(codes[:, :1] * 0, np.ones((2, 1))) == 1.0


def test_slopes_are_scaled_alone() -> None:
    odds = Odds((Term("mean", 2.0, -0.5),), 1.0)
    assert odds.scaled(0.5) == Odds((Term("mean", 1.0, -0.5),), 1.0)
