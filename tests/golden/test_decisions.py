"""The shipped planner decides as it was recorded, and is written as it was read."""

from __future__ import annotations

from pathlib import Path

import golden_adapter as adapter
import golden_files as files
import golden_made as made


def _name(place: int, case: dict[str, object]) -> str:
    """A case for a message."""
    seen = f" after {case['look']}" if "look" in case else ""
    return f"case {place}, {case['budget']}, {str(case['question'])[:40]!r}{seen}"


def test_decisions_are_those_that_were_recorded() -> None:
    recorded = files.read("decisions")
    asked = recorded["cases"]
    names = [_name(place, case) for place, case in enumerate(asked)]
    one, two = (
        dict(zip(names, found, strict=True)) for found in (recorded["decisions"], made.decisions(asked))
    )
    assert len(one) == 500
    assert not (found := list(files.differences(one, two, rel=1e-6))), files.told(found)


def test_what_is_saved_is_byte_for_byte_what_was_loaded(tmp_path: Path) -> None:
    shipped = adapter.shipped_planner()
    adapter.save_planner(adapter.load_planner(shipped), tmp_path / "planner")
    found = list(files.differences(made.hashes(shipped), made.hashes(tmp_path / "planner"), rel=0.0))
    assert not found, files.told(found)
