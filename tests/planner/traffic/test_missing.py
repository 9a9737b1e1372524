"""Who gives feedback, and what happens where that depends on the answer."""

from __future__ import annotations

import numpy as np
import pytest

from planner.traffic.missing import bounds, chances, one_sided, selection


def test_the_chance_of_feedback_is_learned_from_what_was_seen() -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(20_000, 2))
    true = 1.0 / (1.0 + np.exp(1.0 - seen[:, 0]))
    known = rng.random(len(seen)) < true
    found = chances(seen, known, np.arange(len(seen)))
    assert np.abs(found - true).mean() < 0.02


@pytest.mark.parametrize("all_known", [True, False])
def test_all_or_nothing(all_known: bool) -> None:
    found = chances(np.zeros((10, 1)), np.full(10, all_known), np.arange(10))
    assert found.tolist() == [float(all_known)] * 10


def test_a_known_outcome_stands_for_fifty_at_most() -> None:
    seen = np.concatenate([np.full(5000, -40.0), np.full(5000, 40.0)])[:, None]
    known = np.repeat([False, True], 5000)
    known[0] = True
    assert chances(seen, known, np.arange(10_000)).min() == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("values", "side"),
    [
        ([0.0] * 40, "wrong"),
        ([1.0] * 40, "right"),
        ([0.0] * 39, None),
        ([0.0] * 40 + [1.0], None),
        ([], None),
    ],
)
def test_feedback_of_one_kind(values: list[float], side: str | None) -> None:
    assert one_sided(np.array(values)) == side


def test_only_wrong_answers_are_reported_and_what_that_does() -> None:
    """The bias, and that the bounds hold the truth: 700 of 1,000 are right, half of the others are told."""
    rng = np.random.default_rng(0)
    right = np.arange(1000) < 700
    known = ~right & (rng.random(1000) < 0.5)
    assert right[known].mean() == 0.0  # what one would take for the share right
    low, high = bounds(np.where(known, right, 0.0), known)
    assert low <= 0.7 <= high
    assert high == pytest.approx(1.0 - known.mean())


def test_users_are_compared_with_a_sample_of_equal_decisions() -> None:
    rng = np.random.default_rng(1)
    count = 6000
    hard = rng.random(count)
    right = rng.random(count) < 1.0 - 0.6 * hard
    sampled = rng.random(count) < 0.1
    honest = rng.random(count) < 0.1 + 0.4 * hard  # users ask for more on hard questions
    complaining = rng.random(count) < np.where(right, 0.05, 0.5)
    seen, values = hard[:, None], right.astype(float)
    fair = selection(seen, values, honest, sampled)
    assert fair is not None
    assert not fair.biased
    unfair = selection(seen, values, complaining, sampled)
    assert unfair is not None
    assert unfair.biased
    assert unfair.users < unfair.sampled - 0.2
    assert selection(seen, values, honest, np.zeros(count, bool)) is None
