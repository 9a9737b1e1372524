"""The page of ``served_models.py``, from whatever parts have run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openai")
from served_page import page

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

ROW: dict[str, Any] = {
    "asked": 4,
    "answered": 3,
    "errors": {"504: late": 1},
    "charged": 512,
    "told": 520,
    "seconds": 4.04,
    "slowest": 5.0,
    "most_tokens": 240,
    "ended": {"deadline": 3},
    "receipts": 3,
    "pieces": 0,
    "comments": {},
}


def test_parts_that_have_not_run_are_left_out() -> None:
    found = {
        "llamacpp": {
            "deadline": {**ROW, "deadline": 40.0},
            "differences": {"n = 12": "refused | no", "part_seconds": 1.0},
            "versions": {"server": "b7", "client": "3", "machine": "2 cores, otherwise idle."},
        }
    }
    text = page(found)
    assert "seconds, short questions | 3 of 4 | 512 | 520 | 3 of 3 |" in text
    assert "| deadline 3 | 504: late 1 |" in text
    assert "| n = 12 | refused \\| no |" in text
    assert "vLLM" not in text
    assert "part_seconds" not in text


def test_the_page_is_the_one_of_its_figures() -> None:
    found = json.loads((BENCHMARKS / "served_models.json").read_text(encoding="utf-8"))
    assert (BENCHMARKS / "served_models.md").read_text(encoding="utf-8") == page(found)
