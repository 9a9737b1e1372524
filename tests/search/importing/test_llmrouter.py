"""Scores of many models: fractions are kept, prices stand for FLOPs, nothing else is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from search.errors import RecordError
from search.importing.pricing import FLOPS_PER_TOKEN, Price
from search.importing.report import Report
from search.log.store import SearchLog

Import = Callable[..., tuple[SearchLog, Report]]
Write = Callable[..., Path]

RECORDS: list[dict[str, Any]] = [
    {"question": "Who wrote it?", "scores": {"gem-9b": 1.0, "big": 0.25}, "cluster_id": 2},
    {"question": "Why do cats purr?", "scores": {"gem-9b": 0, "big": 1}},
]
PRICES = {"big": {"input_usd_per_million": 0.5, "output_usd_per_million": 1.0, "size": "70B"}}


def test_scores_and_prices(tmp_path: Path, write_lines: Write, run_import: Import) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps(PRICES, indent=1))
    log, report = run_import("llmrouter", write_lines("s.json.gz", RECORDS, array=True), prices)
    outcomes = log.read("outcomes").group_by("policy").agg(pl.col("accuracy").mean()).sort("policy")
    assert outcomes.rows() == [("big", 0.625), ("gem-9b", 0.5)]
    big, gem = (log.manifest.policies[name] for name in ("big", "gem-9b"))
    assert (big.parameters, big.flops_per_token) == (70_000_000_000, FLOPS_PER_TOKEN)
    assert (gem.parameters, gem.flops_per_token) == (9_000_000_000, None)
    assert json.loads(log.read("problems").filter(question="Who wrote it?")["meta"].item()) == {
        "cluster_id": 2,
        "credits": [["big", 0, 0.25]],
    }
    assert any("200 generated ones are assumed" in note for note in report.notes)


def test_options(write_lines: Write, run_import: Import) -> None:
    file = write_lines("s.json", RECORDS, array=True)
    options = {"threshold": 0.25, "tokens": 10, "prices": {"big": Price(2.0, 2.0)}, "sizes": {"gem-9b": 5}}
    log, _ = run_import("llmrouter", file, options=options)
    assert log.read("samples").filter(policy="big")["correct"].to_list() == [True, True]
    assert set(log.read("samples")["tokens"]) == {10}
    assert log.manifest.policies["big"].flops_per_token == 2 * FLOPS_PER_TOKEN
    assert log.manifest.policies["gem-9b"].parameters == 5


def test_what_cannot_be_read_is_named(tmp_path: Path, write_lines: Write, run_import: Import) -> None:
    odd = {"question": "Odd?", "scores": {"big": "perhaps", "gem-9b": None, "m-1b": 1}}
    _, report = run_import("llmrouter", write_lines("s.json", [odd, {**odd, "question": " "}], array=True))
    assert list(report.left_out) == [
        "a verdict is yes or no, or a score from 0 to 1, got 'perhaps'",
        "a model has a score",
        "a problem needs a question",
    ]
    (tmp_path / "prices.json").write_text(json.dumps(PRICES))
    with pytest.raises(RecordError, match="got a file of prices only"):
        run_import("llmrouter", tmp_path / "prices.json")
    (tmp_path / "prices.json").write_text('{"big": 3}')
    with pytest.raises(RecordError, match="a model has prices, got 3 for 'big'"):
        run_import("llmrouter", tmp_path / "prices.json")


def test_the_published_scores(data: Path, run_import: Import) -> None:
    log, report = run_import(
        "llmrouter", *(data / "llmrouter" / name for name in ("test.json.gz", "prices.json"))
    )
    assert report.taken == {"problems": 500, "samples": 4500}
    assert not report.left_out
    assert all(card.flops_per_token for card in log.manifest.policies.values())
