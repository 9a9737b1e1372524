"""search-and-learn's JSON lines: pools from best-of-n files, runs from tree searches."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.errors import RecordError
from search.importing.report import Report
from search.log.store import SearchLog
from search.plan import Plan

Write = Callable[..., Path]
Import = Callable[..., tuple[SearchLog, Report]]


def record(number: int = 1, n: int = 4, **changed: Any) -> dict[str, Any]:
    """A problem whose even completions are right and best scored."""
    texts = [f"Add.\n\nSo \\boxed{{{number + i % 2}}}" for i in range(n)]
    return {
        "problem": f"What is {number}+0 after step {'i' * number}?",
        "answer": str(number),
        "completions": texts,
        "scores": [[0.5, 0.9 - 0.4 * (i % 2)] for i in range(n)],
        "completion_tokens": [10 + i for i in range(n)],
        "pred": texts[0],
        **changed,
    }


def test_samples_become_a_pool(write_lines: Write, run_import: Import) -> None:
    file = write_lines("bon.jsonl", [record(1), record(2)])
    options = {"policy": "llama-1b", "parameters": 10**9, "prm": "rlhflow-8b", "temperature": 0.8}
    log, report = run_import("search-and-learn", file, options=options)
    samples, scores = log.read("samples"), log.read("scores")
    assert report.taken == {"problems": 2, "samples": 8, "scores": 8}
    assert not report.left_out
    assert "says in 2 of 2 records" in " ".join(report.notes)
    assert samples["correct"].to_list() == [True, False, True, False] * 2
    assert samples["draw"].to_list() == [0, 1, 2, 3] * 2
    assert samples["tokens"].to_list() == [10, 11, 12, 13] * 2
    assert samples["step_tokens"].list.sum().to_list() == samples["tokens"].to_list()
    assert samples["step_tokens"].list.len().to_list() == [2] * 8
    assert set(samples["sampling"]) == {"temperature=0.8, top_p=1, top_k=0"}
    assert scores["step_rewards"].to_list()[1] == pytest.approx([0.5, 0.5])
    assert scores["prm_tokens"].to_list() == [12, 13, 14, 15] * 2
    assert (list(log.manifest.policies), list(log.manifest.prms)) == (["llama-1b"], ["rlhflow-8b"])
    best = log.read("outcomes").filter(plan="best_of_n(n=2, score=last)")
    assert best["accuracy"].to_list() == pytest.approx([5 / 6] * 2)


def test_another_file_draws_on(write_lines: Write, run_import: Import) -> None:
    files = [write_lines(f"{i}.jsonl.gz", [record(1, n=3)]) for i in range(2)]
    log, _ = run_import("search-and-learn", *files)
    assert log.read("samples")["draw"].to_list() == list(range(6))
    assert log.rows("problems") == 1


def test_files_of_a_tree_search_are_its_runs(write_lines: Write, run_import: Import) -> None:
    dvts = [record(1, n=2, completion_tokens=-1), record(1, n=2, pred="no box", completion_tokens=-1)]
    files = [write_lines(f"dvts{i}.jsonl", [one]) for i, one in enumerate(dvts)]
    log, report = run_import("search-and-learn", *files, options={"plan": "dvts(n=4, width=2)"})
    runs = log.read("runs")
    assert runs["run"].to_list() == [0, 1]
    assert set(runs["plan"]) == {str(Plan.parse("dvts(n=4, width=2)"))}
    assert runs["answer"].to_list() == ["1", "1"]
    assert runs["correct"].to_list() == [True, True]
    assert runs["candidates"].list.len().to_list() == [2, 2]
    # two beams of 18 / 3 tokens and two steps are left of four, beside a prompt of ceil(25 / 3)
    assert runs["policy_tokens"].to_list() == [9 + 4 * 6] * 2
    assert runs["prm_tokens"].to_list() == [9 + 4 * 6 + 4 * 2] * 2
    assert runs["flops"][0] == 2e9 * 33 + 1.6e10 * 41
    assert "in 1 of 2 records" in " ".join(report.notes)
    assert any("no samples" in note for note in report.notes)


def test_samples_and_runs_come_together(write_lines: Write, run_import: Import) -> None:
    names = ("best_of_n_completions.jsonl", "beam_search_completions.jsonl", "beam_search_again.jsonl")
    files = [write_lines(name, [record(1)]) for name in names]
    log, _ = run_import("search-and-learn", *files, options={"plan": "beam_search(n=4)"})
    assert (log.rows("samples"), log.rows("runs"), log.rows("problems")) == (4, 2, 1)
    plans = log.read("outcomes").select("plan", "draws").filter(draws=2)["plan"].to_list()
    assert plans == [str(Plan.parse("beam_search(n=4)"))]


def test_subject_and_level_are_the_family(write_lines: Write, run_import: Import) -> None:
    known = record(1, subject="Algebra", level=3, unique_id="test/algebra/1.json")
    log, _ = run_import("search-and-learn", write_lines("a.jsonl", [known, record(2)]))
    families = dict(log.read("problems").select("problem_id", "family").iter_rows())
    assert families.pop("test/algebra/1.json") == "Algebra, 3"
    assert next(iter(families.values())).startswith("near-")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"answer": None}, "a problem needs a reference answer"),
        ({"answer": " "}, "a problem needs a reference answer"),
        ({"problem": " "}, "a problem needs a question"),
        ({"completions": [], "scores": []}, "a record needs completions"),
        ({"scores": [[0.1], [math.nan], [0.2], [0.3]]}, "a reward is finite"),
        (
            {"scores": [[0.1], [7.0], [0.2], [0.3]]},
            "a reward lies in [0, 1] unless rewards are said to be logits",
        ),
        ({"scores": [[0.1], ["x"], [0.2], [0.3]]}, "a reward is a number"),
    ],
)
def test_what_cannot_be_used_is_left_out_and_told(
    write_lines: Write, run_import: Import, changed: dict[str, Any], why: str
) -> None:
    file = write_lines("a.jsonl", [record(1), record(2, **changed)])
    log, report = run_import("search-and-learn", file)
    assert log.rows("problems") == 1
    assert {reason: (left.count, left.first[:14]) for reason, left in report.left_out.items()} == {
        why: (1, "a.jsonl line 2")
    }


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"problem": 5}, "a.jsonl line 1: problem is a text, got 5"),
        ({"completions": "x"}, "a.jsonl line 1: completions is a list, got 'x'"),
        ({"completions": [1, 2, 3, 4]}, "a.jsonl line 1: completion 0 is a text, got int"),
        ({"scores": [[0.1]]}, "every completion has its scores, got 4 completions and 1 scores"),
    ],
)
def test_a_file_of_another_format_is_refused(
    write_lines: Write, run_import: Import, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(RecordError) as caught:
        run_import("search-and-learn", write_lines("a.jsonl", [record(1, **changed)]))
    assert said in str(caught.value)


@pytest.mark.parametrize("column", ["problem", "answer", "completions", "scores"])
def test_a_missing_column_is_named(write_lines: Write, run_import: Import, column: str) -> None:
    lacking = record(1)
    del lacking[column]
    with pytest.raises(RecordError, match=f"a.jsonl line 1: column '{column}' is missing, got"):
        run_import("search-and-learn", write_lines("a.jsonl", [lacking]))


def test_logits_become_rewards(write_lines: Write, run_import: Import) -> None:
    file = write_lines("a.jsonl", [record(1, n=2, scores=[[0.0], [3.0]])])
    log, _ = run_import("search-and-learn", file, options={"logits": True})
    assert log.read("scores")["step_rewards"].explode().to_list() == pytest.approx([0.5, 0.9525741])
