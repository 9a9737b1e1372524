from __future__ import annotations

import numpy as np
import pytest

from planner.predicting.calibration import Calibration, Reliability
from search.errors import ArtefactError

RNG = np.random.default_rng(0)


def test_undoes_overconfidence() -> None:
    truth = RNG.uniform(0.05, 0.95, 4000)
    logit = np.log(truth / (1 - truth))
    told = 1 / (1 + np.exp(-2.0 * logit + 0.5))
    met = (RNG.random(4000) < truth).astype(float)
    fitted = Calibration.fit(told, met, np.ones(4000))
    assert np.abs(fitted.apply(told) - truth).mean() < 0.02
    assert (np.diff(fitted.apply(np.linspace(0, 1, 99))) >= 0).all()


@pytest.mark.parametrize("mean", [0.03, 0.27, 0.8])
@pytest.mark.parametrize("turned", [0.0, -0.5, -3.0])
def test_keeps_the_mean_where_predictions_say_nothing_or_the_opposite(mean: float, turned: float) -> None:
    # as left-out predictions of small logs do: what is left out moves the mean of the rest the other way
    predicted = np.clip(mean + 0.05 * RNG.standard_normal(400), 0.01, 0.99)
    met = np.clip(mean + turned * (predicted - mean), 0.0, 1.0)
    fitted = Calibration.fit(predicted, met, np.ones(400))
    assert float(fitted.apply(predicted).mean()) == pytest.approx(met.mean(), abs=0.02)
    assert (np.diff(fitted.apply(np.linspace(0, 1, 99))) >= 0).all()


@pytest.mark.parametrize("met", [0.0, 1.0])
def test_stays_finite_when_everything_is_alike(met: float) -> None:
    fitted = Calibration.fit(np.full(50, met), np.full(50, met), np.ones(50))
    assert abs(float(fitted.apply(np.array([met]))[0]) - met) < 0.05


def test_intervals_hold_the_mean_of_new_families() -> None:
    inside = 0
    for trial in range(60):
        rng = np.random.default_rng(trial)
        shift = rng.normal(0, 0.05, 30)
        family = np.repeat(np.arange(30), 40)
        predicted = rng.uniform(0.2, 0.8, 1200)
        met = (rng.random(1200) < predicted + shift[family]).astype(float)
        low, high = Reliability.fit(predicted, met, [str(f) for f in family], bins=4, seed=trial).interval(
            0.5
        )
        inside += low <= 0.5 <= high and high - low < 0.3
    assert inside == 60


def test_intervals_contain_the_prediction() -> None:
    fitted = Reliability((0.2, 0.6), (0.1, 0.6), (0.25, 0.9))
    for p in (0.0, 0.2, 0.4, 0.99):
        low, high = fitted.interval(p)
        assert 0 <= low <= p <= high <= 1


def test_refuses_nonsense() -> None:
    with pytest.raises(ArtefactError):
        Calibration(-1.0, 0.0)
    with pytest.raises(ArtefactError):
        Reliability((0.5, 0.2), (0.1, 0.1), (0.6, 0.6))
