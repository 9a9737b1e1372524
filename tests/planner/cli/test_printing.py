from __future__ import annotations

import json
import math

import pytest
from rich.console import Console

from planner.cli.printing import percent, print_json, table


@pytest.mark.parametrize(("share", "text"), [(0.5, "50.0"), (0.12345, "12.3"), (None, "-"), (math.nan, "-")])
def test_percent(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_json_has_null_for_numbers_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": math.nan, "b": [math.inf, 1.5], "c": ("é", None), 4: True})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": ["é", None], "4": True}


def test_a_table_keeps_its_cells_within_a_hundred_columns() -> None:
    console = Console(width=100, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(table("A title", ["plan", "accuracy"], [["majority(n=16)", "61.2"]], emphasised=[0]))
    lines = captured.get().splitlines()
    assert lines[0].strip() == "A title"
    assert any("majority(n=16)" in line and "61.2" in line for line in lines)
    assert max(map(len, lines)) <= 100
