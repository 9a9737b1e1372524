from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st

from planner.report.charts.accuracy import featured
from planner.report.charts.endings import wrapped
from planner.report.charts.gallery import CHARTS, drawn
from planner.report.charts.path import marks, path
from planner.report.charts.style import NARROW, WIDE, Layout, ladder_colours, log_ticks
from planner.report.findings import Cell, Findings, Line, Share


@pytest.fixture(scope="module")
def whole(findings: Findings) -> Findings:
    """Findings with something for every chart."""
    cells = [
        Cell(
            policy=policy,
            prm=prm,
            bin=bin_,
            plan=(strategy, numbers),
            accuracy=accuracy,
            error=0.02,
            problems=40,
        )
        for policy, prm in (("small", "good"), ("large", ""))
        for bin_, strategy, numbers, accuracy in (
            ("easy", "cot", "", 0.99),
            ("medium", "weighted_vote", "n=16, score=min", 0.6),
            ("hard", "beam_search", "n=64", 0.1),
        )
    ]
    return replace(findings, cells=tuple(cells))


@pytest.fixture(scope="module")
def specs(whole: Findings) -> dict[str, dict[str, Any]]:
    return {layout.name: drawn(whole, layout) for layout in (WIDE, NARROW)}


def encodings(spec: Any) -> Iterator[dict[str, Any]]:
    if isinstance(spec, dict):
        if isinstance(spec.get("encoding"), dict):
            yield spec["encoding"]
        for inner in spec.values():
            yield from encodings(inner)
    elif isinstance(spec, list):
        for inner in spec:
            yield from encodings(inner)


def titles(spec: dict[str, Any], channel: str) -> set[str]:
    found = set()
    for encoding in encodings(spec):
        one = encoding.get(channel, {})
        title = (one.get("axis") or {}).get("title") or one.get("title")
        if title:
            found.add(" ".join(title) if isinstance(title, list) else title)
    return found


#: axes that need no unit, since they hold names
NAMES = {
    ("best-plans", "x"): "difficulty bin (by Pass@1 of the policy)",
    ("best-plans", "y"): "policy and PRM",
}


@pytest.mark.parametrize("layout", [WIDE, NARROW], ids=lambda layout: layout.name)
@pytest.mark.parametrize("name", CHARTS)
def test_every_axis_has_a_name_and_a_unit(
    specs: dict[str, dict[str, Any]], name: str, layout: Layout
) -> None:
    spec = specs[layout.name][name]
    for channel in ("x", "y"):
        found = titles(spec, channel)
        named = NAMES.get((name, channel))
        has_unit = bool(found) and all("(" in title and ")" in title for title in found)
        bare = not found and (name, channel) == ("influence", "y")  # its labels are the names of features
        assert bare or (has_unit if named is None else found == {named}), found


@pytest.mark.parametrize("name", CHARTS)
def test_charts_compile_without_a_word_and_hold_finite_numbers(
    specs: dict[str, dict[str, Any]], name: str
) -> None:
    for layout in specs.values():
        json.dumps(layout[name], allow_nan=False)
        assert layout[name]["description"]
        assert vl_convert.vegalite_to_vega(layout[name], vl_version="6.4")["marks"]


def test_long_endings_are_whole_in_the_legend(whole: Findings) -> None:
    votes = [
        f"adaptive_vote(n=16, stop={stop}, ahead=1, weight=prm, level=-0.56), small, good"
        for stop in (0.9, 0.96)
    ]
    shares = tuple(Share(budget=1.0, outcome=name, order=at, share=0.5) for at, name in enumerate(votes))
    for layout in (WIDE, NARROW):
        spec = drawn(replace(whole, shares=shares), layout)["endings"]
        told = spec["encoding"]["color"]["legend"]["labelExpr"]
        lines = json.loads(told.removesuffix("[datum.label]"))
        assert {" ".join(parts): max(map(len, parts)) < 46 for parts in lines.values()} == dict.fromkeys(
            votes, True
        )
        assert all(vote.startswith("adaptive_vote(n=16") for vote in lines)


def test_a_name_without_commas_is_broken_all_the_same() -> None:
    assert wrapped("a" * 5, 2) == ["aa", "aa", "a"]
    assert wrapped("", 2) == [""]


def test_layouts_share_their_data(specs: dict[str, dict[str, Any]]) -> None:
    """So that the page holds it once. What is spelled for the width differs: the cells of the heat map."""
    for name in set(CHARTS) - {"best-plans"}:
        assert specs["wide"][name]["datasets"] == specs["narrow"][name]["datasets"], name


def test_what_has_no_data_is_not_drawn(findings: Findings) -> None:
    bare = replace(findings, cells=(), promises=(), costs=(), shares=(), panels=())
    assert list(drawn(bare, WIDE)) == ["accuracy", "rivals"]


def test_the_best_rivals_get_a_colour(findings: Findings) -> None:
    names = featured(findings)
    assert len(names) == 6
    at = {row.method: row.accuracy[1] for row in findings.table}
    assert [at[name] for name in names] == sorted((at[name] for name in names), reverse=True)
    assert not {"planner", "oracle", "bin_absolute"} & set(names)


@given(st.floats(0.001, 1e4), st.floats(2.1, 1e4))
def test_log_axes_have_few_labels(low: float, ratio: float) -> None:
    ticks = log_ticks(low, low * ratio)
    assert 1 <= len(ticks) <= 8
    assert low * (1 - 1e-6) <= ticks[0]
    assert ticks[-1] <= low * ratio * (1 + 1e-6)


@pytest.mark.parametrize("count", range(2, 9))
def test_the_ladder_darkens(count: int) -> None:
    """Stacked shares must be told apart in grey."""
    tones = [
        0.3 * int(c[1:3], 16) + 0.59 * int(c[3:5], 16) + 0.11 * int(c[5:], 16) for c in ladder_colours(count)
    ]
    assert (np.diff(tones) < -4).all()


def test_a_line_between_two_settings_is_straight_in_cost() -> None:
    line = Line("planner", (1.0, 16.0), (0.2, 0.8), (0.1, 0.7), (0.3, 0.9))
    for point in path(line):
        assert point["accuracy"] == pytest.approx(20 + 60 * (point["cost"] - 1) / 15)
        assert point["high"] - point["low"] == pytest.approx(20)
    assert [point["cost"] for point in marks(line)] == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_a_line_of_steps_is_level_until_the_next_cost() -> None:
    line = Line("best_fixed", (1.0, 4.0), (0.5, 0.6), (0.5, 0.6), (0.5, 0.6), steps=True)
    assert [(point["cost"], point["accuracy"]) for point in path(line)] == [(1, 50), (4, 50), (4, 60)]
    assert len(path(replace(line, cost=(1.0,), accuracy=(0.5,), low=(0.5,), high=(0.5,)))) == 1
