"""Decisions from a time on, as a refit takes them after a change."""

from __future__ import annotations

from collections import Counter

import pytest
from made import decision, step

from planner.cli.traffic.refit import moment
from planner.server.decisions.store import Store
from planner.traffic.rows import blocks
from search.errors import RecordError


def test_older_decisions_are_left_aside(where: str) -> None:
    store = Store.open(where)
    store.write([decision(f"d{i}", float(i), steps=(step(),)) for i in range(9)])

    def names(since: float | None, size: int) -> list[str]:
        return [
            row.decision_id for block in blocks(store, Counter(), since=since, size=size) for row in block
        ]

    for size in (2, 100):
        assert names(None, size) == [f"d{i}" for i in range(9)]
        assert names(4.0, size) == ["d4", "d5", "d6", "d7", "d8"]
        assert names(9.0, size) == []
    store.close()


def test_times_are_read_as_utc() -> None:
    assert moment("1970-01-02") == 86_400.0
    assert moment("1970-01-01T01:00+01:00") == 0.0
    with pytest.raises(RecordError, match=r"a time is a date such as 2026-11-30 or .*, got 'yesterday'"):
        moment("yesterday")
