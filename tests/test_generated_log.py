"""``benchmarks/generated_log.py``: the logs that speed is measured on can be read and learned from."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.evidence.training_data import read_training_data
from search.log.store import SearchLog

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_a_generated_log_is_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from generated_log import CHOICES, generated_log

    generated_log(tmp_path / "log", 40)
    log = SearchLog.open(tmp_path / "log")
    data = read_training_data(log, log.manifest.policies, log.manifest.prms)
    assert len(data) == 40
    assert set(CHOICES) <= set(data.choices)
