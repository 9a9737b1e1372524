"""GSM8K's published solutions: four systems that answer once, charged by parameters and counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from search.errors import RecordError
from search.importing.report import Report
from search.log.store import SearchLog

Write = Callable[..., Path]
Import = Callable[..., tuple[SearchLog, Report]]

COLUMNS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


def record(number: int = 1, right: tuple[int, ...] = (0, 1, 0, 1), **changed: Any) -> dict[str, Any]:
    systems = {
        name: {
            "is_correct": bool(good),
            "solution": f"He has {number} + 1 = <<{number}+1={number + 1}>>\nA: {number + 2 - good}",
        }
        for name, good in zip(COLUMNS, right, strict=True)
    }
    return {
        "question": f"Ann has {number} eggs and gets {'x' * number}. How many?",
        "ground_truth": f"{number}+1\nA: {number + 1}",
        **systems,
        **changed,
    }


def test_each_system_is_a_policy_that_answers_once(write_lines: Write, run_import: Import) -> None:
    log, report = run_import("gsm8k-solutions", write_lines("g.jsonl", [record(1), record(2)]))
    samples = log.read("samples")
    assert report.taken == {"problems": 2, "samples": 8}
    assert samples.filter(policy="gpt3-175b-verified")["correct"].to_list() == [True, True]
    assert samples.filter(policy="gpt3-6b")["correct"].to_list() == [False, False]
    assert set(samples["draw"]) == {0}
    assert dict(samples.select("policy", "sampling").unique().iter_rows()) == {
        "gpt3-6b": "temperature=0, top_p=1, top_k=0",
        "gpt3-6b-verified": "temperature=0.7, top_p=1, top_k=0",
        "gpt3-175b": "temperature=0, top_p=1, top_k=0",
        "gpt3-175b-verified": "temperature=0.7, top_p=1, top_k=0",
    }
    assert not any("verdicts are kept" in note for note in report.notes)


def test_a_verified_answer_is_charged_all_its_samples(write_lines: Write, run_import: Import) -> None:
    log, _ = run_import("gsm8k-solutions", write_lines("g.jsonl", [record(1)]), options={"samples": 10})
    costs = {
        row["policy"]: (row["prompt_tokens"], row["tokens"])
        for row in log.read("samples").iter_rows(named=True)
    }
    # a solution of 29 characters, a question of 34: by threes
    assert costs["gpt3-6b-verified"] == (2 * 12, 2 * 10 * 10)
    assert costs["gpt3-6b"][0] == 12
    flops = dict(log.read("outcomes").select("policy", "flops").iter_rows())
    assert flops["gpt3-175b-verified"] / flops["gpt3-6b-verified"] == pytest.approx(175 / 6)


def test_a_verdict_of_the_file_is_kept_and_a_contradiction_told(
    write_lines: Write, run_import: Import
) -> None:
    odd = record(1)
    odd["6b_finetuning"]["is_correct"] = True
    odd["175b_verification"]["solution"] = "never says"
    log, report = run_import("gsm8k-solutions", write_lines("g.jsonl", [odd]))
    assert log.read("samples").filter(policy="gpt3-6b")["correct"].item() is True
    assert any("would grade 1 answers otherwise" in note for note in report.notes)
    assert any("no answer can be read from 1 samples, 1 of them right by" in note for note in report.notes)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"ground_truth": "nobody knows"}, "a problem needs a reference answer"),
        ({"question": ""}, "a problem needs a question"),
    ],
)
def test_what_cannot_be_used_is_left_out(
    write_lines: Write, run_import: Import, changed: dict[str, Any], why: str
) -> None:
    _, report = run_import("gsm8k-solutions", write_lines("g.jsonl", [record(1), record(2, **changed)]))
    assert list(report.left_out) == [why]


@pytest.mark.parametrize("column", ["question", "ground_truth", *COLUMNS])
def test_a_missing_column_is_named(write_lines: Write, run_import: Import, column: str) -> None:
    lacking = record()
    del lacking[column]
    with pytest.raises(RecordError, match=f"g.jsonl line 1: column '{column}' is missing"):
        run_import("gsm8k-solutions", write_lines("g.jsonl", [lacking]))


def test_a_system_without_verdict_is_refused(write_lines: Write, run_import: Import) -> None:
    broken = record()
    broken["6b_finetuning"]["is_correct"] = "yes"
    with pytest.raises(RecordError, match="6b_finetuning: is_correct is true or false, got 'yes'"):
        run_import("gsm8k-solutions", write_lines("g.jsonl", [broken]))


def test_the_published_file(data: Path, run_import: Import) -> None:
    log, report = run_import("gsm8k-solutions", data / "problem_sets" / "gsm8k_example_model_solutions.jsonl")
    assert report.taken == {"problems": 1319, "samples": 4 * 1319}
    assert not report.left_out
    # the domain agrees with every verdict of the file
    assert not any("verdicts are kept" in note for note in report.notes)
    right = dict(log.read("samples").group_by("policy").agg(pl.col("correct").sum()).iter_rows())
    assert right == {"gpt3-6b": 286, "gpt3-6b-verified": 515, "gpt3-175b": 458, "gpt3-175b-verified": 742}
