"""The measures of PRMs, against cases computed by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.prm_measures import ScoredSample, auroc, measure_prm, process_f1

_floats = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(_floats, _floats)
def test_auroc_equals_counting_pairs(positive: list[float], negative: list[float]) -> None:
    pairs = [(a > b) + 0.5 * (a == b) for a in positive for b in negative]
    assert auroc(positive, negative) == pytest.approx(sum(pairs) / len(pairs))


def test_auroc_without_one_kind_is_nan() -> None:
    assert math.isnan(auroc([], [0.1]))


def _sample(problem: str, rewards: tuple[float, ...], exact: tuple[bool, ...]) -> ScoredSample:
    return ScoredSample(problem, "d", rewards, exact, exact[-1])


def test_process_f1_by_hand() -> None:
    samples = [
        _sample("a", (0.9, 0.2, 0.1), (True, False, False)),  # found
        _sample("a", (0.9, 0.8, 0.1), (True, False, False)),  # found too late
        _sample("b", (0.9, 0.9), (True, True)),  # passed
        _sample("b", (0.4, 0.9), (True, True)),  # flagged for nothing
        _sample("b", (0.9, 0.6), (True, True)),  # passed
    ]
    f1, wrong, right = process_f1(samples, 0.5)
    assert (wrong, right) == (0.5, pytest.approx(2 / 3))
    assert f1 == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))


def test_a_prm_that_only_knows_hard_problems_is_seen_through() -> None:
    samples = []
    for index in range(8):
        level = 0.9 if index % 2 else 0.1  # easy or hard problem, the same reward for all its samples
        rights = (True, True, True, False) if index % 2 else (True, False, False, False)
        samples += [_sample(f"p{index}", (level,), (right,)) for right in rights]
    measures = measure_prm(samples)
    assert measures.step_auroc > 0.7
    assert measures.within["last"] == 0.5
    assert measures.problems == 8


def test_too_few_problems_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 problems, got 1"):
        measure_prm([_sample("a", (0.5,), (True,))])
