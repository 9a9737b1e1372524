"""Reasoning Gym's answers of many models: verdicts by a threshold, families by task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from search.errors import RecordError
from search.importing.report import Report
from search.log.store import SearchLog

Import = Callable[..., tuple[SearchLog, Report]]
Write = Callable[..., Path]

RECORD: dict[str, Any] = {
    "id": "sums/1",
    "family": "sums",
    "category": "arithmetic",
    "question": "2 + 3?",
    "expected": "5",
    "models": {
        "maker_gem-27b-it": [["5", 1.0, 40], ["6", 0.01, 41], [None, 0.0, 400]],
        "maker_o3-mini": [["the answer five", 1.0, 40]],
    },
}


def test_draws_scores_and_lengths(write_lines: Write, run_import: Import) -> None:
    log, report = run_import("reasoning-gym", write_lines("r.jsonl.gz", [RECORD]))
    gem = log.read("samples").filter(pl.col("policy") == "maker_gem-27b-it")
    assert gem["correct"].to_list() == [True, False, False]
    assert gem["answer"].to_list() == ["5", "6", None]
    assert gem["tokens"].to_list() == [10, 11, 100]
    problem = log.read("problems").row(0, named=True)
    assert (problem["problem_id"], problem["family"]) == ("sums/1", "sums")
    assert (problem["answer"], problem["meta"]) == ("5", '{"category":"arithmetic"}')
    sizes = {name: card.parameters for name, card in log.manifest.policies.items()}
    assert sizes == {"maker_gem-27b-it": 27_000_000_000, "maker_o3-mini": 100_000_000_000}
    assert any("maker_o3-mini: 100B parameters are assumed" in note for note in report.notes)
    assert any("at least 0.99; 1" in note for note in report.notes)


def test_options(write_lines: Write, run_import: Import) -> None:
    options = {"threshold": 0.01, "sizes": {"maker_o3-mini": 9}}
    log, _ = run_import("reasoning-gym", write_lines("r.jsonl", [RECORD]), options=options)
    assert log.read("samples")["correct"].sum() == 3
    assert log.manifest.policies["maker_o3-mini"].parameters == 9
    with pytest.raises(RecordError, match="a threshold lies above 0 and up to 1, got 0"):
        run_import("reasoning-gym", write_lines("r.jsonl", [RECORD]), options={"threshold": 0.0})


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"m": [["5", 1.0]]}, r"draw 0 of m: a draw is \[answer, score, characters\]"),
        ({"m": [["5", 2.0, 3]]}, r"a score lies in \[0, 1\], got 2"),
        ({"m": [["5", 1.0, -3]]}, "characters are a whole number from 0, got -3"),
        ({"m": "5"}, "the draws of m are a list"),
    ],
)
def test_broken_draws_are_named(
    write_lines: Write, run_import: Import, models: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        run_import("reasoning-gym", write_lines("r.jsonl", [{**RECORD, "models": models}]))


@pytest.mark.slow
@pytest.mark.published
def test_the_published_answers(data: Path, run_import: Import) -> None:
    _, report = run_import("reasoning-gym", data / "reasoning_gym" / "easy.jsonl.gz")
    assert report.taken == {"problems": 4454, "samples": 124_331}
    assert not report.left_out
