"""Learning curves: sizes ascend, each is cross-validated once, and an empty point says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from planner.evaluation.folds.cross_validation import CrossValidation
from search.errors import LogError, TooLittleDataError
from training.learning_curve import SIZES, checked_sizes, learning_curve

Met = Callable[..., CrossValidation]


def test_one_point_per_size_in_ascending_order(met: Met) -> None:
    asked: list[int] = []

    def validate(size: int) -> CrossValidation:
        asked.append(size)
        return met(0.5 + size / 1000)

    curve = learning_curve(validate, (100, 60), room=100, bootstrap=10)
    assert asked == [60, 100]
    assert [one.problems for one in curve] == [60, 100]
    bodies = [one.to_json() for one in curve]
    assert [body["above_rule"]["value"] for body in bodies] == pytest.approx([0.06, 0.1])
    assert [body["above_best_rule"]["value"] for body in bodies] == pytest.approx([0.06, 0.1])
    assert {body["rule"] for body in bodies} == {"mixture"}
    assert {body["why"] for body in bodies} == {""}


def test_an_empty_point_says_why(met: Met) -> None:
    def validate(size: int) -> CrossValidation:
        if size == 10:
            raise TooLittleDataError("a fold leaves 10 of 10 problems to learn from: too few")
        return met(0.6, spent=0.1)

    few, unspent, large = learning_curve(validate, (10, 20, 30), room=29, bootstrap=10)
    assert few.why == "a fold leaves 10 of 10 problems to learn from: too few"
    assert unspent.why == "no budget can be spent"
    assert large.why == "folds leave 29 problems to learn from"
    for one in (few, unspent, large):
        assert one.to_json()["above_rule"] is None
        assert one.to_json()["above_best_rule"] is None


def test_sizes_that_make_no_sense() -> None:
    assert checked_sizes(SIZES) == (60, 100, 300, 1000)
    with pytest.raises(LogError, match="at least 1 problem, got 0"):
        checked_sizes((60, 0))
    with pytest.raises(LogError, match="are given once, got 60, 60"):
        checked_sizes((60, 60))
