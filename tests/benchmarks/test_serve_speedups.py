"""The arithmetic and the page of ``serve_speedups.py``, and that each speed-up can be left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import serve_without
from serve_speedups import POINTS, WHOLE, page, ratio
from serve_without import SPEEDUPS

import planner.server.app
import planner.server.run
from planner.predicting.trees import BitTrees

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

#: speed-up -> where the function stands that it replaces
PLACES: dict[str, tuple[Any, str]] = {
    "direct": (planner.server.app, "handlers"),
    "collector": (planner.server.run, "freeze_gc"),
    "bits": (BitTrees, "of"),
}


def one(whole: float, other: float) -> dict[str, Any]:
    cells = {
        place: {
            WHOLE: {"added_ms": whole, "cpu_ms": whole, "per_s": 10.0},
            "direct": {"added_ms": other, "cpu_ms": other, "per_s": 8.0},
        }
        for place in POINTS
    }
    return {"at": "2026-01-02 03:04", "load": 1.5, "cells": cells}


def test_a_ratio_is_over_the_whole_server_of_the_same_round() -> None:
    rounds = [one(2.0, 3.0), one(20.0, 30.0), one(4.0, 4.0)]
    middle, low, high = ratio(rounds, "passed on, 8 clients", "direct", "cpu_ms")
    assert (middle, low, high) == (1.5, 1.0, 1.5)


def test_the_page_tells_each_point() -> None:
    settings = {"latency": 0.05, "requests": 16}
    told = {"settings": settings, "captions": {"direct": "direct routes"}, "notes": ["A note."]}
    text = page({**told, "rounds": [one(2.0, 3.0)]})
    assert "A note." in text
    assert text.count("| direct routes | 1.50 (1.50 to 1.50) |") == len(POINTS)
    assert "The whole server: 2.00 ms added, 2.00 ms of CPU, 10 answers a second." in text


def test_the_page_is_made_of_the_figures() -> None:
    told = json.loads((BENCHMARKS / "serve_speedups.json").read_text(encoding="utf-8"))
    assert (BENCHMARKS / "serve_speedups.md").read_text(encoding="utf-8") == page(told)


@pytest.mark.parametrize("name", sorted(SPEEDUPS.keys() - {"nothing"}))
def test_leaving_one_out_replaces_one_function(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    holder, attribute = PLACES[name]
    before = vars(holder)[attribute]
    monkeypatch.setattr(holder, attribute, before)  # put back at the end
    serve_without.SPEEDUPS[name].leave_out()
    assert vars(holder)[attribute] is not before
