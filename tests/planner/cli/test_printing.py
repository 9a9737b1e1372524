from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.cli.printing import brief, percent, print_json, print_table
from search.plan import Plan
from search.scores import SCORES
from search.strategies.fields import grammar_of
from search.strategies.registry import STRATEGIES


@pytest.mark.parametrize(("share", "text"), [(0.5, "50.0"), (0.12345, "12.3"), (None, "-"), (math.nan, "-")])
def test_percent(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_json_has_null_for_numbers_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": math.nan, "b": [math.inf, 1.5], "c": ("é", None), 4: True})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": ["é", None], "4": True}


def test_a_table_keeps_its_cells_within_a_hundred_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    print_table(
        "A [title]", ["plan", "accuracy"], [["majority(n=16)", "[61.2]"]], notes=["a note"], emphasised=[0]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A [title]"
    assert any("majority(n=16)" in line and "[61.2]" in line for line in lines)
    assert lines[-1] == "a note"
    assert max(map(len, lines)) <= 100


SIMPLE = [
    name
    for name in STRATEGIES
    if not any(one.is_required for one in grammar_of(STRATEGIES.get(name)).values())
]


@given(st.sampled_from(SIMPLE), st.integers(1, 16), st.sampled_from(SCORES))
def test_a_brief_plan_parses_back(strategy: str, n: int, score: str) -> None:
    given_values = {"n": 4 * n, "score": score}
    grammar = grammar_of(STRATEGIES.get(strategy))
    taken = {name for name, parameter in grammar.items() if not parameter.is_quiet}
    plan = Plan.of(strategy, **{name: value for name, value in given_values.items() if name in taken})
    assert Plan.parse(brief(plan)) == plan
