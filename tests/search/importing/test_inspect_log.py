"""Logs of Inspect: zipped and plain, epochs, scores of every kind, attachments, options."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.errors import RecordError
from search.importing.report import Report
from search.log.store import SearchLog

Import = Callable[..., tuple[SearchLog, Report]]


def header(**changed: Any) -> dict[str, Any]:
    spec = {
        "model": "openai/gpt-4o",
        "task": "sums",
        "model_generate_config": {"temperature": 0.5},
        **changed,
    }
    return {"version": 2, "status": "success", "eval": spec}


def sample(number: int, value: Any, epoch: int = 1, **changed: Any) -> dict[str, Any]:
    return {
        "id": number,
        "epoch": epoch,
        "input": f"What is the letter {'abcdefgh'[number]} worth?",
        "target": str(number),
        "output": {
            "model": "gpt-4o-2026",
            "choices": [
                {
                    "message": {
                        "role": "assistant",
                        "content": [{"type": "text", "text": f"It is {number}"}],
                    },
                    "stop_reason": "stop",
                }
            ],
            "usage": {"input_tokens": 12, "input_tokens_cache_read": 3, "output_tokens": 7},
        },
        "scores": {"match": {"value": value, "answer": str(number)}, "other": {"value": 0.5}},
        **changed,
    }


def zipped(path: Path, head: dict[str, Any] | None, *samples: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("_journal/start.json", json.dumps(header()))
        for one in samples:
            file.writestr(f"samples/{one['id']}_epoch_{one['epoch']}.json", json.dumps(one))
        if head is not None:
            file.writestr("header.json", json.dumps(head))
    return path


def plain(path: Path, *samples: dict[str, Any]) -> Path:
    path.write_text(json.dumps({**header(), "samples": list(samples)}))
    return path


@pytest.mark.parametrize("form", ["eval", "json"])
def test_epochs_are_samples(tmp_path: Path, run_import: Import, form: str) -> None:
    samples = [sample(1, "C"), sample(1, "I", epoch=2), sample(2, 1), sample(2, 0.25, epoch=2)]
    path = tmp_path / f"log.{form}"
    made = zipped(path, header(), *samples) if form == "eval" else plain(path, *samples)
    log, report = run_import("inspect", made)
    rows = log.read("samples")
    assert rows["problem_id"].to_list() == ["sums/1"] * 2 + ["sums/2"] * 2
    assert rows["correct"].to_list() == [True, False, True, False]
    assert set(rows["policy"]) == {"gpt-4o"}
    assert set(rows["sampling"]) == {"temperature=0.5, top_p=1, top_k=0"}
    assert (rows["prompt_tokens"][0], rows["tokens"][0], rows["text"][0]) == (15, 7, "It is 1")
    outcomes = log.read("outcomes").filter(problem_id="sums/2")
    assert outcomes["accuracy"].to_list() == [0.625]
    assert any("gpt-4o: 100B parameters are assumed" in note for note in report.notes)


def test_a_log_that_still_runs_has_its_start(tmp_path: Path, run_import: Import) -> None:
    log, _ = run_import("inspect", zipped(tmp_path / "log.eval", None, sample(1, "C")))
    assert log.rows("samples") == 1


def test_letters_of_options_and_attachments(tmp_path: Path, run_import: Import) -> None:
    odd = sample(
        1,
        "C",
        input=[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "attachment://abc"}],
        choices=["red", "blue"],
        target="B",
        scores={"choice": {"value": "C", "answer": "B"}},
        attachments={"abc": "Which colour?"},
    )
    log, _ = run_import("inspect", plain(tmp_path / "l.json", odd))
    problem = log.read("problems").row(0, named=True)
    assert (problem["question"], problem["answer"]) == ("Which colour?", "blue")
    assert json.loads(problem["meta"]) == {"task": "sums", "options": ["red", "blue"]}
    assert log.read("samples")["answer"].item() == "blue"


def test_scores_of_every_kind(tmp_path: Path, run_import: Import) -> None:
    bad = {
        3: sample(3, "C", error={"message": "boom"}),
        4: sample(4, {"a": 1}),
        5: sample(5, "maybe"),
        6: sample(6, "C", scores=None, target=""),
    }
    samples = [sample(1, True), sample(2, "N"), *bad.values(), sample(7, "C", scores=None)]
    log, report = run_import("inspect", plain(tmp_path / "l.json", *samples))
    assert dict(log.read("samples").select("problem_id", "correct").iter_rows()) == {
        "sums/1": True,
        "sums/2": False,
        # no scorer: the domain grades what the text says
        "sums/7": False,
    }
    assert list(report.left_out) == [
        "a sample that ended in an error says nothing of its model",
        "a score is one value, got dict of match",
        "a verdict is yes or no, or a score from 0 to 1, got 'maybe'",
        "a sample has a score, or its problem a reference answer",
    ]


def test_a_scorer_by_name_and_a_threshold(tmp_path: Path, run_import: Import) -> None:
    file = plain(tmp_path / "l.json", sample(1, "I"))
    log, _ = run_import("inspect", file, options={"scorer": "other", "threshold": 0.5})
    assert log.read("samples")["correct"].to_list() == [True]
    with pytest.raises(RecordError, match="a sample has the scorer that judges it, got 'match', 'other'"):
        run_import("inspect", file, options={"scorer": "third"})


def test_a_cut_answer_and_a_log_without_usage(tmp_path: Path, run_import: Import) -> None:
    cut = sample(1, "I")
    cut["output"] = {"choices": [{"message": {"content": "It is"}, "stop_reason": "max_tokens"}]}
    log, report = run_import("inspect", plain(tmp_path / "l.json", cut))
    row = log.read("samples").row(0, named=True)
    assert (row["finish_reason"], row["tokens"]) == ("length", 2)
    assert any("estimated from the texts where a log counts no tokens" in note for note in report.notes)


def test_broken_logs_are_named(tmp_path: Path, run_import: Import) -> None:
    path = tmp_path / "l.eval"
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(RecordError, match=r"an archive must be a whole \.zip"):
        run_import("inspect", path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("header.json", json.dumps(header()))
    with pytest.raises(RecordError, match="has a header and samples, got neither"):
        run_import("inspect", path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("samples/1_epoch_1.json", "{")
    with pytest.raises(RecordError, match=r"l\.eval: samples/1_epoch_1\.json: a record is JSON, got '{'"):
        run_import("inspect", path)
    with pytest.raises(RecordError, match="a log of inspect has samples, got none"):
        run_import("inspect", plain(tmp_path / "l.json"))
    with pytest.raises(RecordError, match="records must be a readable file"):
        run_import("inspect", tmp_path / "gone.eval")
