"""Qwen2.5-Math's samples with reward-model scores."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.errors import RecordError
from search.importing.report import Report
from search.log.store import SearchLog

Write = Callable[..., Path]
Import = Callable[..., tuple[SearchLog, Report]]


def record(number: int = 1, **changed: Any) -> dict[str, Any]:
    return {
        "question": f"What is ${number}$ of {'y' * number}?",
        "gt": f"\\frac{{{number}}}{{7}}",
        "level": "Level 2",
        "response": ["One.\n\nTwo.", "Three."],
        "pred": [f"{number}/7", "1.5"],
        "score": [True, False],
        "pred_score": [[2.0], [-2.0]],
        **changed,
    }


def test_samples_keep_answers_verdicts_and_rewards(write_lines: Write, run_import: Import) -> None:
    log, report = run_import("qwen-math-rm", write_lines("q.jsonl", [record(1), record(2)]))
    samples, scores = log.read("samples"), log.read("scores")
    assert report.taken == {"problems": 2, "samples": 4, "scores": 4}
    assert sorted(samples["answer"]) == ["1/7", "2/7", "3/2", "3/2"]
    assert samples["correct"].to_list() == [True, False] * 2
    assert scores["step_rewards"].explode().to_list()[:2] == pytest.approx([0.8807971, 0.1192029])
    assert samples["step_tokens"].list.len().to_list() == [2, 1] * 2
    assert json.loads(log.read("problems")["meta"][0]) == {"level": "Level 2"}
    plans = set(log.read("outcomes")["plan"])
    assert plans == {"majority(n=1)"}


def test_an_orm_needs_one_score_only(write_lines: Write, run_import: Import) -> None:
    wide = record(
        1,
        response=["x"] * 8,
        pred=["1/7"] * 8,
        score=[True] * 8,
        pred_score=[float(i) for i in range(8)],
    )
    log, _ = run_import("qwen-math-rm", write_lines("q.jsonl", [wide]))
    assert set(log.read("outcomes")["plan"]) == {
        "majority(n=1)",
        "majority(n=4)",
        "best_of_n(n=4, score=last)",
        "weighted_vote(n=4, score=last)",
    }


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"gt": None}, "a problem needs a reference answer"),
        ({"gt": "$"}, "a problem needs a reference answer"),
        ({"question": "\n"}, "a problem needs a question"),
        ({"pred_score": [[math.nan], [1.0]]}, "a reward is finite"),
        ({"pred_score": [["high"], [1.0]]}, "a reward is a number"),
        ({"response": [], "pred": [], "score": [], "pred_score": []}, "a record needs solutions"),
    ],
)
def test_what_cannot_be_used_is_left_out(
    write_lines: Write, run_import: Import, changed: dict[str, Any], why: str
) -> None:
    log, report = run_import("qwen-math-rm", write_lines("q.jsonl", [record(1), record(2, **changed)]))
    assert list(report.left_out) == [why]
    assert report.left_out[why].first.startswith("q.jsonl line 2")
    assert log.rows("samples") == 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pred": ["1"]}, "got 2 of response, 1 of pred, 2 of score, 2 of pred_score"),
        ({"score": [1, 0]}, "solution 0: a solution and its answer are texts, its verdict true or false"),
        ({"response": None}, "q.jsonl line 1: response is a list, got None"),
    ],
)
def test_a_broken_record_is_refused(
    write_lines: Write, run_import: Import, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(RecordError) as caught:
        run_import("qwen-math-rm", write_lines("q.jsonl", [record(1, **changed)]))
    assert said in str(caught.value)


def test_verdicts_that_the_domain_would_not_give_are_told(write_lines: Write, run_import: Import) -> None:
    _, report = run_import("qwen-math-rm", write_lines("q.jsonl", [record(1, score=[False, False])]))
    assert any("would grade 1 otherwise" in note for note in report.notes)


def test_the_published_file(data: Path, run_import: Import) -> None:
    log, report = run_import("qwen-math-rm", data / "qwen_math_rm8" / "math_cot_100.jsonl")
    assert report.taken == {"problems": 100, "samples": 800, "scores": 800}
    assert not report.left_out
    # 10{,}000 is 10000, whatever the file says
    told = [note for note in report.notes if "would grade" in note]
    assert len(told) == 1
    assert told[0].endswith("the domain math would grade 1 otherwise")
    assert log.read("samples")["correct"].sum() == 728
