"""ProcessBench's metric against cases computed by hand, its threshold against trying every one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import RecordError
from search.prm_benchmarks.processbench import (
    ProcessRecord,
    best_threshold,
    located_f1,
    named_step,
    score_subset,
)

RECORD = {"id": "gsm8k-12", "problem": "1+1?", "steps": ["1+1=3", "so 3"], "label": 0}


def test_the_first_step_below_the_threshold_is_named() -> None:
    assert named_step([0.9, 0.3, 0.1], 0.5) == 1
    assert named_step([0.5, 0.9], 0.5) == -1  # at the threshold is not below
    assert named_step([0.4], 0.5) == 0


def test_f1_by_hand() -> None:
    # erroneous: first wrong step 1, 2, 0, 1; named 1, 1, 0, -1 -> 2 of 4
    # correct: named -1, -1, 0 -> 2 of 3
    found = located_f1([1, 2, 0, 1, -1, -1, -1], [1, 1, 0, -1, -1, -1, 0])
    assert (found.erroneous, found.correct) == (0.5, pytest.approx(2 / 3))
    assert found.f1 == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3)) == pytest.approx(4 / 7)
    assert (found.erroneous_samples, found.correct_samples) == (4, 3)


def test_without_one_kind_it_is_undefined_and_without_hits_zero() -> None:
    assert math.isnan(located_f1([1, 0], [1, 0]).f1)
    assert math.isnan(located_f1([-1], [-1]).f1)
    assert located_f1([1, -1], [0, 0]).f1 == 0.0


def test_a_subset_by_hand() -> None:
    labels = [1, -1, -1]
    rewards = [(0.9, 0.2, 0.8), (0.7, 0.6), (0.9, 0.4)]
    found = score_subset(labels, rewards, 0.5)
    assert (found.erroneous, found.correct) == (1.0, 0.5)
    assert found.f1 == pytest.approx(2 / 3)
    assert score_subset(labels, rewards, 0.3).f1 == 1.0


def test_the_threshold_by_hand() -> None:
    # right for t in (0.2, 0.9], t <= 0.6, t <= 0.4: all three between 0.2 and 0.4, which are neighbours
    assert best_threshold([1, -1, -1], [(0.9, 0.2, 0.8), (0.7, 0.6), (0.9, 0.4)]) == pytest.approx(0.3)


solutions = st.lists(
    st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5, 0.75, 1.0]), min_size=1, max_size=5).flatmap(
        lambda steps: st.tuples(st.just(tuple(steps)), st.integers(-1, len(steps) - 1))
    ),
    min_size=2,
    max_size=8,
).filter(lambda found: {label < 0 for _, label in found} == {True, False})


@settings(deadline=None)
@given(solutions)
def test_no_threshold_is_better_than_the_best(found: list[tuple[tuple[float, ...], int]]) -> None:
    labels, rewards = [label for _, label in found], [steps for steps, _ in found]
    best = score_subset(labels, rewards, best_threshold(labels, rewards)).f1
    tried = [place / 40 for place in range(45)]
    assert best == pytest.approx(max(score_subset(labels, rewards, threshold).f1 for threshold in tried))


def test_a_threshold_takes_both_kinds() -> None:
    with pytest.raises(ValueError, match=r"takes erroneous and correct samples, got labels \[-1\]"):
        best_threshold([-1], [(0.5,)])


def test_records() -> None:
    read = ProcessRecord.of(RECORD, "f line 1", "f")
    assert (read.subset, read.record_id, read.label, read.steps) == (
        "gsm8k",
        "gsm8k-12",
        0,
        ("1+1=3", "so 3"),
    )
    assert ProcessRecord.of({**RECORD, "id": "x"}, "f line 1", "omnimath").subset == "omnimath"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 2}, "f line 1: label must be -1 or one of 2 steps, got 2"),
        ({"label": -2}, "label must be -1 or one of 2 steps, got -2"),
        ({"label": "1"}, "label is a whole number, got '1'"),
        ({"steps": []}, r"steps must be a list of texts that is not empty, got \[\]"),
        ({"steps": [1]}, r"steps must be a list of texts that is not empty, got \[1\]"),
        ({"problem": None}, "problem is a text, got None"),
    ],
)
def test_records_that_are_none(change: dict[str, object], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        ProcessRecord.of({**RECORD, **change}, "f line 1", "f")
