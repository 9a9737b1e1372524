"""PRMScore against cases computed by hand."""

from __future__ import annotations

import math

import pytest

from search.errors import RecordError
from search.prm_benchmarks.prmbench import PrmBenchRecord, score_categories

RECORD = {
    "idx": 7,
    "original_question": "1+1?",
    "modified_question": "1+1 = ?",
    "modified_process": ["a", "b", "c"],
    "error_steps": [2, 3],
    "classification": "circular",
}


def record(category: str, steps: int, *wrong: int) -> PrmBenchRecord:
    return PrmBenchRecord("x", category, "1+1?", tuple("abcdefgh"[:steps]), frozenset(wrong))


def test_prm_score_by_hand() -> None:
    # right steps 0 and 3, wrong 1 and 2; called right: 0, 1, 3
    # right ones: TP 2, FP 1, FN 0 -> F1 4/5; wrong ones: TP 1, FP 0, FN 1 -> F1 2/3
    found = score_categories([record("deception", 4, 1, 2)], [(0.9, 0.8, 0.1, 0.5)])
    score = found.categories["deception"]
    assert (score.f1, score.negative_f1) == (pytest.approx(4 / 5), pytest.approx(2 / 3))
    assert score.prm_score == pytest.approx((4 / 5 + 2 / 3) / 2) == pytest.approx(11 / 15)
    assert (score.right_steps, score.wrong_steps) == (2, 2)


def test_categories_are_apart_and_all_steps_together() -> None:
    records = [record("circular", 2, 1), record("circular", 1), record("deception", 2, 0)]
    rewards = [(0.9, 0.1), (0.9,), (0.9, 0.9)]
    found = score_categories(records, rewards)
    assert found.categories["circular"].prm_score == 1.0
    # right step called right, wrong step called right: F1 2/3, negative 0
    assert found.categories["deception"].prm_score == pytest.approx(1 / 3)
    assert found.mean == pytest.approx((1 + 1 / 3) / 2)
    # together: right TP 3 FP 1 -> 6/7; wrong TP 1 FN 1 -> 2/3
    assert found.overall.prm_score == pytest.approx((6 / 7 + 2 / 3) / 2)


def test_a_category_without_wrong_steps_has_f1_alone() -> None:
    score = score_categories([record("multi_solutions", 3)], [(0.9, 0.9, 0.1)]).categories["multi_solutions"]
    assert score.prm_score == score.f1 == pytest.approx(4 / 5)
    assert math.isnan(score.negative_f1)


def test_the_threshold_decides() -> None:
    records, rewards = [record("circular", 2, 1)], [(0.4, 0.3)]
    assert score_categories(records, rewards).overall.f1 == 0.0
    assert score_categories(records, rewards, 0.35).overall.prm_score == 1.0
    with pytest.raises(ValueError, match="at least one record, got none"):
        score_categories([], [])


def test_records() -> None:
    read = PrmBenchRecord.of(RECORD, "f line 1")
    assert (read.record_id, read.problem, read.wrong) == ("circular/7", "1+1 = ?", {1, 2})
    plain = {"question": "1?", "steps": ["a"], "error_steps": [], "classification": "multi_solutions"}
    assert PrmBenchRecord.of(plain, "f line 2").steps == ("a",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"error_steps": [0]}, "f line 1: error_steps must lie in 1 to 3, got 0"),
        ({"error_steps": [4]}, "error_steps must lie in 1 to 3, got 4"),
        ({"error_steps": ["1"]}, "error_steps must lie in 1 to 3, got '1'"),
        ({"modified_process": []}, "steps must be a list of texts that is not empty"),
        ({"classification": 3}, "classification is a text, got 3"),
    ],
)
def test_records_that_are_none(change: dict[str, object], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        PrmBenchRecord.of({**RECORD, **change}, "f line 1")
