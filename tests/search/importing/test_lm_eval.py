"""Samples of lm-evaluation-harness: generated answers, repeats, filters, multiple choice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.errors import RecordError
from search.importing.report import Report
from search.log.store import SearchLog

Import = Callable[..., tuple[SearchLog, Report]]


def generated(number: int, *texts: str, name: str = "strict-match", **changed: Any) -> dict[str, Any]:
    """A line as 0.4 writes it: every leaf of resps and filtered_resps is a text, and so is the target."""
    return {
        "doc_id": number,
        "doc": {"question": f"What is the letter {'abcdefgh'[number]} worth?", "answer": "..."},
        "target": f"We count.\n#### {number}",
        "arguments": {"gen_args_0": {"arg_0": "Question: ... Answer:", "arg_1": {"until": ["\n\n"]}}},
        "resps": [list(texts)],
        "filtered_resps": [texts[0].rpartition(" ")[2]],
        "filter": name,
        "metrics": ["exact_match"],
        "doc_hash": f"hash-{number}",
        "exact_match": float(texts[0].endswith(f" {number}")),
        **changed,
    }


def option(number: int, likeliest: int, **changed: Any) -> dict[str, Any]:
    options = ("red", "green", "blue")
    return {
        "doc_id": number,
        "doc": {"question": f"Which colour has the {'abcdefgh'[number]}?"},
        "target": "2",
        "arguments": {
            f"gen_args_{place}": {"arg_0": "Q: ... A:", "arg_1": f" {text}"}
            for place, text in enumerate(options)
        },
        "resps": [[["-0.5" if place == likeliest else "-2.5", "False"]] for place in range(3)],
        "filtered_resps": [["-0.5" if place == likeliest else "-2.5", "False"] for place in range(3)],
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        "acc": float(likeliest == 2),
        "acc_norm": 1.0,
        **changed,
    }


@pytest.fixture
def samples(tmp_path: Path) -> Callable[..., Path]:
    def write(*records: dict[str, Any], folder: str = "maker__Qwen2.5-0.5B") -> Path:
        path = tmp_path / folder / "samples_gsm8k_2026-01-02T03-04-05.123456.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    return write


def test_generated_answers_and_their_metric(samples: Callable[..., Path], run_import: Import) -> None:
    file = samples(generated(1, "So #### 1"), generated(2, "So #### 3"))
    log, report = run_import("lm-eval", file)
    rows = log.read("samples")
    assert rows.select("policy", "answer", "correct").rows() == [
        ("Qwen2.5-0.5B", "1", True),
        ("Qwen2.5-0.5B", "3", False),
    ]
    problems = log.read("problems")
    assert problems["problem_id"].to_list() == ["gsm8k/hash-1", "gsm8k/hash-2"]
    assert problems["answer"].to_list() == ["1", "2"]
    assert problems["question"][0] == "What is the letter b worth?"
    assert log.manifest.policies["Qwen2.5-0.5B"].parameters == 500_000_000
    assert not report.left_out


def test_one_filter_is_taken(samples: Callable[..., Path], run_import: Import) -> None:
    both = [generated(1, "So #### 1"), generated(1, "So #### 1", name="flexible-extract", exact_match=0.0)]
    log, report = run_import("lm-eval", samples(*both))
    assert log.read("samples")["correct"].to_list() == [True]
    assert any("strict-match is taken, flexible-extract is not" in note for note in report.notes)
    log, _ = run_import("lm-eval", samples(*both), options={"filter": "flexible-extract"})
    assert log.read("samples")["correct"].to_list() == [False]


def test_repeats_are_graded_each(samples: Callable[..., Path], run_import: Import) -> None:
    record = generated(1, "\\boxed{1}", "\\boxed{4}", "\\boxed{1}", filtered_resps=["1"])
    log, report = run_import("lm-eval", samples(record), options={"domain": "math", "temperature": 0.7})
    assert log.read("samples")["correct"].to_list() == [True, False, True]
    assert any("the domain grades each" in note for note in report.notes)


def test_multiple_choice_takes_the_likeliest(samples: Callable[..., Path], run_import: Import) -> None:
    log, _ = run_import("lm-eval", samples(option(0, 2), option(1, 0)))
    rows = log.read("samples")
    assert dict(rows.select("answer", "correct").iter_rows()) == {"blue": True, "red": False}
    assert set(log.read("problems")["answer"]) == {"blue"}
    log, _ = run_import("lm-eval", samples(option(1, 0)), options={"metric": "acc_norm"})
    assert log.read("samples")["correct"].to_list() == [True]


def test_a_document_without_a_question_gives_its_prompt(
    samples: Callable[..., Path], run_import: Import
) -> None:
    log, report = run_import("lm-eval", samples(generated(1, "So #### 1", doc={"x": 1})))
    assert log.read("problems")["question"].item() == "Question: ... Answer:"
    assert any("the prompt stands for it" in note for note in report.notes)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"doc_id": 1}, "line 1: column 'doc' is missing"),
        (generated(1, "x", resps=[]), "resps hold one list of texts"),
        (generated(1, "x", arguments={}), "a record has requests, got none"),
        (option(1, 0, resps=[[["high", "False"]]]), "an option has a likelihood, got 'high'"),
    ],
)
def test_broken_records_are_named(
    samples: Callable[..., Path], run_import: Import, record: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        run_import("lm-eval", samples(record))


def test_what_is_no_problem_is_left_out(samples: Callable[..., Path], run_import: Import) -> None:
    records = [generated(1, "So #### 1"), generated(2, "x", target=""), generated(3, "x", exact_match="bad")]
    _, report = run_import("lm-eval", samples(*records))
    assert list(report.left_out) == [
        "a problem needs a reference answer",
        "a verdict is yes or no, or a score from 0 to 1, got 'bad'",
    ]
    with pytest.raises(RecordError, match="a record has the metric that judges it, got none named 'f2'"):
        run_import("lm-eval", samples(records[0]), options={"metric": "f2"})
