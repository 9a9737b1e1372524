"""The account of an import."""

from __future__ import annotations

from search.importing.report import Report


def test_reasons_are_counted_and_keep_their_first_place() -> None:
    report = Report("table")
    report.leave_out("a reward is finite", "line 3")
    report.leave_out("a problem needs a question", "line 4", 2)
    report.leave_out("a reward is finite", "line 9")
    report.take("samples", 3)
    report.take("samples", 4)
    report.note("once")
    report.note("once")
    assert report.to_json() == {
        "format": "table",
        "taken": {"samples": 7},
        "left_out": [
            {"why": "a reward is finite", "count": 2, "first": "line 3"},
            {"why": "a problem needs a question", "count": 2, "first": "line 4"},
        ],
        "notes": ["once"],
    }
